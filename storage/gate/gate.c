/* The gate. Owns: when a verdict is believed, and what a reader is told. Hands off: scanning,
 * tagging and publishing to object_scanner. */
#include "storage/gate/gate.h"

#include "common/aws/sqs.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/gate/gate_tags.h"
#include "storage/settings/storage_secret.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define ASKED_PLACES   512
#define ASKED_AGAIN_NS (60 * NS_PER_SECOND)
#define RETRY_SCAN_S   15
#define RETRY_BUSY_S   2
#define MOST_URL       32768
#define MOST_JOB       65536

struct gate {
    struct scan_resources *resources;
    char secret[STORAGE_SECRET_BYTES];
    bool trusts_tags;
    uint64_t fresh_ns, scan_bytes;
    uint32_t link_s;
    pthread_mutex_t lock; /* of what follows: which objects the queue was asked to scan, and when */
    struct asked {
        uint64_t object, time_ns;
    } asked[ASKED_PLACES];
};

/* One request on its way. */
struct passage {
    struct gate *gate;
    struct object_scanner *scanner;
    const struct gate_request *request;
    uint64_t deadline_ns;
    struct storage_object object; /* pinned once it was found */
    struct gate_answer *answer;
};

void gate_answer_done(struct gate_answer *answer)
{
    buffer_done(&answer->location);
}

int gate_answer_write(const struct gate_answer *answer, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "verdict", answer->verdict);
    json_write_field_string(&writer, "problem", answer->problem);
    json_write_object_end(&writer);
    return buffer_failed(json);
}

/* ---- a gate ---- */

int gate_new(struct scan_resources *resources, struct gate **ret_gate, char *problem,
             size_t problem_size)
{
    const struct storage_settings *settings = resources->settings;
    struct aws_client *client = NULL;
    struct gate *gate;

    if (storage_settings_list(settings, STORAGE_BUCKETS)[0] == NULL) {
        (void)text_copy(problem, problem_size,
                        "buckets is not set: the gate gives out only what it names");
        return -EINVAL;
    }
    gate = calloc(1, sizeof *gate);
    if (gate == NULL)
        return -ENOMEM;
    gate->resources = resources;
    gate->trusts_tags = storage_settings_number(settings, STORAGE_SKIP_SAME) != 0;
    gate->fresh_ns = storage_settings_number(settings, STORAGE_GATE_FRESH);
    gate->scan_bytes = storage_settings_number(settings, STORAGE_GATE_SCAN);
    gate->link_s = (uint32_t)(storage_settings_number(settings, STORAGE_GATE_LINK) / NS_PER_SECOND);
    (void)pthread_mutex_init(&gate->lock, NULL);
    int r = aws_client_new(&resources->aws, NULL, &client);
    if (r == 0)
        r = storage_secret_load(settings, STORAGE_GATE_SECRET, STORAGE_GATE_PARAMETER, client,
                                gate->secret, problem, problem_size);
    else
        (void)text_copy(problem, problem_size, log_error_text(r));
    (void)aws_client_free(client);
    if (r < 0)
        return (void)gate_free(gate), r;
    *ret_gate = gate;
    return 0;
}

struct gate *gate_free(struct gate *gate)
{
    if (gate == NULL)
        return NULL;
    explicit_bzero(gate->secret, sizeof gate->secret);
    (void)pthread_mutex_destroy(&gate->lock);
    free(gate);
    return NULL;
}

const char *gate_secret(const struct gate *gate)
{
    return gate->secret;
}

/* ---- answers ---- */

static void answer(struct passage *passage, unsigned status, const char *verdict,
                   const char *problem)
{
    passage->answer->status = status;
    passage->answer->verdict = verdict;
    (void)text_copy(passage->answer->problem, sizeof passage->answer->problem, problem);
    if (status == 503)
        passage->answer->retry_after_s = RETRY_BUSY_S;
}

static struct s3_object s3_of(const struct passage *passage)
{
    const struct storage_object *object = &passage->object;
    const char *owner = storage_settings_text(passage->gate->resources->settings, STORAGE_OWNER);

    return (struct s3_object){.bucket = object->bucket,
                              .key = object->key,
                              .version = object->version[0] != '\0' ? object->version : NULL,
                              .etag = object->etag[0] != '\0' ? object->etag : NULL,
                              .owner = owner[0] != '\0' ? owner : NULL};
}

