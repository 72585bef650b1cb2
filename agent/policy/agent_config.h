/* The agent's local configuration, /etc/yagura/agent.conf: where things are. What the agent does is
 * the policy's. Every key has a default, so no file is needed. */
#ifndef AGENT_POLICY_AGENT_CONFIG_H
#define AGENT_POLICY_AGENT_CONFIG_H

#include "agent/policy/policy.h"
#include "common/attributes.h"
#include "common/settings/schema.h"

#include <stdbool.h>

#define AGENT_CONFIG_PATH "/etc/yagura/agent.conf"

/* X(symbol, field, type, "default", "bounds", "meaning"); the key is the field's name. */
#define AGENT_CONFIG_KEYS(X)                                                                      \
    X(STATE_DIRECTORY, state_directory, TEXT, "/var/lib/yagura", "absolute",                      \
      "event store, quarantine, verdict cache; root only")                                        \
    X(RUNTIME_DIRECTORY, runtime_directory, TEXT, "/run/yagura", "absolute",                      \
      "control socket and lock; root only, emptied at boot")                                      \
    X(CONTROL_SOCKET, control_socket, TEXT, "", "absolute",                                       \
      "socket of yaguractl; default: control.sock in the runtime directory")                      \
    X(METRICS_FILE, metrics_file, TEXT, "", "absolute",                                           \
      "metrics in Prometheus' text format, written every 15 s; default: metrics.prom in the "     \
      "runtime directory")                                                                        \
    X(CONTROL_GROUP, control_group, TEXT, "", "absolute",                                         \
      "folder of a version 2 control group that the agent may divide among its processes; "       \
      "default: its own, where that was delegated")                                               \
    X(POLICY, policy, TEXT, "", "absolute",                                                       \
      "policy to obey; default: /etc/yagura/policy.conf when it exists, otherwise the built-in "  \
      "defaults")                                                                                 \
    X(POLICY_DIRECTORY, policy_directory, TEXT, "", "absolute",                                   \
      "where parents are looked for that do not stand beside the policy; default: the policies "  \
      "that were installed")                                                                      \
    X(PROGRAM_DIRECTORY, program_directory, TEXT, "", "absolute",                                 \
      "where yagura-scanner and yagura-inspector are; default: beside the running program, then " \
      "where they were installed")                                                                \
    X(DATABASE_DIRECTORIES, database_directories, LIST, "/var/lib/clamav|/etc/yagura/signatures", \
      "absolute", "folders or files with signatures")                                             \
    X(JOURNAL_DIRECTORY, journal_directory, TEXT, "", "absolute",                                 \
      "where systemd's journal is; default: the host's own places")                               \
    X(SCANNER_USER, scanner_user, TEXT, "yagura-scanner", "name",                                 \
      "user the scanner runs as when the agent is root")                                          \
    X(LOG_LEVEL, log_level, CHOICE, "policy", "policy|error|warning|info|debug",                  \
      "lowest level that is logged; policy: as agent.log_level of the policy says")               \
    X(ACTIVATE_FROM, activate_from, CHOICE, "nothing", "nothing|parameter-store",                 \
      "where a host that has no console yet looks for one: AWS Systems Manager Parameter Store, " \
      "or nowhere")                                                                               \
    X(PARAMETER_PREFIX, parameter_prefix, TEXT, "/yagura", "absolute",                            \
      "the parameters are PREFIX/activation-url, PREFIX/token, ...")                              \
    X(AWS_REGION, aws_region, TEXT, "", "",                                                       \
      "region of the parameters; default: that of the environment, the profile, the instance")    \
    X(AWS_PROFILE, aws_profile, TEXT, "", "", "profile of the shared AWS files")                  \
    X(AWS_CREDENTIALS_FILE, aws_credentials_file, TEXT, "", "absolute",                           \
      "shared AWS credentials file; default: .aws/credentials of root")                           \
    X(AWS_SSM_ENDPOINT, aws_ssm_endpoint, TEXT, "", "",                                           \
      "URL of the Systems Manager service, for endpoints of one's own")                           \
    X(AWS_FIPS, aws_fips, CHOICE, "no", "no|yes", "use the FIPS endpoint")                        \
    X(AWS_DUAL_STACK, aws_dual_stack, CHOICE, "no", "no|yes", "use the endpoint with IPv6")       \
    X(AWS_PROXY, aws_proxy, TEXT, "", "",                                                         \
      "proxy for requests to AWS, http://[NAME:PASSWORD@]HOST:PORT; never for the instance's "    \
      "metadata")

struct agent_config {
#define AGENT_CONFIG_TEXT_FIELD(field)               char *field;
#define AGENT_CONFIG_CHOICE_FIELD(field)             char *field;
#define AGENT_CONFIG_LIST_FIELD(field)               char **field; /* NULL-terminated */
#define AGENT_CONFIG_FIELD(symbol, field, type, ...) AGENT_CONFIG_##type##_FIELD(field)
    AGENT_CONFIG_KEYS(AGENT_CONFIG_FIELD)
#undef AGENT_CONFIG_FIELD
#undef AGENT_CONFIG_TEXT_FIELD
#undef AGENT_CONFIG_CHOICE_FIELD
#undef AGENT_CONFIG_LIST_FIELD
};

/* path NULL: AGENT_CONFIG_PATH when it exists, otherwise the defaults. All fields are set and
 * absolute; only policy may be "": the built-in defaults. -EINVAL and others with ret_error. */
int agent_config_load(const char *path, struct agent_config **ret_config,
                      struct settings_error *ret_error) MUST_USE;
struct agent_config *agent_config_free(struct agent_config *config);
#define AUTO_AGENT_CONFIG CLEANUP(agent_config_cleanup)
void agent_config_cleanup(struct agent_config **config);

/* The policy the configuration names. Running as root, refuses one that others could change. */
int agent_config_load_policy(const struct agent_config *config, struct policy **ret_policy,
                             struct settings_error *ret_error) MUST_USE;

/* The table, for documentation: count rules. */
const struct settings_rule *agent_config_rules(size_t *ret_count);

#endif
