/* Commands from the console. Owns: the fixed list of what the console may ask for, and the one scan
 * it may have running. Nothing of a document is looked at before its signature holds. */
#include "agent/delivery/signed_command.h"

#include "agent/respond/quarantine.h"
#include "agent/respond/responder.h"
#include "agent/scan/scan_pipeline.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <string.h>

struct commands {
    struct command_context context;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t ended;
    struct scan_job *scan; /* NULL: none runs */
    bool scanning;         /* a scan has been started and has not told its end */
    char scan_id[40];
};

int commands_new(const struct command_context *context, struct commands **ret_commands)
{
    struct commands *commands = calloc(1, sizeof *commands);
    if (commands == NULL)
        return -ENOMEM;
    commands->context = *context;
    (void)pthread_mutex_init(&commands->lock, NULL);
    (void)pthread_cond_init(&commands->ended, NULL);
    *ret_commands = commands;
    return 0;
}

static void cancel_scan(struct commands *commands)
{
    (void)pthread_mutex_lock(&commands->lock);
    if (commands->scan != NULL)
        scan_job_cancel(commands->scan);
    (void)pthread_mutex_unlock(&commands->lock);
}

struct commands *commands_free(struct commands *commands)
{
    if (commands == NULL)
        return NULL;
    cancel_scan(commands);
    (void)pthread_mutex_lock(&commands->lock);
    while (commands->scanning)
        (void)pthread_cond_wait(&commands->ended, &commands->lock);
    (void)pthread_mutex_unlock(&commands->lock);
    (void)pthread_cond_destroy(&commands->ended);
    (void)pthread_mutex_destroy(&commands->lock);
    free(commands);
    return NULL;
}

/* ---- is it to be done? ---- */

static void forget_expired(struct console_orders *orders, uint64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < orders->seen_count; i++)
        if (orders->seen[i].expires_ms >= now_ms)
            orders->seen[kept++] = orders->seen[i];
    orders->seen_count = kept;
}

/* An expired command is refused, so its id need not be known any longer. */
static int note_command(const struct wire_command *command, const char *agent_id,
                        struct console_orders *orders)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;

    if (!text_equal(command->agent_id, agent_id))
        return -EACCES;
    if (command->expires_ms < now_ms)
        return -ETIME;
    forget_expired(orders, now_ms);
    for (size_t i = 0; i < orders->seen_count; i++)
        if (text_equal(orders->seen[i].id, command->id))
            return -EALREADY;
    if (orders->seen_count == CONSOLE_SEEN_COMMANDS)
        return -ENOBUFS;
    size_t i = orders->seen_count++;
    orders->seen[i].expires_ms = command->expires_ms;
    return text_copy(orders->seen[i].id, sizeof orders->seen[i].id, command->id) < 0 ? -EBADMSG : 0;
}

int signed_command_take(const char *document, size_t length, EVP_PKEY *signing_key,
                        const char *agent_id, struct console_orders *orders, char **ret_document)
{
    struct wire_command command;
    struct wire_problem problem;
    const char *text = NULL;
    json_t *root = NULL;

    int r = wire_signed_decode(document, length, signing_key, &root, &text, &problem);
    if (r == 0)
        r = wire_command_decode(text, &command, &problem);
    if (r == 0) {
        r = note_command(&command, agent_id, orders);
        wire_command_done(&command);
    }
    if (r == 0 || r == -EALREADY) {
        *ret_document = strdup(text);
        r = *ret_document != NULL ? r : -ENOMEM;
    }
    json_decref(root);
    return r;
}

/* ---- answers ---- */

static void answer(struct commands *commands, const char *id, bool good, const char *format, ...)
    PRINTF_LIKE(4, 5);

static void answer(struct commands *commands, const char *id, bool good, const char *format, ...)
{
    char output[LIMIT_COMMAND_OUTPUT_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)text_format_list(output, sizeof output, format, arguments);
    va_end(arguments);
    commands->context.done(commands->context.user, id, good, output);
}

static void answer_result(struct commands *commands, const char *id, int result, const char *done)
{
    if (result < 0)
        answer(commands, id, false, "%s", log_error_text(result));
    else
        answer(commands, id, true, "%s", done);
}

/* ---- scans ---- */

