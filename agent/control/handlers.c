/* The list of commands, and the threads of those that may wait.
 * Owns the count of running commands; a command owns its request's reference. */
#include "agent/control/handlers.h"

#include "agent/control/handlers_private.h"
#include "common/text/text.h"

#include <errno.h>
#include <signal.h>

struct task {
    struct control_handlers *handlers;
    struct control_request *request;
    json_t *arguments;
    control_work *work;
};

static void *run_task(void *user)
{
    struct task *task = user;
    struct control_handlers *handlers = task->handlers;
    task->work(handlers, task->request, task->arguments);
    (void)control_request_unref(task->request);
    json_decref(task->arguments);
    free(task);
    (void)pthread_mutex_lock(&handlers->lock);
    if (--handlers->tasks == 0)
        (void)pthread_cond_broadcast(&handlers->idle);
    (void)pthread_mutex_unlock(&handlers->lock);
    return NULL;
}

static int start_thread(struct task *task)
{
    pthread_t thread;
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&thread, NULL, run_task, task);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        (void)pthread_detach(thread);
    return -r;
}

void control_run_task(struct control_handlers *handlers, struct control_request *request,
                      const json_t *arguments, control_work *work)
{
    struct task *task = calloc(1, sizeof(*task));
    json_t *copy = json_deep_copy(arguments); /* jansson counts references without locks */
    if (task == NULL || copy == NULL) {
        free(task);
        json_decref(copy);
        control_request_fail(request, 2, "the agent is out of memory");
        return;
    }
    *task = (struct task){handlers, control_request_ref(request), copy, work};
    (void)pthread_mutex_lock(&handlers->lock);
    handlers->tasks++;
    (void)pthread_mutex_unlock(&handlers->lock);
    if (start_thread(task) == 0)
        return;
    (void)pthread_mutex_lock(&handlers->lock);
    handlers->tasks--;
    (void)pthread_mutex_unlock(&handlers->lock);
    (void)control_request_unref(task->request);
    json_decref(task->arguments);
    free(task);
    control_request_fail(request, 2, "the agent cannot start a thread; try again");
}

int argument_unsigned(const json_t *arguments, const char *key, uint64_t *ret_value)
{
    const json_t *value = json_object_get(arguments, key);
    if (value == NULL)
        return -ENOENT;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return -EINVAL;
    *ret_value = (uint64_t)json_integer_value(value);
    return 0;
}

int argument_bool(const json_t *arguments, const char *key, bool *ret_value)
{
    const json_t *value = json_object_get(arguments, key);
    if (value == NULL)
        return -ENOENT;
    if (!json_is_boolean(value))
        return -EINVAL;
    *ret_value = json_is_true(value);
    return 0;
}

const char *argument_text(const json_t *arguments, const char *key)
{
    return json_string_value(json_object_get(arguments, key));
}

char *argument_path(const json_t *value)
{
    const char *escaped = json_string_value(value);
    size_t length = 0;
    if (escaped == NULL || escaped[0] != '/' || strlen(escaped) != json_string_length(value))
        return NULL;
    AUTO_FREE char *path = malloc(strlen(escaped) + 1);
    if (path == NULL || text_unescape(path, strlen(escaped) + 1, escaped, &length) < 0)
        return NULL;
    return TAKE_POINTER(path);
}

int send_json(struct control_request *request, struct buffer *line)
{
    int r = buffer_failed(line);
    if (r == 0)
        r = control_request_send(request, buffer_text(line));
    if (r < 0)
        control_request_fail(request, 2, "the answer is too long to be sent");
    return r;
}

int control_handlers_start(struct control_server *server, const struct control_context *context,
                           struct control_handlers **ret_handlers)
{
    static const struct {
        const char *name;
        control_handler *handler;
    } commands[] = {{"status", handle_status},
                    {"signatures", handle_signatures},
                    {"health", handle_health},
                    {"metrics", handle_metrics},
                    {"resources", handle_resources},
                    {"scan", handle_scan},
                    {"sync", handle_sync},
                    {"applications-learn", handle_applications_learn},
                    {"maintenance", handle_maintenance},
                    {"integrity-check", handle_integrity_check},
                    {"integrity-show", handle_integrity_show},
                    {"events", handle_events},
                    {"policy", handle_policy},
                    {"reload", handle_reload},
                    {"activate", handle_activate},
                    {"deactivate", handle_deactivate},
                    {"release", handle_release},
#define QUARANTINE_ROW(name) {"quarantine-" #name, handle_quarantine_##name},
                    QUARANTINE_COMMANDS(QUARANTINE_ROW)
#undef QUARANTINE_ROW

    };
    struct control_handlers *handlers = calloc(1, sizeof(*handlers));
    if (handlers == NULL)
        return -ENOMEM;
    handlers->context = *context;
    (void)pthread_mutex_init(&handlers->lock, NULL);
    (void)pthread_cond_init(&handlers->idle, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        int r = control_server_register(server, commands[i].name, commands[i].handler, handlers);
        if (r < 0) {
            (void)control_handlers_stop(handlers);
            return r;
        }
    }
    *ret_handlers = handlers;
    return 0;
}

struct control_handlers *control_handlers_stop(struct control_handlers *handlers)
{
    if (handlers == NULL)
        return NULL;
    (void)pthread_mutex_lock(&handlers->lock);
    while (handlers->tasks > 0)
        (void)pthread_cond_wait(&handlers->idle, &handlers->lock);
    (void)pthread_mutex_unlock(&handlers->lock);
    (void)pthread_mutex_destroy(&handlers->lock);
    (void)pthread_cond_destroy(&handlers->idle);
    free(handlers);
    return NULL;
}
