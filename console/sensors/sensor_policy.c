/* Owns what a sensor gets: the console's signing key, and its policy, signed for it. Must not
 * decide which policy that is: console/policies does. */
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/signed_answer.h"
#include "console/api/api_service.h"
#include "console/certificates/signing_key.h"
#include "console/sensors/sensor_service.h"
#include "console/store/console_store.h"

#include <errno.h>

struct policy_read {
    char secret[SECRET_TEXT_BYTES], sensor_id[UUID_TEXT_BYTES];
    struct sensor_key key;
    struct sensor_record record;
    bool admitted; /* the key is good */
    char *body;    /* NULL: no policy */
};

static int read_work(struct sql *sql, void *user)
{
    struct policy_read *read = user;
    int r = sensor_key_check(sql, read->secret, &read->key);
    read->admitted = r == 1;
    if (r != 1 || !read->sensor_id[0])
        return r < 0 ? r : 0;
    r = sensor_find_by_id(sql, &read->key, read->sensor_id, &read->record);
    if (r != 1 || !read->record.policy_digest[0])
        return r < 0 ? r : 0;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    r = sql_run(sql, "SELECT body FROM policy_bodies WHERE digest = $1", &row, "t",
                read->record.policy_digest);
    if (r == 1) {
        free(read->body);
        read->body = strdup(sql_text(row, 0));
        r = read->body ? 0 : -ENOMEM;
    }
    return r;
}

/* False when it has answered. */
static bool admit(struct http_request *request, struct api_service *service,
                  struct policy_read *read)
{
    sensor_key_text(request, read->secret);
    int r = read->secret[0] ? console_store_read(service->store, read_work, read) : 0;
    if (r < 0)
        sensor_respond_failure(request, r);
    else if (!read->admitted)
        sensor_refuse_key(request);
    return r >= 0 && read->admitted;
}

void sensor_signing_key(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct policy_read read = {.body = NULL};
    struct signing_key_facts facts;
    if (!admit(request, service, &read))
        return;
    signing_key_facts(service->identity->signing, &facts);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "signing_key", facts.text);
    json_write_field_string(&json, "key_id", facts.id);
    json_write_object_end(&json);
    http_respond_buffer(request, 200, "application/json", &body);
}

static void answer_policy(struct http_request *request, struct api_service *service,
                          const struct policy_read *read)
{
    int64_t now = console_store_now_ms();
    struct wire_policy policy = {.agent_id = read->record.id,
                                 .digest = read->record.policy_digest,
                                 .body = read->body,
                                 .revision = (uint64_t)read->record.policy_revision,
                                 .issued_ms = (uint64_t)now,
                                 .expires_ms = (uint64_t)(now + SIGNING_DOCUMENT_MS)};
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    int r = wire_policy_encode(&policy, &document);
    if (r == 0)
        r = signed_answer_respond(request, service->identity->signing, &document);
    if (r < 0)
        sensor_respond_failure(request, r);
}

/* Whether If-None-Match names it: "DIGEST" with its quotes. */
static bool is_known(const struct http_request *request, const char *digest)
{
    char tag[72];
    const char *header = http_request_header(request, "If-None-Match");
    (void)text_format(tag, sizeof(tag), "\"%s\"", digest);
    return header && text_equal(header, tag);
}

void sensor_policy(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct policy_read read = {.body = NULL};
    char tag[72];
    if (http_request_query(request, "sensor", read.sensor_id, sizeof(read.sensor_id)) != 1 ||
        !wire_is_uuid(read.sensor_id)) {
        http_respond_problem(request, 400, "bad_sensor",
                             "sensor must be the sensor_id that a report was answered with");
        return;
    }
    if (!admit(request, service, &read))
        return;
    if (!read.body) {
        http_respond_problem(request, 404, "no_policy", "no policy is assigned to this sensor");
        return;
    }
    (void)text_format(tag, sizeof(tag), "\"%s\"", read.record.policy_digest);
    http_response_header(request, "ETag", tag);
    if (is_known(request, read.record.policy_digest))
        http_respond(request, 304, "application/json", "", 0);
    else
        answer_policy(request, service, &read);
    free(read.body);
}
