/* An object's way. Owns: the order of the steps, and what a failure at each of them means. */
#include "storage/scan/object_scanner.h"

#include "common/aws/sns.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/scan/object_scanner_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define FIRST_BYTES 8
/* The platform gives a function 10 s before it begins the start again from nothing; what is not
 * loaded by then is loaded while the first event waits. */
#define START_TIME_NS (8500 * NS_PER_MS)

/* ---- what is shared ---- */

static int read_aws(struct scan_resources *resources)
{
    const char *variable;

    int r = aws_settings_from_environment(&resources->aws, &variable);
    if (r < 0)
        log_error("environment_refused", "variable", variable, "problem", log_error_text(r), NULL);
    return r;
}

static void find_name(struct scan_resources *resources)
{
    const char *name = storage_settings_text(resources->settings, STORAGE_NAME);
    const char *function = getenv("AWS_LAMBDA_FUNCTION_NAME");

    if (name[0] == '\0' && function != NULL)
        name = function;
    if (name[0] != '\0')
        (void)text_copy(resources->name, sizeof resources->name, name);
    else if (gethostname(resources->name, sizeof resources->name) < 0)
        (void)text_copy(resources->name, sizeof resources->name, "yagura-storage");
    resources->name[sizeof resources->name - 1] = '\0';
}

int scan_resources_start(const struct storage_settings *settings, bool scans,
                         struct scan_resources *ret_resources)
{
    *ret_resources =
        (struct scan_resources){.settings = settings, .begun_ns = clock_monotonic_ns()};
    find_name(ret_resources);
    ret_resources->tagger.prefix = storage_settings_text(settings, STORAGE_TAG_PREFIX);
    int r = tag_format_read(storage_settings_text(settings, STORAGE_TAG_FORMAT),
                            &ret_resources->tagger.format);
    const char *topic = storage_settings_text(settings, STORAGE_TOPIC);
    if (r == 0)
        r = read_aws(ret_resources);
    if (r == 0)
        r = tag_sight_new(&ret_resources->tag_sight);
    if (r == 0 && topic[0] != '\0')
        r = publisher_new(topic, &ret_resources->publisher);
    if (r == 0 && scans)
        r = fetch_pool_new(&ret_resources->aws,
                           (size_t)storage_settings_number(settings, STORAGE_RANGES),
                           &ret_resources->pool);
    if (r == 0 && scans)
        r = signature_mirror_start(settings, &ret_resources->aws, &ret_resources->mirror);
    if (r == 0 && scans)
        r = scan_service_start(settings, ret_resources->mirror, &ret_resources->service);
    if (r < 0) {
        log_error("scanner_not_started", "problem", log_error_text(r), NULL);
        scan_resources_stop(ret_resources);
    }
    return r;
}

void scan_resources_stop(struct scan_resources *resources)
{
    signature_mirror_abandon(resources->mirror); /* the service may still wait for it */
    resources->service = scan_service_stop(resources->service);
    resources->mirror = signature_mirror_stop(resources->mirror);
    resources->pool = fetch_pool_free(resources->pool);
    resources->publisher = publisher_free(resources->publisher);
    resources->tag_sight = tag_sight_free(resources->tag_sight);
    aws_settings_wipe(&resources->aws);
}

int scan_resources_wait(struct scan_resources *resources)
{
    return scan_service_wait(resources->service, resources->begun_ns + START_TIME_NS);
}

void scan_resources_hurry(struct scan_resources *resources)
{
    __atomic_store_n(&resources->stopping, true, __ATOMIC_RELAXED);
    signature_mirror_abandon(resources->mirror);
    if (resources->service != NULL)
        scan_service_abandon(resources->service);
}

static bool is_stopping(void *user)
{
    const struct scan_resources *resources = user;

    return __atomic_load_n(&resources->stopping, __ATOMIC_RELAXED);
}

int object_scanner_new(struct scan_resources *resources, struct object_scanner **ret_scanner)
{
    struct object_scanner *scanner = calloc(1, sizeof *scanner);

    if (scanner == NULL)
        return -ENOMEM;
    scanner->resources = resources;
    int r = aws_client_new(&resources->aws, NULL, &scanner->client);
    if (r < 0) {
        free(scanner);
        return r;
    }
    aws_client_set_cancel(scanner->client, is_stopping, resources);
    *ret_scanner = scanner;
    return 0;
}

struct object_scanner *object_scanner_free(struct object_scanner *scanner)
{
    if (scanner == NULL)
        return NULL;
    (void)aws_client_free(scanner->client);
    free(scanner);
    return NULL;
}

