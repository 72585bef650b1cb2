/* diagnostics: yaguractl makes the bundle, the messenger brings it to the console, and only then is
 * there a result. The bundle stands in a file meanwhile, so that a crash does not lose it. */
#include "agent/delivery/commands_internal.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/sandbox/program_run.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define MAKER    "yaguractl"
#define MAKER_NS (120 * NS_PER_SECOND)

int command_bundle_path(const char *directory, const char *command_id, char *path, size_t size)
{
    int r = text_format(path, size, "%s/bundle-%s.tar", directory, command_id);

    return r < 0 ? r : 0;
}

bool command_diagnostics_waits(const struct commands *commands, const char *id)
{
    char path[PROGRAM_PATH_BYTES];

    return command_bundle_path(commands->context.directory, id, path, sizeof path) == 0 &&
           access(path, F_OK) == 0;
}

/* Its exit status, or -errno; what went wrong in text. */
static int make_bundle(struct commands *commands, const char *bundle, char *text, size_t size)
{
    const struct command_context *context = &commands->context;
    char path[PROGRAM_PATH_BYTES];

    char *const argv[] = {
        (char *)MAKER,
        (char *)"--socket",
        (char *)context->control_socket,
        (char *)"diagnose",
        (char *)"--output",
        (char *)bundle,
        NULL,
    };
    int r = program_find(context->program_directory, MAKER, path);
    if (r < 0)
        return r;
    AUTO_CLOSE int output = memfd_create("output", MFD_CLOEXEC);
    if (output < 0)
        return -errno;
    r = program_run(&(struct program_run){.path = path,
                                          .argv = argv,
                                          .output_fd = output,
                                          .end_fd = commands->end_fd,
                                          .timeout_ns = MAKER_NS});
    program_read_end(output, text, size);
    return r;
}

void command_diagnostics(struct commands *commands, const struct wire_command *command)
{
    char made[PROGRAM_PATH_BYTES], text[LIMIT_COMMAND_OUTPUT_BYTES - 256];
    char bundle[PROGRAM_PATH_BYTES];

    /* Made under another name: a bundle of which half is there must not be sent. */
    if (text_format(made, sizeof made, "%s/making.tar", commands->context.directory) < 0 ||
        command_bundle_path(commands->context.directory, command->id, bundle, sizeof bundle) < 0) {
        command_answer(commands, command->id, false, "the state directory's name is too long");
        return;
    }
    commands->context.advance(commands->context.user, command->id, "the bundle is being made");
    (void)unlink(made);
    int status = make_bundle(commands, made, text, sizeof text);
    if (status == 0 && rename(made, bundle) < 0)
        status = -errno;
    if (status != 0) {
        (void)unlink(made);
        command_answer(commands, command->id, false, "no bundle was made: %s\n%s",
                       status < 0 ? log_error_text(status) : "yaguractl diagnose failed", text);
        return;
    }
    commands->context.advance(commands->context.user, command->id, "the bundle is being sent");
    commands->context.bundle_ready(commands->context.user);
}
