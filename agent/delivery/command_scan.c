/* Scans that the console asks for. Owns: the one that may run. */
#include "agent/delivery/commands_internal.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/scan/scan_places.h"
#include "agent/scan/scan_schedule.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define TELL_NS (10 * NS_PER_SECOND)

static void format_totals(char *output, size_t size, const char *state,
                          const struct scan_job_totals *totals)
{
    (void)text_format(
        output, size,
        "{\"ended\":\"%s\",\"files\":%llu,\"scanned\":%llu,\"infected\":%llu,\"incomplete\":%llu,"
        "\"errors\":%llu}",
        state, (unsigned long long)totals->files_seen, (unsigned long long)totals->files_scanned,
        (unsigned long long)totals->infected, (unsigned long long)totals->incomplete,
        (unsigned long long)totals->errors);
}

/* In the dispatcher's thread. */
static void scan_goes_on(void *user, const struct scan_job_totals *totals)
{
    struct commands *commands = user;
    uint64_t now = clock_monotonic_ns();
    char output[256], id[40];

    (void)pthread_mutex_lock(&commands->lock);
    bool tell = now - commands->scan_told_ns >= TELL_NS;
    if (tell)
        commands->scan_told_ns = now;
    (void)text_copy(id, sizeof id, commands->scan_id);
    (void)pthread_mutex_unlock(&commands->lock);
    if (!tell)
        return;
    format_totals(output, sizeof output, "no", totals);
    commands->context.advance(commands->context.user, id, output);
}

static void scan_ended(void *user, int result, const struct scan_job_totals *totals)
{
    struct commands *commands = user;
    char output[256], id[40];

    (void)pthread_mutex_lock(&commands->lock);
    commands->scan = NULL;
    (void)text_copy(id, sizeof id, commands->scan_id);
    (void)pthread_mutex_unlock(&commands->lock);

    format_totals(output, sizeof output,
                  result == 0            ? "complete"
                  : result == -ECANCELED ? "cancelled"
                                         : "failed",
                  totals);
    command_answer(commands, id, result == 0, "%s", output);
    (void)pthread_mutex_lock(&commands->lock);
    commands->scanning = false;
    (void)pthread_cond_broadcast(&commands->changed);
    (void)pthread_mutex_unlock(&commands->lock);
}

/* A person waits for it, so a busy host does not hold it. The job may end before its handle is
 * noted; cancelling works in either order. */
static void start_scan(struct commands *commands, const char *id, const char *const *paths)
{
    static const struct scan_job_callbacks callbacks = {.progress = scan_goes_on,
                                                        .done = scan_ended};
    const struct scan_job_options options = {
        .paths = paths, .cause = SCAN_CAUSE_DEMAND, .use_cache = true, .act = true};
    struct scan_job *job;

    (void)pthread_mutex_lock(&commands->lock);
    bool busy = commands->scanning;
    if (!busy) {
        commands->scanning = true;
        commands->scan_told_ns = 0; /* its first word goes out at once */
        (void)text_copy(commands->scan_id, sizeof commands->scan_id, id);
        int r = scan_job_start(commands->context.pipeline, &options, &callbacks, commands, &job);
        if (r == 0)
            commands->scan = job;
        else
            commands->scanning = false;
        (void)pthread_mutex_unlock(&commands->lock);
        if (r < 0)
            command_answer_result(commands, id, r, "");
        return;
    }
    (void)pthread_mutex_unlock(&commands->lock);
    command_answer(commands, id, false, "another scan of the console is running: cancel it first");
}

void command_scan(struct commands *commands, const struct wire_command *command)
{
    const char *shown = command_argument(command, "path");
    char path[LIMIT_PATH_BYTES];
    const char *const paths[] = {path, NULL};
    size_t length;

    if (shown == NULL || text_unescape(path, sizeof path, shown, &length) < 0 || path[0] != '/')
        command_answer(commands, command->id, false, "path must be an absolute path");
    else
        start_scan(commands, command->id, paths);
}

void command_scan_quick(struct commands *commands, const struct wire_command *command)
{
    const char *paths[SCAN_PLACES_MOST];

    scan_places_quick(paths);
    start_scan(commands, command->id, paths);
}

void command_scan_full(struct commands *commands, const struct wire_command *command)
{
    static const char *const paths[] = {"/", NULL};

    start_scan(commands, command->id, paths);
}

void command_scan_cancel(struct commands *commands)
{
    (void)pthread_mutex_lock(&commands->lock);
    if (commands->scan != NULL)
        scan_job_cancel(commands->scan);
    (void)pthread_mutex_unlock(&commands->lock);
}

void command_scan_wait(struct commands *commands)
{
    (void)pthread_mutex_lock(&commands->lock);
    while (commands->scanning)
        (void)pthread_cond_wait(&commands->changed, &commands->lock);
    (void)pthread_mutex_unlock(&commands->lock);
}

void command_cancel(struct commands *commands, const struct wire_command *command)
{
    (void)pthread_mutex_lock(&commands->lock);
    bool runs = commands->scanning;
    (void)pthread_mutex_unlock(&commands->lock);
    command_scan_cancel(commands);
    if (commands->context.schedule != NULL) {
        struct scan_schedule_status status;
        scan_schedule_status(commands->context.schedule, &status);
        runs = runs || status.state > SCHEDULE_WAITING;
        scan_schedule_cancel(commands->context.schedule);
    }
    command_answer(commands, command->id, true, runs ? "the scan ends" : "no scan was running");
}
