/* quarantine-list {"limit"} <- {"usage":{"files","bytes","maximum_bytes","held","pending"}},
 *                              {"entry":{...}} newest first
 * quarantine-show {"id","check"} <- {"file":{...}}
 * quarantine-restore {"id","to","exclude","privileged"} <- {"restored":{"id","path","missing"}}
 * quarantine-delete {"id"} <- {"deleted":{"id"}}
 * quarantine-export {"id","to"} <- {"exported":{"id","to"}}
 * quarantine-held {} <- {"held":{...}}
 * quarantine-release {"id","allow"} <- {"released":{"id"}}
 * quarantine-allowed {} <- {"allowed":{"sha256","path","time"}}
 * quarantine-allow, quarantine-disallow {"sha256"} <- {"sha256":"..."}
 *
 * An id may be cut to any beginning that names one entry only. All run in threads of their own:
 * they touch files and wait for commits. */
#include "agent/control/handlers_private.h"

#include "agent/respond/quarantine.h"
#include "agent/respond/responder.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

#define LINE_BYTES     (LIMIT_PATH_BYTES * 8 + 4096)
#define FULL_ID_LENGTH 36
#define READER_WAIT_NS (60 * NS_PER_SECOND)

static struct quarantine *quarantine_of(const struct control_handlers *handlers)
{
    return responder_quarantine(handlers->context.responder);
}

/* --- writing ---------------------------------------------------------------------------------- */

struct rows {
    struct control_request *request;
    int error; /* of sending: the reader is gone, or too slow */
};

static void write_escaped(struct json_writer *json, const char *key, const char *bytes)
{
    AUTO_FREE char *shown = text_escape_new(bytes, strlen(bytes));
    json_write_field_string(json, key, shown != NULL ? shown : "");
}

static void write_time(struct json_writer *json, const char *key, uint64_t time_ns)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format(text, time_ns);
    json_write_field_string(json, key, text);
}

static void begin_line(struct json_writer *json, struct buffer *line, const char *key)
{
    json_writer_init(json, line);
    json_write_object_begin(json);
    json_write_key(json, key);
    json_write_object_begin(json);
}

static int end_line(struct json_writer *json, struct control_request *request)
{
    json_write_object_end(json);
    json_write_object_end(json);
    int r = buffer_failed(json->buffer);
    while (r == 0 && (r = control_request_send(request, buffer_text(json->buffer))) == -EAGAIN)
        r = control_request_wait(request, READER_WAIT_NS);
    return r;
}

/* One line with one text, and the end of the request. */
static void finish(struct control_request *request, const char *key, const char *id,
                   const char *path_key, const char *path)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    begin_line(&json, &line, key);
    json_write_field_string(&json, "id", id);
    if (path != NULL)
        write_escaped(&json, path_key, path);
    (void)end_line(&json, request);
    control_request_done(request, 0);
}

/* --- what goes wrong -------------------------------------------------------------------------- */

static void fail(struct control_request *request, int error, const char *id)
{
    switch (error) {
    case -ENOENT:
        control_request_fail(request, 2,
                             "%s: there is no such entry, or no such directory to write to; "
                             "see yaguractl quarantine list",
                             id);
        break;
    case -ENOTUNIQ:
        control_request_fail(request, 2, "%s names several entries; write more of the id", id);
        break;
    case -EINVAL:
        control_request_fail(request, 2, "%s is not an id", id);
        break;
    case -EEXIST:
        control_request_fail(request, 2,
                             "%s: there is a file at that path already, and nothing is "
                             "ever overwritten; choose another with --to",
                             id);
        break;
    case -ELOOP:
        control_request_fail(request, 2,
                             "%s: the path leads over a symbolic link, which is not "
                             "followed; name the real path",
                             id);
        break;
    case -EBADMSG:
        control_request_fail(request, 2,
                             "%s: the sealed file was changed, or sealed with another "
                             "host's key; it cannot be opened",
                             id);
        break;
    case -ESTALE:
        control_request_fail(request, 2, "%s: the file has changed since; it will be scanned anew",
                             id);
        break;
    default:
        control_request_fail(request, 2, "%s: %s", id, log_error_text(error));
        break;
    }
}

