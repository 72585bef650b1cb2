/* The running agent: its modules, and changing their policy while they run. All functions: the main
 * thread. */
#ifndef AGENT_SUPERVISOR_AGENT_H
#define AGENT_SUPERVISOR_AGENT_H

#include "agent/control/handlers.h"
#include "agent/messenger/link.h"
#include "agent/supervisor/module_options.h"
#include "agent/supervisor/watch_reports.h"

#include <stdbool.h>

struct control_server;
struct delivery;
struct application_control;
struct event_loop;
struct event_timer;
struct health;
struct instance_lock;
struct integrity;
struct logs;
struct metrics_file;
struct prevention;
struct protection;
struct resources;
struct scan_schedule;
struct tamper;

struct agent {
    struct agent_config *config;
    const char *config_path; /* which file that was; it may be missing */
    struct event_loop *loop;
    struct instance_lock *lock;
    struct module_options *options;
    struct resources *resources;
    struct protection *protection;
    struct tamper *tamper;
    struct store *store;
    struct responder *responder;
    struct scan_pipeline *pipeline;
    struct integrity *integrity;
    struct logs *logs;
    struct scan_schedule *schedule;
    struct health *health;
    struct prevention *prevention;
    struct application_control *application_control;
    struct watch_reports reports;
    struct delivery *delivery;
    struct watch *watch; /* NULL while the policy switches watching off */
    struct control_server *control;
    struct control_handlers *handlers;
    struct metrics_file *metrics;
    struct event_timer *watchdog; /* NULL: nobody waits for signs of life */
    struct control_context control_context;
    char policy_path[LINK_TEXT_BYTES]; /* delivered by the console; "" = as configured */
    uint64_t started_ns;               /* realtime */
    char *stop_detail;                 /* ending.c: who stopped it, as JSON; NULL: not known */
    char *mark_path;                   /* ending.c: of this run */
    struct event_timer *sign_timer;    /* ending.c */
    struct event_timer *mend;          /* tries again what could not be done */
    uint64_t mend_delay_ns;            /* of its last start; 0: nothing is amiss */
    int watch_problem; /* why there is no watch though there is to be one; 0: there need not be */
    bool unapplied;    /* a module refused the options in force, which it had before */
};

/* The policy that the console delivered, or the one that the configuration names. */
int agent_load_policy(const struct agent *agent, struct policy **ret_policy,
                      struct settings_error *ret_error) MUST_USE;

/* Starts or stops the watch as the current options say. */
int agent_start_watch(struct agent *agent) MUST_USE;
/* The first time: where descriptors or inotify instances are lacking the agent begins without it,
 * and tries again. */
int agent_begin_watch(struct agent *agent) MUST_USE;
void agent_stop_watch(struct agent *agent);
/* A new one in the place of one that is silent. When there can be none now, it is tried again: what
 * the host lacks may come back, and all else goes on meanwhile. */
void agent_restart_watch(struct agent *agent);
/* For the timer `mend`: a watch that could not be started, options that could not be restored. */
void agent_mend(void *user);

/* Reads the policy anew and applies it whole: when it is wrong, or a module refuses it, the old one
 * stays in force and ret_error says why. An event records either. */
int agent_reload_policy(struct agent *agent, struct settings_error *ret_error) MUST_USE;

/* The same with a policy the console delivered; when it is refused, path is forgotten again. */
int agent_obey_policy(struct agent *agent, const char *path,
                      struct settings_error *ret_error) MUST_USE;

/* An event of the agent itself. detail may be NULL. */
void agent_record(struct agent *agent, const char *kind, enum event_severity severity,
                  const char *subject, const char *detail);

#endif
