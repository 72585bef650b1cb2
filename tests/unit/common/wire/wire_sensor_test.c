/* A sensor's report and its reply: written and read again, and what is refused with which words. */
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define EPOCH "018f0000-0000-7000-8000-000000000001"
#define ID    "018f0000-0000-7000-8000-000000000002"

static void a_report_comes_back_as_it_was(void **state UNUSED)
{
    struct wire_event event = {.number = 7,
                               .time_ms = 12,
                               .severity = 4,
                               .id = ID,
                               .module = "storage",
                               .kind = "malware_found",
                               .subject = "bucket/\xe2\x80\xaeobject",
                               .detail = "{\"signature\":\"X\"}"};
    const struct wire_sensor_report report = {
        .sensor = {.kind = "storage", .name = "scanner", .region = "eu-central-1"},
        .epoch = EPOCH,
        .dropped = 3,
        .policy_digest = "",
        .policy_problem = "line 3",
        .facts = "{\"health\":\"good\"}",
        .events = &event,
        .event_count = 1};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    struct wire_sensor_report read;
    struct wire_problem problem;
    assert_int_equal(wire_sensor_report_encode(&report, &body), 0);
    assert_int_equal(wire_sensor_report_decode(buffer_text(&body), body.length, &read, &problem),
                     0);
    assert_string_equal(read.sensor.name, "scanner");
    assert_string_equal(read.sensor.region, "eu-central-1");
    assert_string_equal(read.sensor.arn, "");
    assert_string_equal(read.facts, report.facts);
    assert_string_equal(read.policy_problem, "line 3");
    assert_int_equal(read.dropped, 3);
    assert_int_equal(read.event_count, 1);
    assert_int_equal(read.events[0].number, 7);
    assert_string_equal(read.events[0].subject, event.subject);
    assert_string_equal(read.events[0].detail, event.detail);
    wire_sensor_report_done(&read);
}

static void expect_refused(const char *body, const char *words)
{
    struct wire_sensor_report read;
    struct wire_problem problem = {""};
    assert_int_equal(wire_sensor_report_decode(body, strlen(body), &read, &problem), -EBADMSG);
    if (!strstr(problem.text, words))
        fail_msg("\"%s\" does not say \"%s\"", problem.text, words);
}

#define EVENT(module)                                                                         \
    "{\"number\":1,\"id\":\"" ID "\",\"time_ms\":1,\"module\":\"" module "\",\"kind\":\"x\"," \
    "\"severity\":\"info\",\"detail\":{}}"
#define REPORT(kind, sensor, epoch, events)                                                \
    "{\"protocol\":1,\"kind\":\"" kind "\",\"sensor\":" sensor ",\"epoch\":\"" epoch "\"," \
    "\"events\":[" events "]}"
#define NAMED "{\"name\":\"n\"}"

static void says_what_is_wrong(void **state UNUSED)
{
    struct wire_sensor_report read;
    struct wire_problem problem;
    const char *good = REPORT("storage", NAMED, EPOCH, EVENT("storage"));
    assert_int_equal(wire_sensor_report_decode(good, strlen(good), &read, &problem), 0);
    wire_sensor_report_done(&read);
    expect_refused("{", "not JSON");
    expect_refused(REPORT("host", NAMED, EPOCH, ""), "kind");
    expect_refused(REPORT("storage", "{}", EPOCH, ""), "name");
    expect_refused(REPORT("storage", "{\"name\":\"\"}", EPOCH, ""), "name");
    expect_refused(REPORT("storage", NAMED, "018f0000-0000-7000-8000-00000000000X", ""), "epoch");
    expect_refused(REPORT("storage", NAMED, EPOCH, EVENT("malware")), "module");
    expect_refused(REPORT("storage", NAMED, EPOCH, EVENT("storage") "," EVENT("storage")),
                   "ascend");
}

static void a_reply_comes_back_as_it_was(void **state UNUSED)
{
    const struct wire_sensor_reply reply = {.sensor_id = ID,
                                            .epoch = EPOCH,
                                            .acknowledged = 9,
                                            .server_ms = 5,
                                            .next_seconds = 60,
                                            .policy_digest = "d"};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    struct wire_sensor_reply read;
    struct wire_problem problem;
    assert_int_equal(wire_sensor_reply_encode(&reply, &body), 0);
    assert_int_equal(wire_sensor_reply_decode(buffer_text(&body), body.length, &read, &problem), 0);
    assert_string_equal(read.sensor_id, ID);
    assert_int_equal(read.acknowledged, 9);
    assert_int_equal(read.next_seconds, 60);
    wire_sensor_reply_done(&read);
    const char *wrong = "{\"sensor_id\":\"x\"}";
    assert_int_equal(wire_sensor_reply_decode(wrong, strlen(wrong), &read, &problem), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_comes_back_as_it_was),
        cmocka_unit_test(says_what_is_wrong),
        cmocka_unit_test(a_reply_comes_back_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