/* The whole id for what was written; fails the request otherwise. */
static int find_id(struct control_handlers *handlers, struct control_request *request,
                   const json_t *arguments, char ret_id[static UUID_TEXT_BYTES])
{
    char shown[64];
    const char *id = argument_text(arguments, "id");
    if (id == NULL) {
        control_request_fail(request, 2, "name an entry by its id");
        return -EINVAL;
    }
    int r = quarantine_find(quarantine_of(handlers), id, ret_id);
    if (r < 0) {
        (void)text_escape(shown, sizeof(shown), id, strlen(id));
        fail(request, r, shown);
    }
    return r;
}

/* --- lists ------------------------------------------------------------------------------------ */

static int send_entry(void *user, const struct quarantine_entry *entry)
{
    struct rows *rows = user;
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    begin_line(&json, &line, "entry");
    json_write_field_string(&json, "id", entry->id);
    write_time(&json, "time", entry->time_ns);
    json_write_field_unsigned(&json, "time_ns", entry->time_ns);
    write_escaped(&json, "path", entry->path);
    write_escaped(&json, "signature", entry->signature);
    json_write_field_string(&json, "sha256", entry->sha256);
    json_write_field_unsigned(&json, "size", entry->size);
    json_write_field_unsigned(&json, "mode", entry->mode);
    json_write_field_unsigned(&json, "uid", entry->uid);
    json_write_field_unsigned(&json, "gid", entry->gid);
    json_write_field_unsigned(&json, "links", entry->links);
    rows->error = end_line(&json, rows->request);
    return rows->error;
}

static int send_usage(struct control_handlers *handlers, struct control_request *request)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    struct quarantine_usage usage;
    int r = quarantine_usage(quarantine_of(handlers), &usage);
    if (r < 0)
        return r;
    begin_line(&json, &line, "usage");
    json_write_field_unsigned(&json, "files", usage.files);
    json_write_field_unsigned(&json, "bytes", usage.bytes);
    json_write_field_unsigned(&json, "maximum_bytes", usage.maximum_bytes);
    json_write_field_unsigned(&json, "held", usage.held);
    json_write_field_unsigned(&json, "pending", usage.pending);
    return end_line(&json, request);
}

static void end_list(struct control_request *request, int r)
{
    if (r < 0)
        control_request_fail(request, 2, "the list cannot be read: %s", log_error_text(r));
    else
        control_request_done(request, 0);
}

static void work_list(struct control_handlers *handlers, struct control_request *request,
                      const json_t *arguments)
{
    struct rows rows = {.request = request};
    uint64_t limit = 0;
    if (argument_unsigned(arguments, "limit", &limit) == -EINVAL || limit > UINT32_MAX) {
        control_request_fail(request, 2, "limit must be a number");
        return;
    }
    int r = send_usage(handlers, request);
    if (r == 0)
        r = quarantine_list(quarantine_of(handlers), NULL, (uint32_t)limit, send_entry, &rows);
    end_list(request, rows.error < 0 ? rows.error : r);
}

static int send_held(void *user, const struct held_entry *entry)
{
    struct rows *rows = user;
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    begin_line(&json, &line, "held");
    json_write_field_string(&json, "id", entry->id);
    write_time(&json, "time", entry->time_ns);
    json_write_field_unsigned(&json, "time_ns", entry->time_ns);
    write_escaped(&json, "path", entry->path);
    write_escaped(&json, "signature", entry->signature);
    json_write_field_string(&json, "reason", entry->reason);
    json_write_field_string(&json, "sha256", entry->sha256);
    rows->error = end_line(&json, rows->request);
    return rows->error;
}

static void work_held(struct control_handlers *handlers, struct control_request *request,
                      const json_t *arguments UNUSED)
{
    struct rows rows = {.request = request};
    int r = quarantine_list_held(quarantine_of(handlers), 0, send_held, &rows);
    end_list(request, rows.error < 0 ? rows.error : r);
}

