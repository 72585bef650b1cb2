/* Object Lambda. Owns: that nothing goes on to a reader before all of it was found clean. */
#include "storage/object_lambda/object_lambda.h"

#include "common/crypto/hash.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SERVICE        "s3-object-lambda"
#define MOST_ERROR     (256 * 1024)
#define FETCH_TIME_NS  (55 * NS_PER_SECOND) /* the service waits a minute for the whole answer */
#define ANSWER_TIME_NS (55 * NS_PER_SECOND)
#define MOST_FORWARDED 24

struct object_lambda {
    struct scan_resources *resources;
    struct object_scanner *scanner;
    struct http_client *http;
};

/* One read on its way. */
struct reading {
    struct object_lambda *lambda;
    const struct object_lambda_event *event;
    uint64_t deadline_ns;
    struct http_answer got; /* of S3 */
    struct s3_facts facts;
    struct sha256 *hash;
    int fd; /* -1 = none */
    uint64_t size, maximum;
    struct storage_result result;
};

/* An endpoint that an administrator set for S3; "" = AWS's. */
static const char *s3_endpoint(const struct scan_resources *resources)
{
    for (size_t i = 0; i < AWS_ENDPOINT_SERVICES; i++)
        if (text_equal(aws_endpoint_services[i], "s3") &&
            resources->aws.service_endpoints[i][0] != '\0')
            return resources->aws.service_endpoints[i];
    return resources->aws.endpoint;
}

int object_lambda_new(struct scan_resources *resources, struct object_lambda **ret_lambda)
{
    struct object_lambda *lambda = calloc(1, sizeof *lambda);

    if (lambda == NULL)
        return -ENOMEM;
    lambda->resources = resources;
    int r = object_scanner_new(resources, &lambda->scanner);
    if (r == 0)
        r = http_client_new(&(struct http_trust){.pin = NULL}, &lambda->http);
    if (r < 0)
        return (void)object_lambda_free(lambda), r;
    if (s3_endpoint(resources)[0] != '\0')
        http_client_allow_plain(lambda->http);
    *ret_lambda = lambda;
    return 0;
}

struct object_lambda *object_lambda_free(struct object_lambda *lambda)
{
    if (lambda == NULL)
        return NULL;
    (void)object_scanner_free(lambda->scanner);
    (void)http_client_free(lambda->http);
    free(lambda);
    return NULL;
}

/* ---- fetching ---- */

/* Begins anew with each try. Large objects are no memory of the function's. */
static int take_begin(void *user, const struct http_answer *answer)
{
    struct reading *reading = user;
    const struct storage_settings *settings = reading->lambda->resources->settings;
    int r = 0;

    s3_facts_read(answer, &reading->facts);
    if (reading->fd >= 0)
        (void)close(reading->fd);
    reading->fd = -1;
    reading->hash = sha256_free(reading->hash);
    reading->size = 0;
    if (reading->facts.size > storage_settings_number(settings, STORAGE_MEMORY_OBJECT))
        r = file_open_at(AT_FDCWD, storage_settings_text(settings, STORAGE_DIRECTORY),
                         O_TMPFILE | O_RDWR, 0600, &reading->fd);
    else
        reading->fd = memfd_create("object", MFD_CLOEXEC);
    if (r == 0 && reading->fd < 0)
        r = -errno;
    return r < 0 ? r : sha256_new(&reading->hash);
}

static int take_bytes(void *user, const void *bytes, size_t length)
{
    struct reading *reading = user;
    const char *at = bytes;

    if (reading->size + length > reading->maximum)
        return -EFBIG;
    int r = sha256_update(reading->hash, bytes, length);
    if (r < 0)
        return r;
    reading->size += length;
    while (length > 0) {
        ssize_t written = write(reading->fd, at, length);
        if (written < 0 && errno != EINTR)
            return -errno;
        at += MAX(written, 0);
        length -= (size_t)MAX(written, 0);
    }
    return 0;
}

/* 0 whatever S3 answered. */
static int fetch(struct reading *reading, const char *method)
{
    const struct http_sink sink = {.begin = take_begin, .write = take_bytes, .user = reading};
    const struct http_request request = {
        .method = method,
        .url = reading->event->url,
        .headers = reading->event->headers,
        .header_count = reading->event->header_count,
        .sink = text_equal(method, "GET") ? &sink : NULL,
        .timeout_ns = FETCH_TIME_NS,
        .maximum_answer = MOST_ERROR,
    };

    if (!object_lambda_url_is_s3(reading->event->url, s3_endpoint(reading->lambda->resources)))
        return -EPERM;
    return http_client_perform(reading->lambda->http, &request, &reading->got);
}

/* ---- answering ---- */

