/* The way through a bucket. Owns: the page being read, and the place to go on from. */
#include "storage/bucket/bucket_scan.h"

#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>

struct page {
    const struct bucket_scan *scan;
    struct scan_place *place;
    struct storage_object *objects;
    size_t count;
    char last[S3_KEY_BYTES];
};

static bool is_stopped(const struct bucket_scan *scan)
{
    return __atomic_load_n(scan->stop, __ATOMIC_RELAXED);
}

static bool is_archived(const char *storage_class)
{
    return text_equal(storage_class, "GLACIER") || text_equal(storage_class, "DEEP_ARCHIVE");
}

static int take_listed(void *user, const struct s3_listed *listed)
{
    struct page *page = user;
    uint64_t *counts = page->place->counts;
    struct storage_object object = {.trigger = STORAGE_TRIGGER_FULL_SCAN,
                                    .size = listed->size,
                                    .size_known = true};

    if (page->count == BUCKET_PAGE)
        return -EBADMSG;
    (void)text_copy(object.bucket, sizeof object.bucket, page->place->bucket);
    (void)text_copy(object.region, sizeof object.region, page->scan->region);
    (void)text_copy(object.key, sizeof object.key, listed->key);
    (void)text_copy(object.etag, sizeof object.etag, listed->etag);
    (void)text_copy(page->last, sizeof page->last, listed->key);
    counts[SCAN_COUNT_LISTED]++;
    if (!object_scanner_wants(page->scan->scanner, &object))
        counts[SCAN_COUNT_LEFT_OUT]++;
    else if (is_archived(listed->storage_class))
        counts[SCAN_COUNT_ARCHIVED]++;
    else
        page->objects[page->count++] = object;
    return 0;
}

static int tell(const struct aws_answer *answer, const char *bucket)
{
    log_error("bucket_not_listed", "bucket", bucket, "problem", answer->problem, NULL);
    return answer->taker_error < 0 ? answer->taker_error : -EIO;
}

/* One page; the counts of one that failed are not kept. */
static int run_page(const struct bucket_scan *scan, struct page *page, char *token)
{
    const struct scan_place before = *page->place;
    struct s3_list list = {.bucket = page->place->bucket,
                           .prefix = page->place->prefix[0] != '\0' ? page->place->prefix : NULL,
                           .start_after = page->place->after[0] != '\0' ? page->place->after : NULL,
                           .region = scan->region[0] != '\0' ? scan->region : NULL,
                           .page = scan->page,
                           .each = take_listed,
                           .user = page};
    struct aws_answer answer;

    page->count = 0;
    enum aws_outcome outcome = s3_list(object_scanner_client(scan->scanner), &list, token, &answer);
    int r = outcome == AWS_OK ? 0 : tell(&answer, list.bucket);
    aws_answer_done(&answer);
    if (r == 0 && page->count > 0)
        r = scan->end->take(scan->end->user, page->objects, page->count, page->place);
    if (r < 0) {
        *page->place = before;
        return r;
    }
    (void)text_copy(page->place->after, sizeof page->place->after, page->last);
    page->place->finished = token[0] == '\0';
    return 0;
}

static int remember(const struct bucket_scan *scan, const struct scan_place *place)
{
    if (scan->progress != NULL)
        scan->progress(scan->progress_user, place);
    if (scan->place_path == NULL)
        return 0;
    int r = scan_place_save(scan->place_path, place);
    if (r < 0)
        log_error("place_not_kept", "path", scan->place_path, "problem", log_error_text(r), NULL);
    return r;
}

int bucket_scan_run(const struct bucket_scan *scan, struct scan_place *place)
{
    struct page page = {.scan = scan, .place = place};
    char token[S3_TOKEN_BYTES] = "";
    int r = 0;

    page.objects = calloc(BUCKET_PAGE, sizeof *page.objects);
    if (page.objects == NULL)
        return -ENOMEM;
    (void)text_copy(page.last, sizeof page.last, place->after);
    while (r == 0 && !place->finished && !is_stopped(scan)) {
        r = run_page(scan, &page, token);
        if (r == 0)
            r = remember(scan, place);
    }
    free(page.objects);
    return r;
}

static int count_listed(void *user, const struct s3_listed *listed UNUSED)
{
    uint64_t *count = user;

    ++*count;
    return 0;
}

int bucket_scan_count(const struct bucket_scan *scan, const struct scan_place *place,
                      uint64_t *ret_count)
{
    const struct s3_list list = {.bucket = place->bucket,
                                 .prefix = place->prefix[0] != '\0' ? place->prefix : NULL,
                                 .region = scan->region[0] != '\0' ? scan->region : NULL,
                                 .each = count_listed,
                                 .user = ret_count};
    char token[S3_TOKEN_BYTES] = "";
    int r = 0;

    *ret_count = 0;
    do {
        struct aws_answer answer;
        if (s3_list(object_scanner_client(scan->scanner), &list, token, &answer) != AWS_OK)
            r = tell(&answer, list.bucket);
        aws_answer_done(&answer);
    } while (r == 0 && token[0] != '\0' && !is_stopped(scan));
    return r;
}