struct aws_client *object_scanner_client(struct object_scanner *scanner)
{
    return scanner->client;
}

const char *object_scanner_directory(const struct object_scanner *scanner)
{
    return storage_settings_text(scanner->resources->settings, STORAGE_DIRECTORY);
}

/* ---- which objects ---- */

static bool matches(char *const *list, const char *text,
                    bool (*fits)(const char *text, const char *entry))
{
    if (list[0] == NULL)
        return true;
    for (; *list != NULL; list++)
        if (fits(text, *list))
            return true;
    return false;
}

bool object_scanner_wants(const struct object_scanner *scanner, const struct storage_object *object)
{
    const struct storage_settings *settings = scanner->resources->settings;

    return matches(storage_settings_list(settings, STORAGE_BUCKETS), object->bucket, text_equal) &&
           matches(storage_settings_list(settings, STORAGE_PREFIXES), object->key,
                   text_starts_with) &&
           matches(storage_settings_list(settings, STORAGE_SUFFIXES), object->key, text_ends_with);
}

static const char *or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

struct s3_object object_scanner_s3(const struct object_scanner *scanner,
                                   const struct storage_object *object)
{
    const struct storage_settings *settings = scanner->resources->settings;

    return (struct s3_object){.bucket = object->bucket,
                              .key = object->key,
                              .version = or_null(object->version),
                              .etag = or_null(object->etag),
                              .region = or_null(object->region),
                              .owner = or_null(storage_settings_text(settings, STORAGE_OWNER))};
}

/* ---- fetching ---- */

static int later(const struct object_scanner *scanner, const struct storage_object *object,
                 const char *step, const char *problem)
{
    bool shown = storage_settings_number(scanner->resources->settings, STORAGE_REPORT_KEY) != 0;

    log_warning("object_later", "step", step, "bucket", object->bucket, "key",
                shown ? object->key : NULL, "problem", problem, NULL);
    return -EAGAIN;
}

/* What S3 will say again however often it is asked: the key that the object is encrypted with is
 * its writer's, or may not be used. Sources:
 * https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html */
static const char *lasting_refusal(const struct fetched *fetched)
{
    static const struct {
        const char *code, *words, *reason;
    } refusals[] = {
        {"InvalidRequest", "Server Side Encryption", REASON_CUSTOMER_KEY},
        {"AccessDenied", "kms:Decrypt", REASON_KMS_KEY},
        {"AccessDenied", "The ciphertext refers to", REASON_KMS_KEY},
        {"KMS.DisabledException", "", REASON_KMS_KEY},
        {"KMS.NotFoundException", "", REASON_KMS_KEY},
        {"KMS.KMSInvalidStateException", "", REASON_KMS_KEY},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++)
        if (text_equal(fetched->code, refusals[i].code) &&
            strstr(fetched->problem, refusals[i].words) != NULL)
            return refusals[i].reason;
    return NULL;
}

/* A verdict although nothing was scanned; -EAGAIN when trying again may help. */
static int judge_failure(const struct object_scanner *scanner, enum aws_outcome outcome,
                         const struct fetched *fetched, struct storage_result *result)
{
    if (outcome == AWS_NOT_FOUND) {
        result->verdict = STORAGE_DELETED;
        return 0;
    }
    if (outcome == AWS_CHANGED) {
        result->verdict = STORAGE_SUPERSEDED;
        return 0;
    }
    if (text_equal(fetched->code, "InvalidObjectState")) {
        storage_result_take_incomplete(result, 199, "archived",
                                       "it is in an archive class: restore it to have it scanned");
        return 0;
    }
    if (text_equal(fetched->code, "MethodNotAllowed")) { /* a delete marker's version */
        result->verdict = STORAGE_DELETED;
        return 0;
    }
    const char *refusal = lasting_refusal(fetched);
    if (refusal != NULL) {
        (void)text_copy(result->reason, sizeof result->reason, refusal);
        (void)text_copy(result->problem, sizeof result->problem, fetched->problem);
        return 0;
    }
    return later(scanner, &result->object, "fetch", fetched->problem);
}

static void take_facts(const struct fetched *fetched, uint64_t asked_ns,
                       struct storage_result *result)
{
    struct storage_object *object = &result->object;