/* What goes on to the reader of what S3 said, under another name. */
static size_t forward_headers(const struct reading *reading, struct aws_pair *headers, size_t count,
                              struct buffer *texts)
{
    static const char *const names[] = {"Content-Type",
                                        "Cache-Control",
                                        "Content-Disposition",
                                        "Content-Encoding",
                                        "Content-Language",
                                        "ETag",
                                        "Expires",
                                        "Last-Modified",
                                        "x-amz-version-id",
                                        "x-amz-server-side-encryption",
                                        "x-amz-storage-class"};
    size_t begin[ARRAY_LENGTH(names)], used[ARRAY_LENGTH(names)], found = 0;
    char value[2048];

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (http_answer_header(&reading->got, names[i], value, sizeof value) < 0)
            continue;
        begin[found] = texts->length;
        used[found++] = i;
        (void)buffer_append_format(texts, "x-amz-fwd-header-%s", names[i]);
        (void)buffer_append(texts, "", 1);
        (void)buffer_append_text(texts, value);
        (void)buffer_append(texts, "", 1);
    }
    if (buffer_failed(texts) < 0)
        return count;
    for (size_t i = 0; i < found; i++) {
        const char *name = texts->data + begin[i];
        headers[count++] = (struct aws_pair){name, name + strlen("x-amz-fwd-header-") +
                                                       strlen(names[used[i]]) + 1};
    }
    return count;
}

static int send_answer(struct reading *reading, const struct aws_pair *headers, size_t count,
                       const struct http_source *body)
{
    const struct aws_call call = {.service = SERVICE,
                                  .label = reading->event->route,
                                  .path = "/WriteGetObjectResponse",
                                  .headers = headers,
                                  .header_count = count,
                                  .content_type = "application/octet-stream",
                                  .body = "",
                                  .source = body,
                                  .unsigned_payload = true,
                                  .timeout_ns = ANSWER_TIME_NS};
    struct aws_answer answer;

    enum aws_outcome outcome =
        aws_client_send(object_scanner_client(reading->lambda->scanner), &call, &answer);
    if (outcome != AWS_OK)
        log_error("reader_not_answered", "problem", answer.problem, NULL);
    aws_answer_done(&answer);
    return outcome == AWS_OK ? 0 : -EIO;
}

static int answer_error(struct reading *reading, long status, const char *code, const char *message)
{
    char number[24];
    const struct aws_pair headers[] = {
        {"x-amz-request-route", reading->event->route},
        {"x-amz-request-token", reading->event->token},
        {"x-amz-fwd-status", number},
        {"x-amz-fwd-error-code", code},
        {"x-amz-fwd-error-message", message},
    };

    (void)text_format(number, sizeof number, "%ld", status);
    log_info("object_not_given", "status", number, "code", code, "bucket", reading->event->bucket,
             NULL);
    return send_answer(reading, headers, ARRAY_LENGTH(headers), NULL);
}

struct piece {
    int fd;
    uint64_t at, left;
};

static ssize_t read_piece(void *user, void *bytes, size_t size)
{
    struct piece *piece = user;
    ssize_t got =
        pread(piece->fd, bytes, (size_t)MIN((uint64_t)size, piece->left), (off_t)piece->at);

    if (got < 0)
        return -errno;
    piece->at += (uint64_t)got;
    piece->left -= (uint64_t)got;
    return got;
}

static int give_object(struct reading *reading)
{
    AUTO_BUFFER struct buffer texts = BUFFER_WITH_MAXIMUM(65536);
    struct aws_pair headers[MOST_FORWARDED] = {
        {"x-amz-request-route", reading->event->route},
        {"x-amz-request-token", reading->event->token},
    };
    struct piece piece = {.fd = reading->fd, .left = reading->size};
    char range[96];
    size_t count = 2;

    int r = reading->event->range[0] != '\0'
                ? object_lambda_range(reading->event->range, reading->size, &piece.at, &piece.left)
                : -EINVAL;
    if (r == -ERANGE)
        return answer_error(reading, 416, "InvalidRange", "the range is not in the object");
    headers[count++] = (struct aws_pair){"x-amz-fwd-status", r == 0 ? "206" : "200"};
    (void)text_format(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, piece.at,
                      piece.at + piece.left - 1, reading->size);
    if (r == 0)
        headers[count++] = (struct aws_pair){"x-amz-fwd-header-Content-Range", range};
    headers[count++] = (struct aws_pair){"x-amz-fwd-header-accept-ranges", "bytes"};
    count = forward_headers(reading, headers, count, &texts);
    const struct http_source source = {.read = read_piece, .user = &piece, .length = piece.left};
    return send_answer(reading, headers, count, piece.left > 0 ? &source : NULL);
}

/* ---- what S3 or the scanner said ---- */

/* The error of S3 as it is: its code, and a message of ours where it has none. */
static int forward_error(struct reading *reading)
{
    char code[96] = "", message[512] = "S3 does not give it out";

    if (reading->got.body.length > 0) {
        const char *begin = strstr(buffer_text(&reading->got.body), "<Code>");
        size_t length = begin != NULL ? strcspn(begin + 6, "<\r\n") : 0;
        if (length > 0)
            (void)text_format(code, sizeof code, "%.*s", (int)MIN(length, sizeof code - 1),
                              begin + 6);
    }
    if (code[0] == '\0')
        (void)text_copy(code, sizeof code,
                        reading->got.status == 304 ? "NotModified" : "AccessDenied");
    return answer_error(reading, reading->got.status, code, message);
}

