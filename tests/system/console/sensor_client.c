/* A sensor as file storage and application protection are ones: common/sensor_report against a real
 * console. sensor_client URL KEY PIN KIND NAME EVENTS [KEY-OF-POLICY]: sends, takes its policy,
 * reports once more, and prints what it knows. */
#include "common/sensor_report/sensor_report.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <stdio.h>

#define WAIT_NS (30 * NS_PER_SECOND)

static int add_events(struct sensor_report *report, uint64_t count)
{
    int r = 0;
    for (uint64_t i = 1; r == 0 && i <= count; i++) {
        char subject[64];
        (void)text_format(subject, sizeof(subject), "bucket/object-%llu", (unsigned long long)i);
        const struct sensor_event event = {.kind = "malware_found",
                                           .severity = 4,
                                           .subject = subject,
                                           .detail = "{\"signature\":\"Eicar-Test-Signature\"}"};
        r = sensor_report_add(report, &event);
    }
    return r;
}

static void print(struct sensor_report *report, int flushed, int policy_result,
                  const struct sensor_policy *policy, const char *key)
{
    struct sensor_report_status status;
    sensor_report_status(report, &status);
    const char *value = policy && key ? sensor_policy_text(policy, key) : NULL;
    (void)printf("result=%s sent=%llu waiting=%llu dropped=%llu id=%s policy=%d value=%s\n",
                 flushed ? strerrorname_np(-flushed) : "0", (unsigned long long)status.sent,
                 (unsigned long long)status.waiting, (unsigned long long)status.dropped,
                 status.sensor_id, policy_result, value ? value : "-");
    if (status.problem[0])
        (void)printf("problem=%s\n", status.problem);
}

int main(int argc, char **argv)
{
    struct sensor_report *report = NULL;
    struct sensor_policy *policy = NULL;
    uint64_t count;
    if (argc < 7 || text_parse_u64(argv[6], &count) < 0)
        return 2;
    const struct sensor_report_options options = {
        .url = argv[1],
        .key = argv[2],
        .pin = argv[3],
        .sensor = {.kind = argv[4], .name = argv[5], .version = "1.0", .region = "eu-central-1"}};
    int r = sensor_report_new(&options, &report);
    if (r == 0)
        r = sensor_report_set_facts(report, "{\"health\":\"good\",\"scanned\":7}");
    if (r == 0)
        r = add_events(report, count);
    if (r < 0)
        return 1;
    int flushed = sensor_report_flush(report, clock_monotonic_ns() + WAIT_NS);
    int got = sensor_report_policy(report, clock_monotonic_ns() + WAIT_NS, &policy);
    if (got == 1) {
        sensor_report_set_policy(report, sensor_policy_digest(policy), "");
        flushed = sensor_report_finish(report, clock_monotonic_ns() + WAIT_NS);
    }
    print(report, flushed, got, policy, argc > 7 ? argv[7] : NULL);
    (void)sensor_policy_free(policy);
    (void)sensor_report_free(report);
    return 0;
}