    (void)text_copy(object->etag, sizeof object->etag, fetched->facts.etag);
    if (fetched->facts.version[0] != '\0')
        (void)text_copy(object->version, sizeof object->version, fetched->facts.version);
    object->size = fetched->facts.size;
    object->size_known = true;
    (void)text_copy(result->modified, sizeof result->modified, fetched->facts.modified);
    (void)text_copy(result->sha256, sizeof result->sha256, fetched->sha256);
    result->untagged_ns = fetched->by_one_get && fetched->facts.tags == 0 ? asked_ns : 0;
}

void scan_resources_note_engine(struct scan_resources *resources, struct storage_result *result)
{
    struct scanner_status status;

    scan_service_status(resources->service, &status);
    scan_service_signatures(resources->service, result->signatures);
    (void)text_copy(result->engine_version, sizeof result->engine_version, status.engine_version);
    (void)text_copy(result->sandbox, sizeof result->sandbox, status.sandbox);
}

static int scan_fetched(struct object_scanner *scanner, const struct fetched *fetched,
                        uint64_t deadline_ns, struct storage_result *result)
{
    struct scan_result scan;
    char first[FIRST_BYTES];

    if (fetched->too_large) {
        scan_resources_note_engine(scanner->resources, result);
        storage_result_take_incomplete(result, 199, "object-size",
                                       "it is larger than objects are scanned");
        return 0;
    }
    ssize_t length = pread(fetched->fd, first, sizeof first, 0);
    scan_service_scan(scanner->resources->service, fetched->fd, deadline_ns, &scan);
    scan_resources_note_engine(scanner->resources, result);
    /* Ours, not the object's fault: without an engine, or given up while it waited its turn. */
    if (scan.verdict == SCAN_ERROR &&
        (scan.reason == SCAN_REASON_NO_ENGINE || scan.reason == SCAN_REASON_TIME ||
         scan.reason == SCAN_REASON_READ || is_stopping(scanner->resources)))
        return later(scanner, &result->object, "scan", scan_reason_name(scan.reason));
    storage_result_take_scan(result, &scan, first, length > 0 ? (size_t)length : 0);
    return 0;
}

static void begin_result(const struct object_scanner *scanner, const struct storage_object *object,
                         struct storage_result *result)
{
    *result = (struct storage_result){.object = *object,
                                      .verdict = STORAGE_ERROR,
                                      .status = STORAGE_STATUS_UNSUCCESSFUL,
                                      .begin_ns = clock_realtime_ns()};
    if (object->region[0] == '\0')
        (void)text_copy(result->object.region, sizeof result->object.region,
                        scanner->resources->aws.region);
}

int object_scanner_look(struct object_scanner *scanner, const struct storage_object *object,
                        uint64_t deadline_ns, struct storage_result *ret_result)
{
    const struct storage_settings *settings = scanner->resources->settings;
    const struct fetch_limits limits = {
        .maximum = storage_settings_number(settings, STORAGE_MAXIMUM_OBJECT),
        .memory = storage_settings_number(settings, STORAGE_MEMORY_OBJECT),
        .part = storage_settings_number(settings, STORAGE_RANGE),
        .directory = storage_settings_text(settings, STORAGE_DIRECTORY),
    };
    const struct s3_object wanted = object_scanner_s3(scanner, object);
    struct fetched fetched;

    begin_result(scanner, object, ret_result);
    uint64_t asked_ns = clock_monotonic_ns();
    enum aws_outcome outcome =
        fetch_object(scanner->client, scanner->resources->pool, &limits, &wanted,
                     object->size_known, object->size, deadline_ns, &fetched);
    if (outcome == AWS_OK)
        take_facts(&fetched, asked_ns, ret_result);
    int r = outcome == AWS_OK ? scan_fetched(scanner, &fetched, deadline_ns, ret_result)
                              : judge_failure(scanner, outcome, &fetched, ret_result);
    fetched_done(&fetched);
    return r;
}

/* ---- publishing ---- */

static int publish(struct object_scanner *scanner, const struct storage_result *result,
                   const char *message_id)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(SNS_MOST_MESSAGE);
    const struct storage_settings *settings = scanner->resources->settings;
    struct aws_pair attributes[STORAGE_RESULT_ATTRIBUTES];
    char problem[PUBLISHER_PROBLEM_BYTES];

    if (scanner->resources->publisher == NULL ||
        (result->verdict == STORAGE_CLEAN &&
         text_equal(storage_settings_text(settings, STORAGE_PUBLISH), "findings")))
        return 0;
    if (storage_result_write(result, scanner->resources->name, message_id, &json) < 0)
        return later(scanner, &result->object, "publish", "the message is too long");
    size_t count = storage_result_attributes(result, attributes);
    enum aws_outcome outcome = publisher_publish(scanner->resources->publisher, scanner->client,
                                                 buffer_text(&json), attributes, count, problem);
    return outcome == AWS_OK ? 0 : later(scanner, &result->object, "publish", problem);
}