static int tell_and_refuse(struct reading *reading)
{
    struct storage_result *result = &reading->result;

    /* Without knowing the bucket nobody could act on it. */
    if (reading->event->bucket[0] != '\0' && reading->event->key[0] != '\0' &&
        object_scanner_tell(reading->lambda->scanner, result, "") < 0)
        log_error("result_not_told", "bucket", reading->event->bucket, NULL);
    if (result->verdict == STORAGE_INFECTED)
        return answer_error(reading, 403, "MalwareFound", "the object is malicious");
    return answer_error(reading, 403, "ScanIncomplete",
                        "the object could not be scanned whole, so that it is not given out");
}

static void begin_result(struct reading *reading)
{
    struct storage_object *object = &reading->result.object;
    uint8_t digest[SHA256_BYTES];

    reading->result.begin_ns = clock_realtime_ns();
    object->trigger = STORAGE_TRIGGER_READ;
    (void)text_copy(object->bucket, sizeof object->bucket, reading->event->bucket);
    (void)text_copy(object->key, sizeof object->key, reading->event->key);
    (void)text_copy(object->version, sizeof object->version, reading->facts.version);
    (void)text_copy(object->etag, sizeof object->etag, reading->facts.etag);
    (void)text_copy(object->region, sizeof object->region, reading->lambda->resources->aws.region);
    object->size = reading->size;
    object->size_known = true;
    if (sha256_finish(reading->hash, digest) == 0)
        text_hex(reading->result.sha256, digest, sizeof digest);
}

static int scan_and_give(struct reading *reading)
{
    struct scan_result scan;
    char first[8];

    begin_result(reading);
    ssize_t length = pread(reading->fd, first, sizeof first, 0);
    scan_service_scan(reading->lambda->resources->service, reading->fd, reading->deadline_ns,
                      &scan);
    if (scan.verdict == SCAN_ERROR &&
        (scan.reason == SCAN_REASON_NO_ENGINE || scan.reason == SCAN_REASON_TIME))
        return answer_error(reading, 503, "SlowDown", "the scanner is not ready: ask again");
    scan_resources_note_engine(reading->lambda->resources, &reading->result);
    storage_result_take_scan(&reading->result, &scan, first, length > 0 ? (size_t)length : 0);
    return reading->result.verdict == STORAGE_CLEAN ? give_object(reading)
                                                    : tell_and_refuse(reading);
}

static int serve_get(struct reading *reading)
{
    if (reading->event->range_is_signed)
        return answer_error(reading, 403, "RangeIsSigned",
                            "a range alone cannot be scanned: ask without signing it");
    int r = fetch(reading, "GET");
    if (r == -EFBIG)
        return answer_error(reading, 403, "ScanIncomplete", "the object is larger than is scanned");
    if (r == 0 && reading->got.status != 200)
        return forward_error(reading);
    if (r == 0 && reading->fd < 0) /* empty: the sink did not begin */
        r = take_begin(reading, &reading->got);
    if (r < 0) {
        log_error("object_not_fetched", "problem", log_error_text(r), NULL);
        return answer_error(reading, 503, "ServiceUnavailable", "S3 does not answer now");
    }
    return scan_and_give(reading);
}

/* ---- HEAD: the function's own response ---- */

static int serve_head(struct reading *reading, struct buffer *response)
{
    static const char *const names[] = {"Accept-Ranges",  "Cache-Control",   "Content-Disposition",
                                        "Content-Length", "Content-Type",    "ETag",
                                        "Last-Modified",  "x-amz-version-id"};
    struct json_writer writer;
    char value[2048];

    int r = fetch(reading, "HEAD");
    long status = r == 0 ? reading->got.status : 503;
    json_writer_init(&writer, response);
    json_write_object_begin(&writer);
    json_write_field_number(&writer, "statusCode", status);
    if (status >= 400)
        json_write_field_string(&writer, "errorCode", status == 404 ? "NoSuchKey" : "AccessDenied");
    json_write_key(&writer, "headers");
    json_write_object_begin(&writer);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(names); i++)
        if (http_answer_header(&reading->got, names[i], value, sizeof value) == 0)
            json_write_field_string(&writer, names[i], value);
    json_write_object_end(&writer);
    json_write_object_end(&writer);
    return buffer_failed(response);
}

int object_lambda_handle(struct object_lambda *lambda, const char *json, size_t length,
                         uint64_t deadline_ns, struct buffer *response)
{
    struct object_lambda_event event;
    struct reading reading = {.lambda = lambda,
                              .event = &event,
                              .deadline_ns = deadline_ns,
                              .fd = -1,
                              .maximum = storage_settings_number(lambda->resources->settings,
                                                                 STORAGE_MAXIMUM_OBJECT)};

    int r = object_lambda_event_read(json, length, &event);
    if (r < 0)
        return r;
    r = event.head ? serve_head(&reading, response) : serve_get(&reading);
    if (r == 0 && !event.head)
        r = buffer_append_text(response, "{}");
    if (reading.fd >= 0)
        (void)close(reading.fd);
    (void)sha256_free(reading.hash);
    http_answer_done(&reading.got);
    object_lambda_event_done(&event);
    return r;
}