static void give_link(struct passage *passage)
{
    const struct s3_object object = s3_of(passage);
    char problem[512];

    if (s3_link(object_scanner_client(passage->scanner), &object,
                passage->request->head ? "HEAD" : "GET", passage->gate->link_s,
                &passage->answer->location, problem, sizeof problem) == AWS_OK) {
        answer(passage, 302, "clean", "");
        return;
    }
    log_error("link_not_made", "problem", problem, NULL);
    answer(passage, 503, "", "a link cannot be made now");
}

/* ---- the queue ---- */

static uint64_t mark_of(const struct storage_object *object)
{
    const char *const parts[] = {object->bucket, object->key, object->version, object->etag};
    uint64_t hash = 14695981039346656037U; /* FNV-1a: a collision costs one minute's wait */

    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++)
        for (const char *c = parts[i];; c++) {
            hash = (hash ^ (unsigned char)*c) * 1099511628211U;
            if (*c == '\0')
                break;
        }
    return hash;
}

/* True once a minute for an object, whoever and however often asks for it. */
static bool is_to_be_asked(struct gate *gate, const struct storage_object *object)
{
    uint64_t mark = mark_of(object), now = clock_monotonic_ns();
    bool due = false;

    (void)pthread_mutex_lock(&gate->lock);
    struct asked *place = &gate->asked[mark % ASKED_PLACES];
    if (place->object != mark || now - place->time_ns > ASKED_AGAIN_NS) {
        *place = (struct asked){mark, now};
        due = true;
    }
    (void)pthread_mutex_unlock(&gate->lock);
    return due;
}

static bool ask_queue(struct passage *passage, const char *queue)
{
    AUTO_BUFFER struct buffer job = BUFFER_WITH_MAXIMUM(MOST_JOB);
    bool failed[SQS_MOST_MESSAGES] = {false};
    struct aws_answer got;

    passage->object.trigger = STORAGE_TRIGGER_READ;
    if (storage_event_write_job(&passage->object, 1, &job) < 0)
        return false;
    const char *body = buffer_text(&job);
    enum aws_outcome outcome =
        sqs_send(object_scanner_client(passage->scanner), queue, &body, 1, failed, &got);
    if (outcome != AWS_OK || failed[0])
        log_error("scan_not_asked", "problem", got.problem, NULL);
    aws_answer_done(&got);
    return outcome == AWS_OK && !failed[0];
}

static void leave_to_queue(struct passage *passage)
{
    const char *queue = storage_settings_text(passage->gate->resources->settings, STORAGE_QUEUE);

    if (queue[0] == '\0') {
        answer(passage, 403, "", "it is too large to be scanned while it is read");
        return;
    }
    if (is_to_be_asked(passage->gate, &passage->object) && !ask_queue(passage, queue)) {
        answer(passage, 503, "", "its scan cannot be asked for now");
        return;
    }
    answer(passage, 202, "", "it is being scanned: ask again");
    passage->answer->retry_after_s = RETRY_SCAN_S;
}

/* ---- scanning ---- */

static void answer_result(struct passage *passage, const struct storage_result *result)
{
    const char *verdict = storage_verdict_name(result->verdict);

    switch (result->verdict) {
    case STORAGE_CLEAN:
        (void)text_copy(passage->object.version, sizeof passage->object.version,
                        result->object.version);
        give_link(passage);
        break;
    case STORAGE_INFECTED:
        answer(passage, 403, verdict, "it is malicious");
        break;
    case STORAGE_DELETED:
        answer(passage, 404, verdict, "it is gone");
        break;
    case STORAGE_SUPERSEDED:
        answer(passage, 503, verdict, "it was just written over: ask again");
        break;
    default:
        answer(passage, 403, verdict,
               result->reason[0] != '\0' ? result->reason : "it could not be scanned whole");
    }
}

static bool has_engine(const struct passage *passage)
{
    char signatures[SCAN_SIGNATURES_BYTES];

    scan_service_signatures(passage->gate->resources->service, signatures);
    return signatures[0] != '\0';
}

static void scan_now(struct passage *passage)
{
    const struct scan_order order = {.message_id = "", .deadline_ns = passage->deadline_ns};
    struct storage_result result;

    passage->object.trigger = STORAGE_TRIGGER_READ;
    if (object_scanner_run(passage->scanner, &passage->object, &order, &result) == 0)
        answer_result(passage, &result);
    else
        leave_to_queue(passage);
}

/* ---- the way ---- */