static int send_allowed(void *user, const char *sha256, const char *path, uint64_t time_ns)
{
    struct rows *rows = user;
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    begin_line(&json, &line, "allowed");
    json_write_field_string(&json, "sha256", sha256);
    write_escaped(&json, "path", path != NULL ? path : "");
    write_time(&json, "time", time_ns);
    rows->error = end_line(&json, rows->request);
    return rows->error;
}

static void work_allowed(struct control_handlers *handlers, struct control_request *request,
                         const json_t *arguments UNUSED)
{
    struct rows rows = {.request = request};
    int r = quarantine_list_allowed(quarantine_of(handlers), send_allowed, &rows);
    end_list(request, rows.error < 0 ? rows.error : r);
}

/* --- one entry -------------------------------------------------------------------------------- */

static int send_facts(struct control_request *request, const struct quarantine_facts *facts)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    begin_line(&json, &line, "file");
    json_write_field_string(&json, "id", facts->id);
    write_time(&json, "time", facts->time_ns);
    write_escaped(&json, "path", facts->path);
    write_escaped(&json, "signature", facts->signature);
    json_write_field_string(&json, "sha256", facts->sha256);
    json_write_field_unsigned(&json, "size", facts->size);
    write_time(&json, "modified", facts->modified_ns);
    json_write_field_unsigned(&json, "mode", facts->mode);
    json_write_field_unsigned(&json, "uid", facts->uid);
    json_write_field_unsigned(&json, "gid", facts->gid);
    json_write_field_unsigned(&json, "links", facts->links);
    return end_line(&json, request);
}

static void work_show(struct control_handlers *handlers, struct control_request *request,
                      const json_t *arguments)
{
    char id[UUID_TEXT_BYTES];
    bool check = false;
    struct quarantine_facts facts = {0};
    (void)argument_bool(arguments, "check", &check);
    if (find_id(handlers, request, arguments, id) < 0)
        return;
    int r = quarantine_show(quarantine_of(handlers), id, check, &facts);
    if (r < 0) {
        fail(request, r, id);
        return;
    }
    (void)send_facts(request, &facts);
    quarantine_facts_done(&facts);
    control_request_done(request, 0);
}

/* Where to write, when that is given; false when it cannot be understood, told already. */
static bool read_target(struct control_request *request, const json_t *arguments, bool needed,
                        char **ret_to)
{
    const json_t *to = json_object_get(arguments, "to");
    *ret_to = to == NULL ? NULL : argument_path(to);
    if (*ret_to != NULL || (to == NULL && !needed))
        return true;
    control_request_fail(request, 2, "name an absolute path to write to");
    return false;
}

static void work_restore(struct control_handlers *handlers, struct control_request *request,
                         const json_t *arguments)
{
    char id[UUID_TEXT_BYTES];
    AUTO_FREE char *to = NULL;
    struct quarantine_restore how = {0};
    int missing = 0;
    if (argument_bool(arguments, "exclude", &how.exclude) == -EINVAL ||
        argument_bool(arguments, "privileged", &how.privileged) == -EINVAL) {
        control_request_fail(request, 2, "an option of restore has a wrong type");
        return;
    }
    if (!read_target(request, arguments, false, &to) ||
        find_id(handlers, request, arguments, id) < 0)
        return;
    how.to = to;
    int r = quarantine_restore(quarantine_of(handlers), id, &how, &missing);
    if (r < 0) {
        fail(request, r, id);
        return;
    }
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    begin_line(&json, &line, "restored");
    json_write_field_string(&json, "id", id);
    json_write_field_number(&json, "missing", missing);
    (void)end_line(&json, request);
    control_request_done(request, 0);
}

