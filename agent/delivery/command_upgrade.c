/* upgrade: the host's package manager does it, started by a helper that outlives this agent,
 * because the package restarts it.
 *
 * Owns: upgrade.json, which says whose command is under way. Must not: give the helper anything
 * from the network but a version that looks like one. Hands off: the rest to yagura-upgrade, which
 * leaves what came of it in upgrade.result. */
#include "agent/delivery/commands_internal.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/sandbox/program_run.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <sys/mman.h>

#define HELPER       "yagura-upgrade"
#define START_NS     (30 * NS_PER_SECOND)
#define LONGEST_NS   (3600 * NS_PER_SECOND)
#define VERSION_MOST 64
#define RECORD_BYTES 4096

/* As package managers write them, without what a shell or an option could take for its own. */
static bool is_version(const char *text)
{
    static const char allowed[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.+:~-";

    return text[0] >= '0' && text[0] <= '9' && strlen(text) <= VERSION_MOST &&
           text[strspn(text, allowed)] == '\0';
}

/* ---- the record ---- */

static int path_of(const struct commands *commands, const char *name,
                   char path[static PROGRAM_PATH_BYTES])
{
    int r = text_format(path, PROGRAM_PATH_BYTES, "%s/%s", commands->context.directory, name);

    return r < 0 ? r : 0;
}

static int write_record(const struct commands *commands)
{
    const struct upgrade *upgrade = &commands->upgrade;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(RECORD_BYTES);
    char path[PROGRAM_PATH_BYTES];
    struct json_writer json;

    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", upgrade->id);
    json_write_field_string(&json, "before", upgrade->before);
    json_write_field_unsigned(&json, "started_ns", upgrade->started_ns);
    json_write_object_end(&json);
    int r = buffer_failed(&text);
    if (r == 0)
        r = path_of(commands, "upgrade.json", path);
    return r < 0 ? r : file_replace(path, buffer_text(&text), text.length, 0600);
}

static void remove_record(struct commands *commands)
{
    static const char *const names[] = {"upgrade.result", "upgrade.json"};
    char path[PROGRAM_PATH_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (path_of(commands, names[i], path) == 0)
            (void)unlink(path);
    commands->upgrade.pending = false;
}

static int read_record(const struct commands *commands, struct upgrade *ret_upgrade)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(RECORD_BYTES);
    char path[PROGRAM_PATH_BYTES];

    int r = path_of(commands, "upgrade.json", path);
    if (r == 0)
        r = file_read_all(path, &text);
    if (r < 0)
        return r;
    json_t *object = json_loadb(buffer_text(&text), text.length, JSON_REJECT_DUPLICATES, NULL);
    const char *id = json_string_value(json_object_get(object, "id"));
    const char *before = json_string_value(json_object_get(object, "before"));
    *ret_upgrade = (struct upgrade){
        .pending = true,
        .started_ns = (uint64_t)json_integer_value(json_object_get(object, "started_ns")),
    };
    if (id == NULL || before == NULL ||
        text_copy(ret_upgrade->id, sizeof ret_upgrade->id, id) < 0 ||
        text_copy(ret_upgrade->before, sizeof ret_upgrade->before, before) < 0)
        r = -EBADMSG;
    json_decref(object);
    return r;
}

/* ---- the start ---- */

/* The helper returns at once; what it started goes on without us. */
static int start_helper(struct commands *commands, const char *version, char *text, size_t size)
{
    char path[PROGRAM_PATH_BYTES], result[PROGRAM_PATH_BYTES];

    int r = program_find(commands->context.program_directory, HELPER, path);
    if (r == 0)
        r = path_of(commands, "upgrade.result", result);
    if (r < 0)
        return r;
    (void)unlink(result);
    char *const argv[] = {(char *)HELPER, (char *)"start", result, (char *)version, NULL};
    AUTO_CLOSE int output = memfd_create("output", MFD_CLOEXEC);
    if (output < 0)
        return -errno;
    r = program_run(&(struct program_run){.path = path,
                                          .argv = argv,
                                          .output_fd = output,
                                          .end_fd = commands->end_fd,
                                          .timeout_ns = START_NS});
    program_read_end(output, text, size);
    return r;
}

void command_upgrade(struct commands *commands, const struct wire_command *command)
{
    const char *version = command_argument(command, "version");
    struct upgrade *upgrade = &commands->upgrade;
    char text[LIMIT_COMMAND_OUTPUT_BYTES - 256] = "";

    if (version != NULL && !is_version(version)) {
        command_answer(commands, command->id, false, "version does not look like one");
        return;
    }
    if (upgrade->pending) {
        command_answer(commands, command->id, false, "another upgrade is under way");
        return;
    }
    *upgrade = (struct upgrade){.pending = true, .started_ns = clock_realtime_ns()};
    (void)text_copy(upgrade->id, sizeof upgrade->id, command->id);
    (void)text_copy(upgrade->before, sizeof upgrade->before, YAGURA_VERSION);
    int r = write_record(commands);
    if (r == 0)
        r = start_helper(commands, version, text, sizeof text);
    if (r != 0) {
        remove_record(commands);
        command_answer(commands, command->id, false, "the upgrade did not start: %s%s%s",
                       r < 0 ? log_error_text(r) : "", text[0] != '\0' && r < 0 ? ": " : "", text);
        return;
    }
    commands->context.advance(commands->context.user, command->id,
                              "the package manager is at work");
}

bool command_upgrade_resume(struct commands *commands, const char *id)
{
    struct upgrade upgrade;

    if (read_record(commands, &upgrade) < 0 || !text_equal(upgrade.id, id))
        return false;
    commands->upgrade = upgrade;
    return true;
}

/* ---- the end ---- */

/* "status=N\n" and what the package manager said. */
static bool is_good(const char *result)
{
    static const char good[] = "status=0\n";

    return text_starts_with(result, good);
}

static void take_result(struct commands *commands, const char *result, size_t length)
{
    const struct upgrade *upgrade = &commands->upgrade;
    char said[LIMIT_COMMAND_OUTPUT_BYTES - 512];
    size_t line = strcspn(result, "\n") + 1;
    size_t skip = MIN(line, length);

    program_show(result + skip, length - skip, said, sizeof said);
    command_answer(commands, upgrade->id, is_good(result),
                   "agent %s before, %s now; the package manager %s\n%s", upgrade->before,
                   YAGURA_VERSION, is_good(result) ? "is done" : "failed", said);
}

void command_upgrade_turn(struct commands *commands)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_MESSAGE_BYTES);
    char path[PROGRAM_PATH_BYTES];

    if (!commands->upgrade.pending || path_of(commands, "upgrade.result", path) < 0)
        return;
    int r = file_read_all(path, &text);
    uint64_t now = clock_realtime_ns();
    bool late = now > commands->upgrade.started_ns + LONGEST_NS;
    if (r == -ENOENT && !late)
        return;
    if (r < 0)
        command_answer(commands, commands->upgrade.id, false,
                       "nothing was heard of the package manager within an hour: %s",
                       log_error_text(r));
    else
        take_result(commands, buffer_text(&text), text.length);
    remove_record(commands);
}
