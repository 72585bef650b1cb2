/* A console that cannot be reached: nothing is lost, pauses grow and are kept, the last try is made
 * all the same. With a console: tests/system/console/sensors_test.py. */
#include "common/sensor_report/sensor_report.h"

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
    AUTO_CLOSE int fd = reserve_port(url);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_and_keeps),
        cmocka_unit_test(refuses_what_cannot_be_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
