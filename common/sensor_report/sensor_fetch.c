/* Owns the way of a policy from the console to the sensor: fetched, checked, parsed. */
#include "common/crypto/keys.h"
#include "common/limits.h"
#include "common/sensor_report/sensor_internal.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire_read.h"

#include <errno.h>

#define ENVELOPE_MAXIMUM (2 * (size_t)LIMIT_SIGNED_DOCUMENT_BYTES)
#define AGAIN_NS         (60 * NS_PER_SECOND) /* after an answer that is no policy of ours */

static int fetch_key(struct sensor_report *report, uint64_t deadline_ns)
{
    struct http_answer answer;
    struct wire_problem problem;
    json_t *root = NULL;
    const char *text = NULL;
    int r = sensor_exchange(report, "/api/v1/sensor/key", NULL, SENSOR_ANSWER_MAXIMUM, deadline_ns,
                            &answer);
    if (r == 0 && answer.status != 200)
        r = sensor_judge_status(report, &answer);
    if (r == 0)
        r = wire_text_decode(buffer_text(&answer.body), answer.body.length, "signing_key",
                             sizeof(report->keys.current) - 1, &root, &text, &problem);
    if (r == 0)
        (void)text_copy(report->keys.current, sizeof(report->keys.current), text);
    json_decref(root);
    http_answer_done(&answer);
    return r;
}

static int judge_policy(struct sensor_report *report, const struct wire_policy *policy,
                        const char *sensor_id)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;
    if (!text_equal(policy->agent_id, sensor_id) || policy->expires_ms < now_ms)
        return -EACCES;
    return policy->revision < report->revision ? -ESTALE : 0;
}

static int decode_policy(struct sensor_report *report, const struct buffer *body,
                         const char *sensor_id, struct wire_policy *policy)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    struct wire_problem problem = {""};
    json_t *root = NULL;
    const char *document = NULL;
    bool changed;
    int r = console_keys_judge(&report->keys, buffer_text(body), body->length,
                               clock_realtime_ns() / NS_PER_MS, &key, &changed);
    if (r == 0)
        r = wire_signed_decode(buffer_text(body), body->length, key, &root, &document, &problem);
    if (r == 0)
        r = wire_policy_decode(document, policy, &problem);
    json_decref(root);
    return r < 0 ? r : judge_policy(report, policy, sensor_id);
}

int sensor_take_policy(struct sensor_report *report, const struct buffer *body,
                       const char *sensor_id, const char *digest, struct sensor_policy **ret_policy)
{
    struct wire_policy policy = {.root = NULL};
    char said[256] = "";
    int r = decode_policy(report, body, sensor_id, &policy);
    if (r == 0) {
        r = sensor_policy_new(&policy, ret_policy, said);
        if (r == -EINVAL)
            sensor_report_set_policy(report, report->policy_digest, said);
    }
    if (r == 0 || r == -EINVAL)
        (void)text_copy(report->fetched_digest, sizeof(report->fetched_digest), digest);
    else
        report->fetch_ns = clock_monotonic_ns() + AGAIN_NS;
    if (r == 0)
        report->revision = policy.revision;
    wire_policy_done(&policy);
    return r < 0 ? r : 1;
}

static int fetch_policy(struct sensor_report *report, uint64_t deadline_ns, const char *sensor_id,
                        const char *digest, struct sensor_policy **ret_policy)
{
    char path[128];
    struct http_answer answer;
    int r = report->keys.current[0] ? 0 : fetch_key(report, deadline_ns);
    if (r < 0)
        return r;
    (void)text_format(path, sizeof(path), "/api/v1/sensor/policy?sensor=%s", sensor_id);
    r = sensor_exchange(report, path, NULL, ENVELOPE_MAXIMUM, deadline_ns, &answer);
    if (r == 0 && answer.status == 200)
        r = sensor_take_policy(report, &answer.body, sensor_id, digest, ret_policy);
    if (r == 0 && answer.status != 200 && answer.status != 404)
        r = sensor_judge_status(report, &answer);
    http_answer_done(&answer);
    return r;
}

int sensor_report_policy(struct sensor_report *report, uint64_t deadline_ns,
                         struct sensor_policy **ret_policy)
{
    char sensor_id[UUID_TEXT_BYTES], digest[65];
    (void)pthread_mutex_lock(&report->sending);
    (void)pthread_mutex_lock(&report->lock);
    (void)text_copy(sensor_id, sizeof(sensor_id), report->sensor_id);
    (void)text_copy(digest, sizeof(digest), report->wanted_digest);
    bool wanted = digest[0] && !text_equal(digest, report->policy_digest) &&
                  !text_equal(digest, report->fetched_digest) &&
                  clock_monotonic_ns() >= MAX(report->pause_until_ns, report->fetch_ns);
    (void)pthread_mutex_unlock(&report->lock);
    int r = wanted ? fetch_policy(report, deadline_ns, sensor_id, digest, ret_policy) : 0;
    (void)pthread_mutex_unlock(&report->sending);
    return r;
}