static void work_delete(struct control_handlers *handlers, struct control_request *request,
                        const json_t *arguments)
{
    char id[UUID_TEXT_BYTES];
    if (find_id(handlers, request, arguments, id) < 0)
        return;
    int r = quarantine_delete(quarantine_of(handlers), id);
    if (r < 0)
        fail(request, r, id);
    else
        finish(request, "deleted", id, NULL, NULL);
}

static void work_export(struct control_handlers *handlers, struct control_request *request,
                        const json_t *arguments)
{
    char id[UUID_TEXT_BYTES];
    AUTO_FREE char *to = NULL;
    if (!read_target(request, arguments, true, &to) ||
        find_id(handlers, request, arguments, id) < 0)
        return;
    int r = quarantine_export(quarantine_of(handlers), id, to);
    if (r < 0)
        fail(request, r, id);
    else
        finish(request, "exported", id, "to", to);
}

struct held_search {
    const char *beginning;
    char id[UUID_TEXT_BYTES];
    unsigned found;
};

static int match_held(void *user, const struct held_entry *entry)
{
    struct held_search *search = user;
    if (text_starts_with(entry->id, search->beginning)) {
        (void)text_copy(search->id, sizeof(search->id), entry->id);
        search->found++;
    }
    return search->found > 1;
}

static void work_release(struct control_handlers *handlers, struct control_request *request,
                         const json_t *arguments)
{
    bool allow = false;
    char shown[64];
    struct held_search search = {.beginning = argument_text(arguments, "id")};
    if (search.beginning == NULL || search.beginning[0] == '\0' ||
        argument_bool(arguments, "allow", &allow) == -EINVAL) {
        control_request_fail(request, 2, "name a held detection by its id");
        return;
    }
    (void)text_escape(shown, sizeof(shown), search.beginning, strlen(search.beginning));
    int r = quarantine_list_held(quarantine_of(handlers), 0, match_held, &search);
    if (r >= 0)
        r = search.found == 0 ? -ENOENT : search.found > 1 ? -ENOTUNIQ : 0;
    if (r == 0)
        r = responder_release(handlers->context.responder, search.id,
                              allow ? HELD_ALLOW : HELD_ACT);
    if (r == -ENOENT)
        control_request_fail(request, 2,
                             "%s: there is no such detection; see yaguractl quarantine "
                             "held",
                             shown);
    else if (r < 0)
        fail(request, r, shown);
    else
        finish(request, "released", search.id, NULL, NULL);
}

/* --- contents that are allowed ---------------------------------------------------------------- */

static void change_allowed(struct control_handlers *handlers, struct control_request *request,
                           const json_t *arguments, bool allow)
{
    const char *sha256 = argument_text(arguments, "sha256");
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    if (sha256 == NULL || text_parse_hex(sha256, digest, sizeof(digest)) < 0) {
        control_request_fail(request, 2, "name a SHA-256 of 64 hexadecimal digits");
        return;
    }
    text_hex(hex, digest, sizeof(digest));
    int r = allow ? quarantine_allow(quarantine_of(handlers), hex, "")
                  : quarantine_disallow(quarantine_of(handlers), hex);
    if (r == -ENOENT)
        control_request_fail(request, 2, "%s is not on the list", hex);
    else if (r < 0)
        fail(request, r, hex);
    else
        finish(request, allow ? "allowed" : "disallowed", hex, NULL, NULL);
}

static void work_allow(struct control_handlers *handlers, struct control_request *request,
                       const json_t *arguments)
{
    change_allowed(handlers, request, arguments, true);
}

static void work_disallow(struct control_handlers *handlers, struct control_request *request,
                          const json_t *arguments)
{
    change_allowed(handlers, request, arguments, false);
}

/* --- registration ----------------------------------------------------------------------------- */

#define QUARANTINE_HANDLER(name)                                               \
    void handle_quarantine_##name(void *user, struct control_request *request, \
                                  const json_t *arguments)                     \
    {                                                                          \
        control_run_task(user, request, arguments, work_##name);               \
    }
QUARANTINE_COMMANDS(QUARANTINE_HANDLER)
#undef QUARANTINE_HANDLER
