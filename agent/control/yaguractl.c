/* yaguractl: steers the running agent over its control socket.
 *
 * Owns the list of commands; each stands in its own command_*.c. Runs as its caller, parses nothing
 * but the agent's answers, and keeps no state. */
#include "agent/control/commands.h"
#include "agent/control/messages.h"
#include "agent/policy/agent_config.h"

static const struct command *const list[] = {
    &command_status,
    &command_scan,
    &command_events,
    &command_sync,
    &command_applications_status,
    &command_applications_learn,
    &command_maintenance_on,
    &command_maintenance_off,
    &command_integrity_status,
    &command_integrity_check,
    &command_integrity_rebuild,
    &command_integrity_show,
    &command_logs_test,
    &command_quarantine_list,
    &command_quarantine_show,
    &command_quarantine_restore,
    &command_quarantine_delete,
    &command_quarantine_export,
    &command_quarantine_held,
    &command_quarantine_release,
    &command_quarantine_allowed,
    &command_quarantine_allow,
    &command_quarantine_disallow,
    &command_policy_show,
    &command_policy_explain,
    &command_policy_check,
    &command_policy_keys,
    &command_reload,
    &command_activate,
    &command_deactivate,
    &command_release,
    &command_reset,
    &command_signatures,
    &command_self_test,
    &command_diagnose,
    &command_limits,
    &command_metrics,
    &command_completion,
    NULL,
};

/* Which socket: as asked for, or as the agent's configuration says. */
static int find_socket(struct invocation *invocation, struct agent_config **ret_config)
{
    struct settings_error error;
    const char *path = command_option(invocation, "config");
    invocation->socket = command_option(invocation, "socket");
    bool local = invocation->command->local && !command_has(invocation, "processes");
    if (command_has(invocation, "standalone") ||
        (path == NULL && (invocation->socket != NULL || local)))
        return 0;
    if (agent_config_load(path, ret_config, &error) < 0) {
        (void)command_fail("%s", error.text);
        return -1;
    }
    if (invocation->socket == NULL)
        invocation->socket = (*ret_config)->control_socket;
    return 0;
}

int main(int argc, char **argv)
{
    AUTO_AGENT_CONFIG struct agent_config *config = NULL;
    struct invocation invocation;
    commands = list;
    messages_choose();
    int r = command_parse(argc, argv, &invocation);
    if (r != 0)
        return r < 0 ? EXIT_ERROR : EXIT_CLEAN;
    if (find_socket(&invocation, &config) < 0)
        return EXIT_ERROR;
    invocation.config = config;
    r = invocation.command->run(&invocation);
    if (fflush(stdout) != 0)
        return command_fail("the output could not be written");
    return r;
}