/* ---- all of it ---- */

static void tell(struct object_scanner *scanner, const struct storage_result *result)
{
    struct scan_resources *resources = scanner->resources;
    bool shown = storage_settings_number(resources->settings, STORAGE_REPORT_KEY) != 0;
    bool quiet = result->verdict == STORAGE_CLEAN || result->verdict == STORAGE_SUPERSEDED ||
                 result->verdict == STORAGE_DELETED;

    log_event(quiet ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "object_scanned", "verdict",
              storage_verdict_name(result->verdict), "bucket", result->object.bucket, "key",
              shown ? result->object.key : NULL, "version", or_null(result->object.version),
              "signature", or_null(result->signature), "reason", or_null(result->reason),
              "untagged", or_null(result->tag_problem), "bytes",
              log_number((int64_t)result->object.size), NULL);
    if (resources->told != NULL)
        resources->told(resources->told_user, result);
}

int object_scanner_tell(struct object_scanner *scanner, const struct storage_result *result,
                        const char *message_id)
{
    int r = publish(scanner, result, message_id);

    if (r == 0)
        tell(scanner, result);
    return r;
}

/* Tags are trusted only where a person said so: then what these signatures found clean need not be
 * looked at again. */
static bool is_known_clean(struct object_scanner *scanner, const struct storage_object *object,
                           struct storage_result *result)
{
    const struct s3_object wanted = object_scanner_s3(scanner, object);
    struct s3_tags tags;
    struct aws_answer answer;

    if (storage_settings_number(scanner->resources->settings, STORAGE_SKIP_SAME) == 0)
        return false;
    begin_result(scanner, object, result);
    scan_resources_note_engine(scanner->resources, result);
    enum aws_outcome outcome = s3_get_tags(scanner->client, &wanted, &tags, &answer);
    aws_answer_done(&answer);
    if (outcome != AWS_OK ||
        !tagger_is_current(&scanner->resources->tagger, &tags, result->signatures))
        return false;
    result->verdict = STORAGE_CLEAN;
    result->status = STORAGE_STATUS_SCANNED;
    result->cached = result->tagged = true;
    return true;
}

/* -ESTALE: another content may bear a verdict that is not its own. */
static int run_once(struct object_scanner *scanner, const struct storage_object *object,
                    const struct scan_order *order, struct storage_result *result)
{
    int r = 0;

    if (!is_known_clean(scanner, object, result)) {
        r = object_scanner_look(scanner, object, order->deadline_ns, result);
        if (r < 0)
            return r;
        if (result->verdict == STORAGE_SUPERSEDED && order->again && !object_is_fixed(object))
            return -ESTALE;
        bool about_it = result->verdict != STORAGE_SUPERSEDED && result->verdict != STORAGE_DELETED;
        r = about_it ? object_tags_write(scanner, result) : 0;
    }
    if (r == -ESTALE)
        return r;
    /* Malware is told even when it could not be tagged. */
    bool told = r == 0 || result->verdict == STORAGE_INFECTED;
    bool published =
        told && result->verdict != STORAGE_SUPERSEDED && result->verdict != STORAGE_DELETED;
    if (published && publish(scanner, result, order->message_id) < 0)
        return -EAGAIN;
    if (r < 0)
        return later(scanner, object, "tag", result->tag_problem);
    tell(scanner, result);
    return 0;
}

int object_scanner_run(struct object_scanner *scanner, const struct storage_object *object,
                       const struct scan_order *order, struct storage_result *ret_result)
{
    enum { MOST_CONTENTS = 3 };
    struct storage_object current = *object;
    int r = -ESTALE;

    for (unsigned i = 0; r == -ESTALE && i < MOST_CONTENTS; i++) {
        r = run_once(scanner, &current, order, ret_result);
        if (r != -ESTALE)
            return r;
        /* Its tags were ours for a moment: whatever stands there now is scanned by us. */
        ret_result->verdict = STORAGE_SUPERSEDED;
        tell(scanner, ret_result);
        current.etag[0] = current.version[0] = '\0';
        current.size_known = false;
    }
    return later(scanner, object, "tag", "it is written over again and again");
}