/* True: found and pinned. */
static bool find_object(struct passage *passage)
{
    const struct s3_object asked = s3_of(passage);
    struct s3_facts facts;
    struct aws_answer got;

    enum aws_outcome outcome =
        s3_head(object_scanner_client(passage->scanner), &asked, &facts, &got);
    if (outcome != AWS_OK && outcome != AWS_NOT_FOUND)
        log_warning("object_not_seen", "bucket", asked.bucket, "problem", got.problem, NULL);
    aws_answer_done(&got);
    if (outcome == AWS_NOT_FOUND)
        answer(passage, 404, "", "there is no such object");
    else if (outcome == AWS_REFUSED)
        answer(passage, 404, "", "there is no such version");
    else if (outcome == AWS_DENIED)
        answer(passage, 403, "", "the gate may not read it");
    else if (outcome != AWS_OK)
        answer(passage, 503, "", "the bucket does not answer now");
    if (outcome != AWS_OK)
        return false;
    (void)text_copy(passage->object.version, sizeof passage->object.version, facts.version);
    (void)text_copy(passage->object.etag, sizeof passage->object.etag, facts.etag);
    passage->object.size = facts.size;
    passage->object.size_known = true;
    return true;
}

static enum gate_known what_tags_say(struct passage *passage)
{
    const struct gate *gate = passage->gate;
    const struct s3_object object = s3_of(passage);
    char signatures[SCAN_SIGNATURES_BYTES];
    struct s3_tags tags;
    struct aws_answer got;

    if (!gate->trusts_tags)
        return GATE_UNKNOWN;
    enum aws_outcome outcome =
        s3_get_tags(object_scanner_client(passage->scanner), &object, &tags, &got);
    aws_answer_done(&got);
    if (outcome != AWS_OK)
        return GATE_UNKNOWN;
    scan_service_signatures(gate->resources->service, signatures);
    return gate_tags_judge(&gate->resources->tagger, &tags, signatures, clock_realtime_ns(),
                           gate->fresh_ns);
}

static void pass(struct passage *passage)
{
    if (!find_object(passage))
        return;
    switch (what_tags_say(passage)) {
    case GATE_CLEAN:
        give_link(passage);
        break;
    case GATE_INFECTED:
        answer(passage, 403, "infected", "it is malicious");
        break;
    case GATE_NOT_CLEAN:
        answer(passage, 403, "incomplete", "it could not be scanned whole");
        break;
    default:
        if (passage->object.size <= passage->gate->scan_bytes && has_engine(passage))
            scan_now(passage);
        else
            leave_to_queue(passage);
    }
}

static bool is_understood(struct passage *passage, int error)
{
    static const struct {
        int error;
        unsigned status;
        const char *problem;
    } answers[] = {{-ENOENT, 404, "ask " GATE_PATH "?bucket=...&key=..."},
                   {-EPERM, 405, "GET and HEAD only"},
                   {-ENOMEM, 503, "memory is short"}};

    for (size_t i = 0; i < ARRAY_LENGTH(answers); i++)
        if (error == answers[i].error) {
            answer(passage, answers[i].status, "", answers[i].problem);
            return false;
        }
    if (error < 0)
        answer(passage, 400, "", "ask " GATE_PATH "?bucket=...&key=...");
    return error == 0;
}

static void note(const struct passage *passage)
{
    const struct storage_settings *settings = passage->gate->resources->settings;
    bool shown = storage_settings_number(settings, STORAGE_REPORT_KEY) != 0;

    log_info("object_read", "status", log_number(passage->answer->status), "bucket",
             passage->request->bucket, "key", shown ? passage->request->key : NULL, "version",
             passage->object.version, "verdict", passage->answer->verdict, NULL);
}

void gate_serve(struct gate *gate, struct object_scanner *scanner,
                const struct gate_request *request, int error, uint64_t deadline_ns,
                struct gate_answer *ret_answer)
{
    struct passage passage = {.gate = gate,
                              .scanner = scanner,
                              .request = request,
                              .deadline_ns = deadline_ns,
                              .answer = ret_answer};

    *ret_answer = (struct gate_answer){.verdict = "", .location = BUFFER_WITH_MAXIMUM(MOST_URL)};
    (void)text_copy(passage.object.bucket, sizeof passage.object.bucket, request->bucket);
    (void)text_copy(passage.object.key, sizeof passage.object.key, request->key);
    (void)text_copy(passage.object.version, sizeof passage.object.version, request->version);
    if (!is_understood(&passage, error))
        return;
    /* Whoever may not read learns nothing of what is there. */
    if (!gate_request_is_allowed(request, gate->secret, clock_realtime_ns() / NS_PER_SECOND))
        answer(&passage, 403, "", "the link is wrong or has expired");
    else if (!object_scanner_wants(scanner, &passage.object))
        answer(&passage, 403, "", "the gate is not for this object");
    else
        pass(&passage);
    note(&passage);
}
