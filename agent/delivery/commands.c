/* The fixed list of what the console may ask for.
 *
 * Owns: the list, and the thread that does what takes long. Must not: do what is not on the list,
 * or anything twice. Hands off: the doing to command_*.c. */
#include "agent/delivery/commands.h"

#include "agent/delivery/commands_internal.h"
#include "agent/protection/protection.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>

/* ---- answers ---- */

void command_answer(struct commands *commands, const char *id, bool good, const char *format, ...)
{
    char output[LIMIT_COMMAND_OUTPUT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)text_format_list(output, sizeof output, format, arguments);
    va_end(arguments);
    commands->context.done(commands->context.user, id, good, output);
}

void command_answer_result(struct commands *commands, const char *id, int result, const char *done)
{
    if (result < 0)
        command_answer(commands, id, false, "%s", log_error_text(result));
    else
        command_answer(commands, id, true, "%s", done);
}

const char *command_argument(const struct wire_command *command, const char *name)
{
    return json_string_value(json_object_get(command->arguments_json, name));
}

/* ---- the short ones ---- */

static void command_heartbeat(struct commands *commands, const struct wire_command *command)
{
    command_answer(commands, command->id, true, "on its way");
    commands->context.heartbeat(commands->context.user);
}

static void command_deactivate(struct commands *commands, const struct wire_command *command)
{
    command_answer(commands, command->id, true, "deactivating");
    commands->context.deactivate(commands->context.user);
}

static void command_release_protection(struct commands *commands,
                                       const struct wire_command *command)
{
    if (commands->context.protection == NULL || !protection_is_on(commands->context.protection)) {
        command_answer(commands, command->id, false, "this agent is not protected");
        return;
    }
    protection_release(commands->context.protection, PROTECTION_RELEASE_NS, "{\"by\":\"command\"}");
    command_answer(commands, command->id, true, "released for an hour");
}

/* ---- the list ---- */

static const struct known_command {
    const char *type;
    command_handler *run;
    bool waits; /* for the disk or another program: done by the worker */
} known[] = {
    {"scan", command_scan, false},
    {"scan_quick", command_scan_quick, false},
    {"scan_full", command_scan_full, false},
    {"cancel", command_cancel, false},
    {"update_signatures", command_update_signatures, true},
    {"quarantine_list", command_quarantine_list, true},
    {"quarantine_restore", command_quarantine_restore, true},
    {"quarantine_delete", command_quarantine_delete, true},
    {"rebuild_baseline", command_rebuild_baseline, false},
    {"maintenance", command_maintenance, true},
    {"learn_programs", command_learn_programs, true},
    {"diagnostics", command_diagnostics, true},
    {"release_protection", command_release_protection, false},
    {"heartbeat", command_heartbeat, false},
    {"deactivate", command_deactivate, false},
    {"upgrade", command_upgrade, false},
};

static const struct known_command *find(const char *type)
{
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (text_equal(type, known[i].type))
            return &known[i];
    return NULL;
}

static void let_wait(struct commands *commands, const struct wire_command *command,
                     const char *document)
{
    struct waiting_command *waiting = calloc(1, sizeof *waiting);

    if (waiting != NULL)
        waiting->document = strdup(document);
    if (waiting == NULL || waiting->document == NULL) {
        free(waiting);
        command_answer(commands, command->id, false, "the agent is out of memory");
        return;
    }
    (void)pthread_mutex_lock(&commands->lock);
    *commands->last = waiting;
    commands->last = &waiting->next;
    (void)pthread_cond_broadcast(&commands->changed);
    (void)pthread_mutex_unlock(&commands->lock);
}

void command_run(struct commands *commands, const char *document)
{
    struct wire_command command;
    struct wire_problem problem;

    if (wire_command_decode(document, &command, &problem) < 0)
        return; /* signed_command_take has read the same text */
    const struct known_command *found = find(command.type);
    if (found == NULL)
        command_answer(commands, command.id, false,
                       "this agent (%s) does not know the command: update it", YAGURA_VERSION);
    else if (found->waits)
        let_wait(commands, &command, document);
    else
        found->run(commands, &command);
    wire_command_done(&command);
}

/* ---- the worker ---- */

/* Freed by the caller; NULL at the end. */
static struct waiting_command *take_waiting(struct commands *commands)
{
    (void)pthread_mutex_lock(&commands->lock);
    while (commands->first == NULL && !commands->ending)
        (void)pthread_cond_wait(&commands->changed, &commands->lock);
    struct waiting_command *waiting = commands->ending ? NULL : commands->first;
    if (waiting != NULL) {
        commands->first = waiting->next;
        if (commands->first == NULL)
            commands->last = &commands->first;
    }
    (void)pthread_mutex_unlock(&commands->lock);
    return waiting;
}

static void free_waiting(struct waiting_command *waiting)
{
    free(waiting->document);
    free(waiting);
}

static void *work(void *user)
{
    struct commands *commands = user;

    for (struct waiting_command *waiting; (waiting = take_waiting(commands)) != NULL;) {
        struct wire_command command;
        struct wire_problem problem;
        if (wire_command_decode(waiting->document, &command, &problem) == 0) {
            find(command.type)->run(commands, &command);
            wire_command_done(&command);
        }
        free_waiting(waiting);
    }
    return NULL;
}

/* ---- again ---- */

void command_repeated(struct commands *commands, const char *document,
                      bool (*is_pending)(void *user, const char *command_id))
{
    struct wire_command command;
    struct wire_problem problem;

    if (wire_command_decode(document, &command, &problem) < 0)
        return;
    if (!is_pending(commands->context.user, command.id))
        command_answer(commands, command.id, false,
                       "it was taken before, and is not done twice; its result was lost");
    wire_command_done(&command);
}

void command_resume(struct commands *commands, const char *command_id)
{
    if (!command_upgrade_resume(commands, command_id) &&
        !command_diagnostics_waits(commands, command_id))
        command_answer(commands, command_id, false,
                       "the agent ended while it was at this; it is not done twice");
}

void commands_turn(struct commands *commands)
{
    command_upgrade_turn(commands);
}

/* ---- start and end ---- */

int commands_new(const struct command_context *context, struct commands **ret_commands)
{
    sigset_t all, before;
    struct commands *commands = calloc(1, sizeof *commands);
    if (commands == NULL)
        return -ENOMEM;
    commands->context = *context;
    commands->last = &commands->first;
    commands->end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (commands->end_fd < 0) {
        free(commands);
        return -errno;
    }
    (void)pthread_mutex_init(&commands->lock, NULL);
    (void)pthread_cond_init(&commands->changed, NULL);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&commands->worker, NULL, work, commands);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r < 0) {
        (void)close(commands->end_fd);
        free(commands);
        return r;
    }
    *ret_commands = commands;
    return 0;
}

struct commands *commands_free(struct commands *commands)
{
    if (commands == NULL)
        return NULL;
    command_scan_cancel(commands);
    (void)pthread_mutex_lock(&commands->lock);
    commands->ending = true;
    (void)pthread_cond_broadcast(&commands->changed);
    (void)pthread_mutex_unlock(&commands->lock);
    (void)!eventfd_write(commands->end_fd, 1);
    (void)pthread_join(commands->worker, NULL);
    command_scan_wait(commands);
    command_baseline_wait(commands);
    while (commands->first != NULL) {
        struct waiting_command *next = commands->first->next;
        free_waiting(commands->first);
        commands->first = next;
    }
    (void)close(commands->end_fd);
    (void)pthread_cond_destroy(&commands->changed);
    (void)pthread_mutex_destroy(&commands->lock);
    free(commands);
    return NULL;
}
