/* update_signatures. The host's own updater fetches them, so that its mirrors, proxies and keys are
 * used; where there is none, files that somebody puts there are loaded, and the result says so. */
#include "agent/delivery/commands_internal.h"
#include "agent/scan/scan_pipeline.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/sandbox/program_run.h"
#include "common/time/clock.h"

#include <errno.h>
#include <sys/mman.h>

#define HELPER          "yagura-update-signatures"
#define HELPER_NS       (900 * NS_PER_SECOND)
#define MOST_FOLDERS    64
#define STATUS_NOT_USED 3 /* freshclam does not fill any of our folders */

/* Its exit status, or -errno; what it said in text. */
static int run_helper(struct commands *commands, char *text, size_t size)
{
    char *argv[MOST_FOLDERS + 2] = {(char *)HELPER};
    char path[PROGRAM_PATH_BYTES];

    text[0] = '\0';
    int r = program_find(commands->context.program_directory, HELPER, path);
    if (r < 0)
        return r;
    char *const *folders = commands->context.database_directories;
    for (size_t i = 0; i < MOST_FOLDERS && folders[i] != NULL; i++)
        argv[i + 1] = folders[i];
    AUTO_CLOSE int output = memfd_create("output", MFD_CLOEXEC);
    if (output < 0)
        return -errno;
    r = program_run(&(struct program_run){.path = path,
                                          .argv = argv,
                                          .output_fd = output,
                                          .end_fd = commands->end_fd,
                                          .timeout_ns = HELPER_NS});
    program_read_end(output, text, size);
    return r;
}

void command_update_signatures(struct commands *commands, const struct wire_command *command)
{
    char text[LIMIT_COMMAND_OUTPUT_BYTES - 256];

    commands->context.advance(commands->context.user, command->id, "freshclam is asked");
    int status = run_helper(commands, text, sizeof text);
    if (status == -ECANCELED) {
        command_answer(commands, command->id, false, "the agent ended meanwhile");
        return;
    }
    /* Also after a failure: somebody may have put files there. */
    int r = scan_pipeline_reload_signatures(commands->context.pipeline);
    if (status < 0)
        command_answer(commands, command->id, false, HELPER ": %s", log_error_text(status));
    else if (r < 0)
        command_answer(commands, command->id, false, "the scanner does not load them: %s\n%s",
                       log_error_text(r), text);
    else
        command_answer(commands, command->id, status == 0 || status == STATUS_NOT_USED,
                       "%s\nthe signatures on this host are being loaded", text);
}