static void scan_ended(void *user, int result, const struct scan_job_totals *totals)
{
    struct commands *commands = user;
    char id[40];

    (void)pthread_mutex_lock(&commands->lock);
    commands->scan = NULL;
    (void)text_copy(id, sizeof id, commands->scan_id);
    (void)pthread_mutex_unlock(&commands->lock);

    answer(
        commands, id, result == 0,
        "{\"ended\":\"%s\",\"files\":%llu,\"scanned\":%llu,\"infected\":%llu,\"incomplete\":%llu,"
        "\"errors\":%llu}",
        result == 0            ? "complete"
        : result == -ECANCELED ? "cancelled"
                               : "failed",
        (unsigned long long)totals->files_seen, (unsigned long long)totals->files_scanned,
        (unsigned long long)totals->infected, (unsigned long long)totals->incomplete,
        (unsigned long long)totals->errors);
    (void)pthread_mutex_lock(&commands->lock);
    commands->scanning = false;
    (void)pthread_cond_broadcast(&commands->ended);
    (void)pthread_mutex_unlock(&commands->lock);
}

/* The job may end before its handle is noted; cancelling works in either order. */
static void start_scan(struct commands *commands, const char *id, const char *const *paths)
{
    static const struct scan_job_callbacks callbacks = {.done = scan_ended};
    const struct scan_job_options options = {
        .paths = paths, .cause = SCAN_CAUSE_DEMAND, .use_cache = true, .act = true};
    struct scan_job *job;

    (void)pthread_mutex_lock(&commands->lock);
    bool busy = commands->scanning;
    if (!busy) {
        commands->scanning = true;
        (void)text_copy(commands->scan_id, sizeof commands->scan_id, id);
        int r = scan_job_start(commands->context.pipeline, &options, &callbacks, commands, &job);
        if (r == 0)
            commands->scan = job;
        else
            commands->scanning = false;
        (void)pthread_mutex_unlock(&commands->lock);
        if (r < 0)
            answer_result(commands, id, r, "");
        return;
    }
    (void)pthread_mutex_unlock(&commands->lock);
    answer(commands, id, false, "another scan of the console is running: cancel it first");
}

static void do_scan(struct commands *commands, const struct wire_command *command)
{
    const char *shown = json_string_value(json_object_get(command->arguments_json, "path"));
    char path[LIMIT_PATH_BYTES];
    const char *const paths[] = {path, NULL};
    size_t length;

    if (shown == NULL || text_unescape(path, sizeof path, shown, &length) < 0 || path[0] != '/')
        answer(commands, command->id, false, "path must be an absolute path");
    else
        start_scan(commands, command->id, paths);
}

/* Where malware lands first. */
static void do_scan_quick(struct commands *commands, const struct wire_command *command)
{
    static const char *const paths[] = {"/tmp",       "/var/tmp", "/dev/shm", "/home",
                                        "/root",      "/etc",     "/opt",     "/srv",
                                        "/usr/local", "/var/www", NULL};
    const char *present[ARRAY_LENGTH(paths)] = {NULL};
    size_t count = 0;

    for (size_t i = 0; paths[i] != NULL; i++)
        if (access(paths[i], F_OK) == 0)
            present[count++] = paths[i];
    start_scan(commands, command->id, present);
}

static void do_scan_full(struct commands *commands, const struct wire_command *command)
{
    static const char *const paths[] = {"/", NULL};

    start_scan(commands, command->id, paths);
}

static void do_cancel(struct commands *commands, const struct wire_command *command)
{
    cancel_scan(commands);
    answer(commands, command->id, true, "the scan ends");
}

/* ---- the quarantine ---- */

static int list_entry(void *user, const struct quarantine_entry *entry)
{
    struct json_writer *json = user;
    char path[512]; /* cut when longer: the id names it */

    (void)text_escape(path, sizeof path, entry->path, strlen(entry->path));
    json_write_object_begin(json);
    json_write_field_string(json, "id", entry->id);
    json_write_field_string(json, "path", path);
    json_write_field_string(json, "signature", entry->signature);
    json_write_field_string(json, "sha256", entry->sha256);
    json_write_field_unsigned(json, "time_ms", entry->time_ns / NS_PER_MS);
    json_write_field_unsigned(json, "size", entry->size);
    json_write_object_end(json);
    /* An entry that makes the list too long is cut off with what follows; "after" fetches it. */
    return json->buffer->length > LIMIT_COMMAND_OUTPUT_BYTES / 2;
}

