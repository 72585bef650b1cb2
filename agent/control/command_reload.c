/* yaguractl reload: the policy is read anew. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/display.h"

static int print_policy(void *user, const char *key UNUSED, const json_t *policy, const char *text)
{
    const struct invocation *invocation = user;
    if (invocation->json) {
        (void)puts(text);
        return 0;
    }
    (void)printf("Policy ");
    display_print(member_text(policy, "name"));
    (void)printf(" (%.12s) is in force.\n", member_text(policy, "digest"));
    return 0;
}

static int run_reload(const struct invocation *invocation)
{
    struct control_call call;
    control_call_begin(&call, "reload");
    return control_call(invocation, &call, print_policy, (void *)invocation);
}

const struct command command_reload = {
    .name = "reload",
    .arguments = "",
    .summary = "Read the policy anew; a wrong one is refused and the old one stays",
    .run = run_reload,
};
