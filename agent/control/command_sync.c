/* yaguractl sync: waits until everything that happened so far has a committed verdict. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define TIMEOUT_NS (300 * NS_PER_SECOND)

static int run_sync(const struct invocation *invocation)
{
    struct control_call call;
    const char *timeout = command_option(invocation, "timeout");
    uint64_t timeout_ns = TIMEOUT_NS;
    if (timeout != NULL && text_parse_duration(timeout, &timeout_ns) < 0)
        return command_fail("--timeout %s is not a duration such as 30s", timeout);
    control_call_begin(&call, "sync");
    json_write_field_unsigned(&call.json, "timeout_ns", MIN(timeout_ns, (uint64_t)INT64_MAX));
    /* The watch gives up by itself; the verdicts that follow are waited for here. */
    call.timeout_ns = timeout_ns;
    return control_call(invocation, &call, NULL, NULL);
}

static const struct command_option options[] = {
    {"timeout", 0, "TIME", NULL, "give up after this time (default 300s)"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_sync = {
    .name = "sync",
    .arguments = "",
    .summary =
        "Wait until every file event so far has a committed verdict, and every log line was read",
    .options = options,
    .run = run_sync,
};
