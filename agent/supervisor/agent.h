/* The running agent: its modules, and changing their policy while they run. All functions: the main
 * thread. */
#ifndef AGENT_SUPERVISOR_AGENT_H
#define AGENT_SUPERVISOR_AGENT_H

#include "agent/supervisor/module_options.h"
#include "agent/supervisor/watch_reports.h"

#include <stdbool.h>

struct control_handlers;
struct control_server;
struct event_loop;
struct instance_lock;

struct agent {
    struct agent_config *config;
    struct event_loop *loop;
    struct instance_lock *lock;
    struct module_options *options;
    struct store *store;
    struct responder *responder;
    struct scan_pipeline *pipeline;
    struct watch_reports reports;
    struct watch *watch; /* NULL while the policy switches watching off */
    struct control_server *control;
    struct control_handlers *handlers;
    uint64_t started_ns; /* realtime */
};

/* Starts or stops the watch as the current options say. */
int agent_start_watch(struct agent *agent) MUST_USE;

/* Reads the policy anew and applies it whole: when it is wrong, or a module refuses it, the old one
 * stays in force and ret_error says why. An event records either. */
int agent_reload_policy(struct agent *agent, struct settings_error *ret_error) MUST_USE;

/* An event of the agent itself. detail may be NULL. */
void agent_record(struct agent *agent, const char *kind, enum event_severity severity,
                  const char *subject, const char *detail);

#endif
