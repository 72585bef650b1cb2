/* The way through an inventory. Owns: the file being read, and the row to go on from. */
#include "storage/bucket/inventory_scan.h"

#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/bucket/bucket_scan_private.h"
#include "storage/bucket/inventory_manifest.h"
#include "storage/bucket/inventory_reader.h"

#include <errno.h>
#include <string.h>

#define MOST_FILE_BYTES (16ULL << 30) /* packed */
#define FILE_TIME_NS    (3600 * NS_PER_SECOND)
#define READ_BYTES      65536

struct inventory {
    struct bucket_page page;
    struct inventory_manifest manifest;
    char bucket[S3_BUCKET_BYTES], key[S3_KEY_BYTES]; /* of the manifest */
    uint64_t row;                                    /* of the file, that comes next */
    struct scan_place before; /* as it was when the page began: a page that failed is not counted */
};

static int complain(const struct inventory *inventory, int error, const char *key,
                    const char *problem)
{
    log_error("inventory_not_read", "bucket", inventory->bucket, "key", key, "problem", problem,
              NULL);
    return error;
}

/* ---- pages ---- */

static int hand_on(struct inventory *inventory)
{
    struct scan_place *place = inventory->page.place;

    int r = bucket_page_take(&inventory->page);
    if (r < 0) {
        *place = inventory->before;
        return r;
    }
    place->row = inventory->row;
    inventory->before = *place;
    return bucket_scan_remember(inventory->page.scan, place);
}

static void describe(const struct inventory *inventory, const struct inventory_row *row,
                     struct storage_object *object)
{
    *object = (struct storage_object){.trigger = STORAGE_TRIGGER_FULL_SCAN,
                                      .size = row->size,
                                      .size_known = row->size_known};
    (void)text_copy(object->bucket, sizeof object->bucket, inventory->manifest.bucket);
    (void)text_copy(object->region, sizeof object->region, inventory->page.scan->region);
    (void)text_copy(object->key, sizeof object->key, row->key);
    (void)text_copy(object->version, sizeof object->version, row->version);
    (void)text_copy(object->etag, sizeof object->etag, row->etag);
}

static int take_row(void *user, const struct inventory_row *row)
{
    struct inventory *inventory = user;
    const struct scan_place *place = inventory->page.place;
    struct storage_object object;

    if (inventory->row++ < place->row)
        return 0; /* done with before */
    if (row->bucket[0] != '\0' && !text_equal(row->bucket, inventory->manifest.bucket))
        return -EBADMSG;
    if (row->is_old || row->is_delete_marker || !text_starts_with(row->key, place->prefix))
        return 0;
    describe(inventory, row, &object);
    bucket_page_add(&inventory->page, &object, row->storage_class);
    if (inventory->page.count < inventory->page.scan->page)
        return 0;
    int r = hand_on(inventory);
    return r == 0 && bucket_scan_is_stopped(inventory->page.scan) ? -EINTR : r;
}

/* ---- files ---- */

static enum aws_outcome fetch(const struct inventory *inventory, const char *key, uint64_t most,
                              struct fetched *ret_fetched)
{
    const struct bucket_scan *scan = inventory->page.scan;
    const struct fetch_limits limits = {.maximum = most,
                                        .memory = READ_BYTES,
                                        .part = most,
                                        .directory = object_scanner_directory(scan->scanner)};
    const struct s3_object object = {.bucket = inventory->bucket, .key = key};

    return fetch_object(object_scanner_client(scan->scanner), NULL, &limits, &object, false, 0,
                        clock_monotonic_ns() + FILE_TIME_NS, ret_fetched);
}

static int read_file(const struct inventory *inventory, int fd, struct inventory_reader *reader)
{
    char bytes[READ_BYTES];
    int r = 0;

    while (r == 0) {
        ssize_t length = read(fd, bytes, sizeof bytes);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            return length < 0 ? -errno : inventory_reader_end(reader);
        r = inventory_reader_feed(reader, bytes, (size_t)length);
        if (r == 0 && bucket_scan_is_stopped(inventory->page.scan))
            r = -EINTR;
    }
    return r;
}