static void do_quarantine_list(struct commands *commands, const struct wire_command *command)
{
    AUTO_BUFFER struct buffer list = BUFFER_WITH_MAXIMUM(LIMIT_COMMAND_OUTPUT_BYTES - 1);
    const char *after = json_string_value(json_object_get(command->arguments_json, "after"));
    struct json_writer json;

    json_writer_init(&json, &list);
    json_write_array_begin(&json);
    int r = quarantine_list(responder_quarantine(commands->context.responder), after, 0, list_entry,
                            &json);
    json_write_array_end(&json);
    if (r == 0)
        r = buffer_failed(&list);
    answer_result(commands, command->id, r, buffer_text(&list));
}

/* The whole id: what a beginning names may change on its way. */
static const char *entry_id(const struct wire_command *command)
{
    const char *id = json_string_value(json_object_get(command->arguments_json, "id"));

    return id != NULL && wire_is_uuid(id) ? id : NULL;
}

static void do_quarantine_restore(struct commands *commands, const struct wire_command *command)
{
    const struct quarantine_restore how = {
        .exclude = json_is_true(json_object_get(command->arguments_json, "exclude"))};
    const char *id = entry_id(command);
    int missing = 0;

    int r = id == NULL ? -EINVAL
                       : quarantine_restore(responder_quarantine(commands->context.responder), id,
                                            &how, &missing);
    answer_result(commands, command->id, r,
                  missing == 0 ? "restored" : "restored, but not all of its attributes");
}

static void do_quarantine_delete(struct commands *commands, const struct wire_command *command)
{
    const char *id = entry_id(command);

    int r = id == NULL ? -EINVAL
                       : quarantine_delete(responder_quarantine(commands->context.responder), id);
    answer_result(commands, command->id, r, "deleted");
}

/* ---- the rest ---- */

static void do_update_signatures(struct commands *commands, const struct wire_command *command)
{
    answer_result(commands, command->id,
                  scan_pipeline_reload_signatures(commands->context.pipeline),
                  "the signatures on this host are being loaded");
}

static void do_heartbeat(struct commands *commands, const struct wire_command *command)
{
    answer(commands, command->id, true, "on its way");
    commands->context.heartbeat(commands->context.user);
}

static void do_deactivate(struct commands *commands, const struct wire_command *command)
{
    answer(commands, command->id, true, "deactivating");
    commands->context.deactivate(commands->context.user);
}

static const struct {
    const char *type;
    void (*run)(struct commands *commands, const struct wire_command *command);
} known[] = {
    {"scan", do_scan},
    {"scan_quick", do_scan_quick},
    {"scan_full", do_scan_full},
    {"cancel", do_cancel},
    {"update_signatures", do_update_signatures},
    {"quarantine_list", do_quarantine_list},
    {"quarantine_restore", do_quarantine_restore},
    {"quarantine_delete", do_quarantine_delete},
    {"heartbeat", do_heartbeat},
    {"deactivate", do_deactivate},
};

void command_run(struct commands *commands, const char *document)
{
    struct wire_command command;
    struct wire_problem problem;

    if (wire_command_decode(document, &command, &problem) < 0)
        return; /* signed_command_take has read the same text */
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (text_equal(command.type, known[i].type)) {
            known[i].run(commands, &command);
            wire_command_done(&command);
            return;
        }
    answer(commands, command.id, false, "this agent (%s) does not know the command: update it",
           YAGURA_VERSION);
    wire_command_done(&command);
}

void command_repeated(struct commands *commands, const char *document,
                      bool (*is_pending)(void *user, const char *command_id))
{
    struct wire_command command;
    struct wire_problem problem;

    if (wire_command_decode(document, &command, &problem) < 0)
        return;
    (void)pthread_mutex_lock(&commands->lock);
    bool runs = commands->scanning && text_equal(commands->scan_id, command.id);
    (void)pthread_mutex_unlock(&commands->lock);
    if (!runs && !is_pending(commands->context.user, command.id))
        answer(commands, command.id, false,
               "it was taken before, but its result was lost: the agent has been restarted since");
    wire_command_done(&command);
}
