/* Reports of a sensor that is not a host (file storage, application protection) to the console's
 * people and API port: events, health, and the policy that comes back. docs/protocol.md, "Sensors".
 *
 * No thread of its own, and nothing is sent but by flush and finish, so that a Lambda function can
 * do it after its response and at SHUTDOWN. add and set may be called from any thread at any time,
 * also while another one sends; sending is one thread's at a time (a second one waits). Events are
 * kept in memory until the console has them: at least once, de-duplicated there by (sensor, run,
 * number). When there are too many, the oldest of the least severe are given up and counted.
 * After fork() only the parent may use it. */
#ifndef COMMON_SENSOR_REPORT_SENSOR_REPORT_H
#define COMMON_SENSOR_REPORT_SENSOR_REPORT_H

#include "common/attributes.h"
#include "common/sensor_report/sensor_policy.h"
#include "common/wire/wire.h"

#include <stdbool.h>
#include <stdint.h>

struct sensor_report;

/* Copied. */
struct sensor_report_options {
    const char *url;       /* "https://console.example.com:4119", with or without "/" at the end */
    const char *key;       /* "ysk1_..." */
    const char *pin;       /* "sha256//..." of the console's CA, or NULL: see http_client.h */
    const char *authority; /* PEM, or NULL */
    const char *signing_key; /* base64 of the console's, or NULL: asked for once, over TLS */
    struct wire_sensor sensor;
    size_t queue; /* events; 0 = LIMIT_SENSOR_QUEUE */
};

/* -EINVAL when url, key or sensor cannot be right, -EBADMSG for a pin or PEM, -ENOMEM. */
int sensor_report_new(const struct sensor_report_options *options,
                      struct sensor_report **ret_report) MUST_USE;
/* Forgets what was not sent. NULL is legal. */
struct sensor_report *sensor_report_free(struct sensor_report *report);

/* module is the sensor's kind. subject and detail are cut to the suite's limits (a detail that is
 * too long becomes {"cut":true}); detail NULL = {}. time_ms 0 = now. -ENOBUFS: given up, counted.
 */
struct sensor_event {
    const char *kind;  /* [a-z][a-z0-9_]{0,63} */
    unsigned severity; /* 0 info .. 4 critical */
    const char *subject, *detail;
    uint64_t time_ms;
};
int sensor_report_add(struct sensor_report *report, const struct sensor_event *event);
/* Counters and health, a JSON object of at most LIMIT_SENSOR_FACTS_BYTES; goes with every report
 * from now on. -EMSGSIZE, -ENOMEM. */
int sensor_report_set_facts(struct sensor_report *report, const char *facts);

/* Sends what waits, or an empty report when one is due (the first one is); otherwise does nothing.
 * deadline_ns: of clock_monotonic_ns(). 0 when nothing waits any more; -EAGAIN the console or a
 * failure before asked for a pause that is not over; -ETIMEDOUT the deadline came; -EACCES the key
 * is refused; -EPROTO an answer that makes no sense; what http_client_perform returns. What was not
 * acknowledged stays. */
int sensor_report_flush(struct sensor_report *report, uint64_t deadline_ns) MUST_USE;
/* The same, without regard to pauses, and facts that changed since the last report are sent, too:
 * the last chance before the process ends. */
int sensor_report_finish(struct sensor_report *report, uint64_t deadline_ns) MUST_USE;
/* Whether flush would send something now. */
bool sensor_report_is_due(struct sensor_report *report);

/* The policy the console wants, when it is another than the one in force: 1 with the policy, 0 when
 * there is nothing to do (also before the first report). -EACCES it is not signed by the console or
 * not for this sensor, -ESTALE older than one before; otherwise as flush. After it was taken or
 * refused, call sensor_report_set_policy. */
int sensor_report_policy(struct sensor_report *report, uint64_t deadline_ns,
                         struct sensor_policy **ret_policy) MUST_USE;
/* digest: sensor_policy_digest of the policy in force, "" = none; problem: why the last one was
 * refused, "" = it was not. Told with the next report. */
void sensor_report_set_policy(struct sensor_report *report, const char *digest,
                              const char *problem);

struct sensor_report_status {
    uint64_t sent, dropped, waiting; /* events */
    char sensor_id[40];              /* "" before the first answer */
    char problem[256];               /* of the last attempt; "" = it went well */
};
void sensor_report_status(struct sensor_report *report, struct sensor_report_status *ret_status);

#endif
