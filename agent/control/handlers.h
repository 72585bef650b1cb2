/* What the agent does for yaguractl: the commands of the control socket. Each is a thin translation
 * between JSON and the module it names; docs of the JSON stand beside the commands in handlers_*.c
 * and in yaguractl(8).
 *
 * Names an outsider chose (paths) travel as text_escape writes them, both ways. */
#ifndef AGENT_CONTROL_HANDLERS_H
#define AGENT_CONTROL_HANDLERS_H

#include "agent/control/control_server.h"
#include "common/attributes.h"
#include "common/settings/settings.h"

#include <stdint.h>

struct agent_config;
struct application_control;
struct buffer;
struct control_handlers;
struct delivery;
struct health;
struct integrity;
struct logs;
struct scan_schedule;
struct policy;
struct prevention;
struct protection;
struct resources;
struct responder;
struct scan_pipeline;
struct store;
struct tamper;
struct watch;

/* What the commands act upon. Everything outlives the handlers. The functions are called in the
 * loop's thread, because a reload may change what they answer. */
struct control_context {
    const struct agent_config *config;
    struct store *store;
    struct responder *responder;
    struct scan_pipeline *pipeline;
    struct integrity *integrity;
    struct logs *logs;
    struct scan_schedule *schedule;
    struct health *health;
    struct prevention *prevention;
    struct application_control *application_control;
    struct resources *resources;
    struct protection *protection;
    struct tamper *tamper;
    struct delivery *delivery;
    uint64_t started_ns;                  /* realtime */
    struct watch *(*watch)(void *user);   /* NULL while watching is off, or cannot be started */
    int (*watch_problem)(void *user);     /* why it cannot be; 0 */
    struct policy *(*policy)(void *user); /* the one in force; borrowed */
    int (*reload)(void *user, struct settings_error *ret_error); /* reads the policy anew */
    void *user;
};

/* Registers all commands. */
int control_handlers_start(struct control_server *server, const struct control_context *context,
                           struct control_handlers **ret_handlers) MUST_USE;
/* The agent's state as a JSON object, as `status` answers it; returns its word for the whole:
 * "starting", "protecting" or "degraded". In the loop's thread. */
const char *control_write_status(const struct control_context *context, struct buffer *object);
/* The same in Prometheus' text format (version 0.0.4): counters and gauges, no names of files. In
 * the loop's thread. */
void control_write_metrics(const struct control_context *context, struct buffer *text);
/* After control_server_stop: waits until no command works any more. NULL is legal. */
struct control_handlers *control_handlers_stop(struct control_handlers *handlers);

#endif
