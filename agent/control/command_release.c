/* yaguractl release: a removal code of the console, handed over. An agent that runs judges it;
 * where none does, this program, by the same files. The code never stands in an argument.
 *
 * Owns: what is done without an agent, under its lock. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/instance_lock.h"
#include "agent/control/messages.h"
#include "agent/delivery/removal_code.h"
#include "agent/policy/agent_config.h"
#include "agent/protection/protection.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void wipe(struct buffer *code)
{
    if (code->data != NULL)
        explicit_bzero(code->data, code->capacity);
    buffer_done(code);
}

static int read_code(const char *path, struct buffer *code)
{
    int r =
        text_equal(path, "-") ? file_read_all_fd(STDIN_FILENO, code) : file_read_all(path, code);
    if (r == -EFBIG)
        return command_fail("%s", say(removal_refusal_text(REMOVAL_NO_CODE)));
    return r < 0 ? command_fail("the removal code could not be read from %s: %s", path,
                                log_error_text(r))
                 : EXIT_CLEAN;
}

static int ask_agent(const struct invocation *invocation, const struct buffer *code)
{
    struct control_call call;

    control_call_begin(&call, "release");
    json_write_field_string(&call.json, "code", buffer_text(code));
    return control_call(invocation, &call, NULL, NULL);
}

static int release_here(const char *directory, const struct buffer *code)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct removal_code judged;

    enum removal_refusal refusal =
        removal_code_judge(directory, buffer_text(code), code->length, &judged);
    if (refusal == REMOVAL_GRANTED && removal_code_describe(&judged, &detail) < 0)
        refusal = REMOVAL_FAILED;
    if (refusal != REMOVAL_GRANTED)
        return command_fail("%s", say(removal_refusal_text(refusal)));
    int r = protection_release_stopped(directory, PROTECTION_RELEASE_NS, buffer_text(&detail));
    return r < 0 ? command_fail("the protection could not be released in %s: %s", directory,
                                log_error_text(r))
                 : EXIT_CLEAN;
}

/* Whoever holds the lock answers; nobody can start while we do. */
static int release(const struct invocation *invocation, const struct buffer *code)
{
    const char *directory = invocation->config != NULL ? invocation->config->state_directory : NULL;
    struct instance_lock *lock = NULL;

    int r = directory != NULL ? instance_lock_take(directory, &lock) : -EBUSY;
    if (r == -ENOENT)
        return command_fail("there is no agent's state in %s", directory);
    if (r < 0 && r != -EBUSY)
        return command_fail("%s cannot be used: %s", directory, log_error_text(r));
    int exit_code = r == -EBUSY ? ask_agent(invocation, code) : release_here(directory, code);
    (void)instance_lock_release(lock);
    return exit_code;
}

static int run_release(const struct invocation *invocation)
{
    CLEANUP(wipe) struct buffer code = BUFFER_WITH_MAXIMUM(LIMIT_REMOVAL_CODE_BYTES + 1);

    int exit_code = read_code(invocation->arguments[0], &code);
    if (exit_code == EXIT_CLEAN)
        exit_code = release(invocation, &code);
    if (exit_code == EXIT_CLEAN)
        (void)puts(
            say("Released for an hour: the agent may now be removed, reset or deactivated."));
    return exit_code;
}

const struct command command_release = {
    .name = "release",
    .arguments = "FILE",
    .least = 1,
    .most = 1,
    .summary = "Release a protected agent by a removal code of the console; - is standard input",
    .run = run_release,
};