static int scan_file(struct inventory *inventory, const char *key)
{
    struct inventory_reader *reader = NULL;
    struct fetched fetched;
    int r = 0;

    inventory->row = 0;
    inventory->page.count = 0;
    inventory->before = *inventory->page.place;
    if (fetch(inventory, key, MOST_FILE_BYTES, &fetched) != AWS_OK || fetched.too_large)
        r = complain(inventory, -EIO, key,
                     fetched.too_large ? "it is larger than files are read" : fetched.problem);
    if (r == 0)
        r = inventory_reader_new(&inventory->manifest, take_row, inventory, &reader);
    if (r == 0)
        r = read_file(inventory, fetched.fd, reader);
    if (r == -EBADMSG || r == -EFBIG)
        (void)complain(inventory, r, key,
                       r == -EFBIG ? "it unpacks to too much"
                                   : "a row of it is none, or it is cut");
    (void)inventory_reader_free(reader);
    fetched_done(&fetched);
    if (r == 0)
        r = hand_on(inventory);
    else
        *inventory->page.place = inventory->before;
    return r;
}

/* ---- the manifest ---- */

static int divide_url(const char *url, struct inventory *inventory)
{
    static const char scheme[] = "s3://";
    const char *bucket = url + sizeof scheme - 1;

    if (!text_starts_with(url, scheme))
        return -EINVAL;
    size_t length = strcspn(bucket, "/");
    if (length == 0 || bucket[length] == '\0' || bucket[length + 1] == '\0' ||
        text_format(inventory->bucket, sizeof inventory->bucket, "%.*s", (int)length, bucket) < 0)
        return -EINVAL;
    return text_copy(inventory->key, sizeof inventory->key, bucket + length + 1) < 0 ? -EINVAL : 0;
}

static int read_manifest(struct inventory *inventory)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(INVENTORY_MANIFEST_BYTES);
    struct fetched fetched;
    char problem[128];
    int r = 0;

    if (fetch(inventory, inventory->key, INVENTORY_MANIFEST_BYTES, &fetched) != AWS_OK ||
        fetched.too_large)
        r = complain(inventory, -EIO, inventory->key,
                     fetched.too_large ? "it is larger than manifests are read" : fetched.problem);
    if (r == 0)
        r = file_read_all_fd(fetched.fd, &json);
    fetched_done(&fetched);
    if (r < 0)
        return r;
    r = inventory_manifest_read(buffer_text(&json), json.length, &inventory->manifest, problem);
    if (r < 0)
        return complain(inventory, r, inventory->key, r == -ENOMEM ? "memory is short" : problem);
    if (!text_equal(inventory->manifest.bucket, inventory->page.place->bucket))
        return complain(inventory, -EINVAL, inventory->key, "it lists another bucket");
    return 0;
}

static int scan_files(struct inventory *inventory)
{
    struct scan_place *place = inventory->page.place;
    int r = read_manifest(inventory);

    while (r == 0 && place->file < inventory->manifest.file_count &&
           !bucket_scan_is_stopped(inventory->page.scan)) {
        r = scan_file(inventory, inventory->manifest.files[place->file].key);
        if (r < 0)
            break;
        place->file++;
        place->row = 0;
        r = bucket_scan_remember(inventory->page.scan, place);
    }
    if (r == 0 && place->file >= inventory->manifest.file_count) {
        place->finished = true;
        r = bucket_scan_remember(inventory->page.scan, place);
    }
    return r == -EINTR ? 0 : r; /* it was told to stop; the place says how far it came */
}

int inventory_scan_run(const struct bucket_scan *scan, struct scan_place *place)
{
    struct inventory *inventory = calloc(1, sizeof *inventory);
    int r = -ENOMEM;

    if (inventory == NULL)
        return r;
    inventory->page = (struct bucket_page){.scan = scan, .place = place};
    inventory->page.objects = calloc(BUCKET_PAGE, sizeof *inventory->page.objects);
    if (divide_url(place->inventory, inventory) < 0) {
        log_error("no_such_inventory", "url", place->inventory, "cure",
                  "give s3://BUCKET/.../manifest.json", NULL);
        r = -EINVAL;
    } else if (inventory->page.objects != NULL) {
        r = scan_files(inventory);
    }
    inventory_manifest_done(&inventory->manifest);
    free(inventory->page.objects);
    free(inventory);
    return r;
}
