/* The baseline of integrity monitoring, approved anew from the console. */
#include "agent/delivery/commands_internal.h"
#include "agent/integrity/integrity.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>

struct rebuilding {
    struct commands *commands;
    char id[40];
};

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
    free(rebuilding);
    (void)pthread_mutex_lock(&commands->lock);
    commands->rebuilding--;
    (void)pthread_cond_broadcast(&commands->changed);
    (void)pthread_mutex_unlock(&commands->lock);
}

void command_rebuild_baseline(struct commands *commands, const struct wire_command *command)
{
    struct rebuilding *rebuilding = calloc(1, sizeof *rebuilding);
    int r = -ENOMEM;

    (void)pthread_mutex_lock(&commands->lock);
    commands->rebuilding++;
    (void)pthread_mutex_unlock(&commands->lock);
    if (commands->context.integrity == NULL) {
        r = -EOPNOTSUPP;
    } else if (rebuilding != NULL) {
        rebuilding->commands = commands;
        (void)text_copy(rebuilding->id, sizeof rebuilding->id, command->id);
        r = integrity_ask(commands->context.integrity, INTEGRITY_REBUILD, "console", rebuilt,
                          rebuilding);
    }
    if (r == 0)
        return;
    free(rebuilding);
    (void)pthread_mutex_lock(&commands->lock);
    commands->rebuilding--;
    (void)pthread_mutex_unlock(&commands->lock);
    if (r == -EOPNOTSUPP)
        command_answer(commands, command->id, false,
                       "integrity monitoring is off: set integrity.enabled in the policy");
    else
        command_answer_result(commands, command->id, r, "");
}

void command_baseline_wait(struct commands *commands)
{
    (void)pthread_mutex_lock(&commands->lock);
    bool waits = commands->rebuilding > 0;
    (void)pthread_mutex_unlock(&commands->lock);
    if (waits)
        integrity_cancel(commands->context.integrity);
    (void)pthread_mutex_lock(&commands->lock);
    while (commands->rebuilding > 0)
        (void)pthread_cond_wait(&commands->changed, &commands->lock);
    (void)pthread_mutex_unlock(&commands->lock);
}
