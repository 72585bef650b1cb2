/* Shared by the files of common/sensor_report only. lock guards what is to be told and what is
 * known; sending, which is taken first, guards the connection. lock is never held over the network.
 */
#ifndef COMMON_SENSOR_REPORT_SENSOR_INTERNAL_H
#define COMMON_SENSOR_REPORT_SENSOR_INTERNAL_H

#include "common/crypto/random.h"
#include "common/http_client/http_client.h"
#include "common/sensor_report/sensor_queue.h"
#include "common/sensor_report/sensor_report.h"
#include "common/wire/console_keys.h"

#include <pthread.h>

#define SENSOR_TEXTS          8
#define SENSOR_ANSWER_MAXIMUM 65536

struct sensor_report {
    pthread_mutex_t lock, sending;
    struct http_client *client; /* sending */
    char *url, *authorization;
    char *texts[SENSOR_TEXTS]; /* what sensor points to */
    struct wire_sensor sensor;
    char epoch[UUID_TEXT_BYTES];
    struct sensor_queue *queue;
    char *facts;
    bool facts_untold; /* since the last report: worth one more at the end */
    uint64_t due_ns, pause_until_ns, pause_ns; /* monotonic; pause_ns: the last one */
    uint64_t sent;
    char sensor_id[UUID_TEXT_BYTES], wanted_digest[65];
    char fetched_digest[65]; /* sending; signed and for us: it is not fetched again */
    uint64_t fetch_ns;       /* sending; monotonic: no policy is fetched before */
    char policy_digest[65], policy_problem[1024], problem[256];
    struct console_keys keys; /* sending */
    uint64_t revision;        /* sending; the last policy's */
};

/* The answer, or an error. body NULL: GET. With sending. */
int sensor_exchange(struct sensor_report *report, const char *path, const struct buffer *body,
                    size_t maximum, uint64_t deadline_ns, struct http_answer *ret_answer) MUST_USE;
/* What an answer that is not the wanted one means: an error, and a pause where it asks for one. */
int sensor_judge_status(struct sensor_report *report, const struct http_answer *answer) MUST_USE;
/* An answer that should be the policy of this digest: 1 and the policy, or an error. One that is
 * not signed, not ours or not valid now is fetched again, after a while. With sending. */
int sensor_take_policy(struct sensor_report *report, const struct buffer *body,
                       const char *sensor_id, const char *digest,
                       struct sensor_policy **ret_policy) MUST_USE;

#endif
