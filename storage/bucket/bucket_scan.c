/* The way through a bucket. Owns: the page being read, and the place to go on from. */
#include "storage/bucket/bucket_scan.h"

#include "common/log/log.h"
#include "common/text/text.h"
#include "storage/bucket/bucket_scan_private.h"

#include <errno.h>

struct page {
    struct bucket_page page;
    char last[S3_KEY_BYTES];
};

bool bucket_scan_is_stopped(const struct bucket_scan *scan)
{
    return __atomic_load_n(scan->stop, __ATOMIC_RELAXED);
}

static bool is_archived(const char *storage_class)
{
    return text_equal(storage_class, "GLACIER") || text_equal(storage_class, "DEEP_ARCHIVE");
}

void bucket_page_add(struct bucket_page *page, const struct storage_object *object,
                     const char *storage_class)
{
    uint64_t *counts = page->place->counts;

    counts[SCAN_COUNT_LISTED]++;
    if (!object_scanner_wants(page->scan->scanner, object))
        counts[SCAN_COUNT_LEFT_OUT]++;
    else if (is_archived(storage_class))
        counts[SCAN_COUNT_ARCHIVED]++;
    else
        page->objects[page->count++] = *object;
}

int bucket_page_take(struct bucket_page *page)
{
    const struct page_end *end = page->scan->end;
    size_t count = page->count;

    page->count = 0;
    return count > 0 ? end->take(end->user, page->objects, count, page->place) : 0;
}

static int take_listed(void *user, const struct s3_listed *listed)
{
    struct page *page = user;
    struct storage_object object = {.trigger = STORAGE_TRIGGER_FULL_SCAN,
                                    .size = listed->size,
                                    .size_known = true};

    if (page->page.count == BUCKET_PAGE)
        return -EBADMSG;
    (void)text_copy(object.bucket, sizeof object.bucket, page->page.place->bucket);
    (void)text_copy(object.region, sizeof object.region, page->page.scan->region);
    (void)text_copy(object.key, sizeof object.key, listed->key);
    (void)text_copy(object.etag, sizeof object.etag, listed->etag);
    (void)text_copy(page->last, sizeof page->last, listed->key);
    bucket_page_add(&page->page, &object, listed->storage_class);
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
    struct scan_place *place = page->page.place;
    const struct scan_place before = *place;
    struct s3_list list = {.bucket = place->bucket,
                           .prefix = place->prefix[0] != '\0' ? place->prefix : NULL,
                           .start_after = place->after[0] != '\0' ? place->after : NULL,
                           .region = scan->region[0] != '\0' ? scan->region : NULL,
                           .page = scan->page,
                           .each = take_listed,
                           .user = page};
    struct aws_answer answer;

    page->page.count = 0;
    enum aws_outcome outcome = s3_list(object_scanner_client(scan->scanner), &list, token, &answer);
    int r = outcome == AWS_OK ? 0 : tell(&answer, list.bucket);
    aws_answer_done(&answer);
    if (r == 0)
        r = bucket_page_take(&page->page);
    if (r < 0) {
        *place = before;
        return r;
    }
    (void)text_copy(place->after, sizeof place->after, page->last);
    place->finished = token[0] == '\0';
    return 0;
}

int bucket_scan_remember(const struct bucket_scan *scan, const struct scan_place *place)
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
    struct page page = {.page = {.scan = scan, .place = place}};
    char token[S3_TOKEN_BYTES] = "";
    int r = 0;

    page.page.objects = calloc(BUCKET_PAGE, sizeof *page.page.objects);
    if (page.page.objects == NULL)
        return -ENOMEM;
    (void)text_copy(page.last, sizeof page.last, place->after);
    while (r == 0 && !place->finished && !bucket_scan_is_stopped(scan)) {
        r = run_page(scan, &page, token);
        if (r == 0)
            r = bucket_scan_remember(scan, place);
    }
    free(page.page.objects);
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
    } while (r == 0 && token[0] != '\0' && !bucket_scan_is_stopped(scan));
    return r;
}
