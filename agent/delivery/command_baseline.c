/* The baseline of integrity monitoring, approved anew from the console. */
#include "agent/delivery/commands_internal.h"
#include "agent/integrity/integrity.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>

struct rebuilding {
    struct rebuilding *next; /* with the commands' lock */
    struct commands *commands;
    char id[40];
};

static void note_begin(struct rebuilding *rebuilding)
{
    struct commands *commands = rebuilding->commands;

    (void)pthread_mutex_lock(&commands->lock);
    rebuilding->next = commands->rebuilding;
    commands->rebuilding = rebuilding;
    (void)pthread_mutex_unlock(&commands->lock);
}

static void note_end(struct rebuilding *rebuilding)
{
    struct commands *commands = rebuilding->commands;

    (void)pthread_mutex_lock(&commands->lock);
    struct rebuilding **link = &commands->rebuilding;
    while (*link != rebuilding)
        link = &(*link)->next;
    *link = rebuilding->next;
    (void)pthread_cond_broadcast(&commands->changed);
    (void)pthread_mutex_unlock(&commands->lock);
    free(rebuilding);
}

/* In integrity's thread. */
static void rebuilt(void *user, int result, const struct integrity_totals *totals)
{
    struct rebuilding *rebuilding = user;
    struct commands *commands = rebuilding->commands;

    if (result < 0)
        command_answer(commands, rebuilding->id, false, "%s",
                       result == -ECANCELED ? "it was cancelled; the baseline before stays"
                                            : log_error_text(result));
    else
        command_answer(commands, rebuilding->id, true, "{\"files\":%llu,\"approved\":%llu}",
                       (unsigned long long)totals->files, (unsigned long long)totals->approved);
    note_end(rebuilding);
}

static int ask(struct commands *commands, const struct wire_command *command)
{
    if (commands->context.integrity == NULL)
        return -EOPNOTSUPP;
    struct rebuilding *rebuilding = calloc(1, sizeof *rebuilding);
    if (rebuilding == NULL)
        return -ENOMEM;
    rebuilding->commands = commands;
    (void)text_copy(rebuilding->id, sizeof rebuilding->id, command->id);
    note_begin(rebuilding);
    const struct integrity_order order = {INTEGRITY_REBUILD, "console", rebuilt, rebuilding};
    int r = integrity_ask(commands->context.integrity, &order);
    if (r < 0)
        note_end(rebuilding);
    return r;
}

void command_rebuild_baseline(struct commands *commands, const struct wire_command *command)
{
    int r = ask(commands, command);

    if (r == -EOPNOTSUPP)
        command_answer(commands, command->id, false,
                       "integrity monitoring is off: set integrity.enabled in the policy");
    else if (r < 0)
        command_answer_result(commands, command->id, r, "");
}

void command_baseline_wait(struct commands *commands)
{
    (void)pthread_mutex_lock(&commands->lock);
    for (const struct rebuilding *at = commands->rebuilding; at != NULL; at = at->next)
        integrity_cancel(commands->context.integrity, at);
    while (commands->rebuilding != NULL)
        (void)pthread_cond_wait(&commands->changed, &commands->lock);
    (void)pthread_mutex_unlock(&commands->lock);
}
