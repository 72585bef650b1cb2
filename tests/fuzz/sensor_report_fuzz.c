/* What a sensor, or who has its key, may send: every body is refused with a reason, or read whole;
 * a report that was read and is written again reads the same. The console's answer likewise. */
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void require_same(const char *a, const char *b)
{
    require(text_equal(a, b));
}

static void write_again(struct wire_sensor_report *first)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(64 * 1024 * 1024);
    struct wire_sensor_report second;
    struct wire_problem problem;
    require(wire_sensor_report_encode(first, &body) == 0);
    require(wire_sensor_report_decode(buffer_text(&body), body.length, &second, &problem) == 0);
    require_same(first->sensor.kind, second.sensor.kind);
    require_same(first->sensor.name, second.sensor.name);
    require_same(first->sensor.arn, second.sensor.arn);
    require_same(first->epoch, second.epoch);
    require_same(first->policy_problem, second.policy_problem);
    require(first->dropped == second.dropped && first->event_count == second.event_count);
    for (size_t i = 0; i < first->event_count; i++) {
        require(first->events[i].number == second.events[i].number);
        require_same(first->events[i].subject, second.events[i].subject);
        require_same(first->events[i].detail, second.events[i].detail);
    }
    wire_sensor_report_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire_sensor_report report;
    struct wire_sensor_reply reply;
    struct wire_problem problem = {""};
    AUTO_FREE char *text = text_new(data, size);
    require(text != NULL);
    if (wire_sensor_report_decode(text, size, &report, &problem) == 0) {
        require(report.event_count <= LIMIT_HEARTBEAT_EVENTS);
        require(wire_is_sensor_kind(report.sensor.kind));
        write_again(&report);
        wire_sensor_report_done(&report);
    } else {
        require(problem.text[0]);
    }
    if (wire_sensor_reply_decode(text, size, &reply, &problem) == 0)
        wire_sensor_reply_done(&reply);
    return 0;
}
