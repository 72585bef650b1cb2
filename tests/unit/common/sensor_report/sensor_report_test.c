/* A console that cannot be reached: nothing is lost, pauses grow and are kept, the last try is made
 * all the same. With a console: tests/system/console/sensors_test.py. */
#include "common/sensor_report/sensor_report.h"

#include "common/crypto/keys.h"
#include "common/sensor_report/sensor_internal.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* A port that nobody listens on while the socket lives. */
static int reserve_port(char url[static 64])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    (void)snprintf(url, 64, "https://127.0.0.1:%u", ntohs(address.sin_port));
    return fd;
}

static const struct sensor_event EVENT = {.kind = "malware_found", .severity = 4};

static void waits_and_keeps(void **state UNUSED)
{
    char url[64];
    AUTO_CLOSE int fd UNUSED = reserve_port(url);
    struct sensor_report_options options = {.url = url,
                                            .key = "ysk1_x",
                                            .sensor = {.kind = "storage", .name = "n"}};
    struct sensor_report *report = NULL;
    struct sensor_report_status status;
    struct sensor_policy *policy = NULL;
    uint64_t now = 100 * NS_PER_SECOND;
    clock_set_fake(now, now);
    assert_int_equal(sensor_report_new(&options, &report), 0);
    assert_true(sensor_report_is_due(report)); /* the first report */
    assert_int_equal(sensor_report_add(report, &EVENT), 0);
    assert_int_equal(sensor_report_flush(report, now), -ETIMEDOUT);
    assert_int_equal(sensor_report_flush(report, now + 20 * NS_PER_SECOND), -ECONNREFUSED);
    assert_int_equal(sensor_report_flush(report, now + 20 * NS_PER_SECOND), -EAGAIN);
    assert_false(sensor_report_is_due(report));
    assert_int_equal(sensor_report_finish(report, now + 20 * NS_PER_SECOND), -ECONNREFUSED);
    now += 1500 * NS_PER_MS; /* the second pause is longer */
    clock_set_fake(now, now);
    assert_int_equal(sensor_report_flush(report, now + 20 * NS_PER_SECOND), -EAGAIN);
    now += 600 * NS_PER_MS;
    clock_set_fake(now, now);
    assert_int_equal(sensor_report_flush(report, now + 20 * NS_PER_SECOND), -ECONNREFUSED);
    assert_int_equal(sensor_report_policy(report, now + NS_PER_SECOND, &policy), 0);
    sensor_report_status(report, &status);
    assert_int_equal(status.waiting, 1);
    assert_int_equal(status.sent + status.dropped, 0);
    assert_true(status.problem[0]);
    (void)sensor_report_free(report);
    clock_set_fake(0, 0);
}

static void refuses_what_cannot_be_right(void **state UNUSED)
{
    const struct sensor_report_options good = {.url = "https://c:4119/",
                                               .key = "ysk1_x",
                                               .sensor = {.kind = "storage", .name = "n"}};
    struct sensor_report *report = NULL;
    struct sensor_report_options wrong[] = {good, good, good, good, good};
    wrong[0].url = "http://c:4119";
    wrong[1].key = "yk1.x";
    wrong[2].key = "ysk1_x\r\nX: y";
    wrong[3].sensor.kind = "host";
    wrong[4].sensor.name = "";
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(sensor_report_new(&wrong[i], &report), -EINVAL);
    assert_int_equal(sensor_report_new(&good, &report), 0);
    struct sensor_event event = EVENT;
    event.kind = "Not A Word";
    assert_int_equal(sensor_report_add(report, &event), -EINVAL);
    (void)sensor_report_free(report);
}

/* --- a policy is settled when it was signed, for this sensor, and valid: not before */

#define SENSOR    "01a20110-8b87-741b-b374-275c67b8f792"
#define STRANGER  "01a20110-8b87-741b-b374-000000000000"
#define WANTED    "wanted"
#define SIGNED_MS 1700000000000ULL

static void answer(EVP_PKEY *key, const char *sensor_id, const char *text, struct buffer *body)
{
    AUTO_BUFFER struct buffer texts = BUFFER_WITH_MAXIMUM(4096);
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(65536);
    const struct wire_policy_text policy_text = {"base", text};
    char digest[65];
    assert_int_equal(wire_policy_body(&policy_text, 1, &texts, digest), 0);
    const struct wire_policy policy = {.agent_id = sensor_id,
                                       .digest = digest,
                                       .body = buffer_text(&texts),
                                       .revision = 1,
                                       .issued_ms = SIGNED_MS,
                                       .expires_ms = SIGNED_MS + 60000};
    assert_int_equal(wire_policy_encode(&policy, &document), 0);
    buffer_clear(body);
    assert_int_equal(wire_signed_encode(buffer_text(&document), key, body), 0);
}

/* Refused, and to be asked for again; not at once. */
static void expect_again(struct sensor_report *report, const struct buffer *body, int error)
{
    struct sensor_policy *policy = NULL;
    report->fetch_ns = 0;
    assert_int_equal(sensor_take_policy(report, body, SENSOR, WANTED, &policy), error);
    assert_string_equal(report->fetched_digest, "");
    assert_true(report->fetch_ns > clock_monotonic_ns());
    assert_null(policy);
}

static void a_bad_answer_is_asked_for_again(void **state UNUSED)
{
    const struct sensor_report_options options = {.url = "https://c:4119/",
                                                  .key = "ysk1_x",
                                                  .sensor = {.kind = "storage", .name = "n"}};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    AUTO_KEY EVP_PKEY *key = NULL;
    AUTO_KEY EVP_PKEY *rival = NULL;
    struct sensor_report *report = NULL;
    struct sensor_policy *policy = NULL;
    clock_set_fake(NS_PER_SECOND, SIGNED_MS * NS_PER_MS);
    assert_int_equal(sensor_report_new(&options, &report), 0);
    assert_int_equal(key_new_ed25519(&key), 0);
    assert_int_equal(key_new_ed25519(&rival), 0);
    assert_int_equal(key_public_text(key, report->keys.current), 0);
    assert_int_equal(buffer_append_text(&body, "{}"), 0);
    expect_again(report, &body, -EBADMSG);
    answer(rival, SENSOR, "a = 1;", &body);
    expect_again(report, &body, -EACCES);
    answer(key, STRANGER, "a = 1;", &body);
    expect_again(report, &body, -EACCES);
    answer(key, SENSOR, "a = 1;", &body);
    clock_set_fake(NS_PER_SECOND, (SIGNED_MS + 3600000) * NS_PER_MS); /* a clock that is ahead */
    expect_again(report, &body, -EACCES);
    clock_set_fake(NS_PER_SECOND, SIGNED_MS * NS_PER_MS);
    assert_int_equal(sensor_take_policy(report, &body, SENSOR, WANTED, &policy), 1);
    assert_string_equal(report->fetched_digest, WANTED);
    policy = sensor_policy_free(policy);
    answer(key, SENSOR, "a = {", &body); /* the console's own: it is told, and not asked again */
    assert_int_equal(sensor_take_policy(report, &body, SENSOR, "next", &policy), -EINVAL);
    assert_string_equal(report->fetched_digest, "next");
    assert_true(report->policy_problem[0]);
    (void)sensor_report_free(report);
    clock_set_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_and_keeps),
        cmocka_unit_test(a_bad_answer_is_asked_for_again),
        cmocka_unit_test(refuses_what_cannot_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
