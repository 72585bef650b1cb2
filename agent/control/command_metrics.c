/* yaguractl metrics. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"

static int print_metrics(void *user UNUSED, const char *key UNUSED, const json_t *value,
                         const char *text UNUSED)
{
    const char *metrics = json_string_value(value);
    return metrics == NULL || fputs(metrics, stdout) < 0;
}

static int run_metrics(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "metrics");
    return control_call(invocation, &call, print_metrics, NULL);
}

const struct command command_metrics = {
    .name = "metrics",
    .arguments = "",
    .summary = "Print counters and gauges in Prometheus' text format",
    .more = "The same stands in the file that agent.conf names as metrics_file.\n",
    .run = run_metrics,
};
