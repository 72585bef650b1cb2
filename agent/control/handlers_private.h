/* Inside agent/control: what the files handlers_*.c share. */
#ifndef AGENT_CONTROL_HANDLERS_PRIVATE_H
#define AGENT_CONTROL_HANDLERS_PRIVATE_H

#include "agent/control/handlers.h"
#include "common/json/json_writer.h"

#include <pthread.h>

struct control_handlers {
    struct control_context context;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    unsigned tasks;
};

/* A command that may wait: work runs in a thread of its own with the request and its arguments, and
 * ends the request. Fails the request when no thread can be had. */
typedef void control_work(struct control_handlers *handlers, struct control_request *request,
                          const json_t *arguments);
void control_run_task(struct control_handlers *handlers, struct control_request *request,
                      const json_t *arguments, control_work *work);

/* Fields of a request. 0; -ENOENT when absent, -EINVAL when of another type or out of range. */
int argument_unsigned(const json_t *arguments, const char *key, uint64_t *ret_value);
int argument_bool(const json_t *arguments, const char *key, bool *ret_value);
const char *argument_text(const json_t *arguments, const char *key); /* NULL when absent */
/* A path as it is on disk; NULL when absent or not a proper escaped path. Freed by the caller. */
char *argument_path(const json_t *value);

/* Sends what was written; fails the request when it was too long. < 0: the request has ended. */
int send_json(struct control_request *request, struct buffer *line);

void handle_status(void *user, struct control_request *request, const json_t *arguments);
void handle_signatures(void *user, struct control_request *request, const json_t *arguments);
void handle_scan(void *user, struct control_request *request, const json_t *arguments);
void handle_sync(void *user, struct control_request *request, const json_t *arguments);
void handle_events(void *user, struct control_request *request, const json_t *arguments);
void handle_policy(void *user, struct control_request *request, const json_t *arguments);
void handle_activate(void *user, struct control_request *request, const json_t *arguments);
void handle_deactivate(void *user, struct control_request *request, const json_t *arguments);
void handle_release(void *user, struct control_request *request, const json_t *arguments);
void handle_applications_learn(void *user, struct control_request *request,
                               const json_t *arguments);
void handle_maintenance(void *user, struct control_request *request, const json_t *arguments);
void handle_integrity_check(void *user, struct control_request *request, const json_t *arguments);
void handle_integrity_show(void *user, struct control_request *request, const json_t *arguments);
void handle_health(void *user, struct control_request *request, const json_t *arguments);
void handle_resources(void *user, struct control_request *request, const json_t *arguments);
void handle_metrics(void *user, struct control_request *request, const json_t *arguments);
void handle_reload(void *user, struct control_request *request, const json_t *arguments);

#define QUARANTINE_COMMANDS(X) \
    X(list)                    \
    X(show) X(restore) X(delete) X(export) X(held) X(release) X(allowed) X(allow) X(disallow)
#define QUARANTINE_DECLARATION(name)                                           \
    void handle_quarantine_##name(void *user, struct control_request *request, \
                                  const json_t *arguments);
QUARANTINE_COMMANDS(QUARANTINE_DECLARATION)
#undef QUARANTINE_DECLARATION

#endif
