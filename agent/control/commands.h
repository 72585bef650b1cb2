/* yaguractl's commands, one file each. */
#ifndef AGENT_CONTROL_COMMANDS_H
#define AGENT_CONTROL_COMMANDS_H

#include "agent/control/command.h"

extern const struct command command_status;
extern const struct command command_scan;
extern const struct command command_events;
extern const struct command command_sync;
extern const struct command command_applications_status;
extern const struct command command_applications_learn;
extern const struct command command_maintenance_on;
extern const struct command command_maintenance_off;
extern const struct command command_integrity_status;
extern const struct command command_integrity_check;
extern const struct command command_integrity_rebuild;
extern const struct command command_integrity_show;
extern const struct command command_policy_show;
extern const struct command command_policy_explain;
extern const struct command command_policy_check;
extern const struct command command_policy_keys;
extern const struct command command_release;
extern const struct command command_reload;
extern const struct command command_reset;
extern const struct command command_activate;
extern const struct command command_deactivate;
extern const struct command command_signatures;
extern const struct command command_self_test;
extern const struct command command_diagnose;
extern const struct command command_limits;
extern const struct command command_logs_test;
extern const struct command command_metrics;
extern const struct command command_completion;
extern const struct command command_quarantine_list;
extern const struct command command_quarantine_show;
extern const struct command command_quarantine_restore;
extern const struct command command_quarantine_delete;
extern const struct command command_quarantine_export;
extern const struct command command_quarantine_held;
extern const struct command command_quarantine_release;
extern const struct command command_quarantine_allowed;
extern const struct command command_quarantine_allow;
extern const struct command command_quarantine_disallow;

#endif
