/* integrity-check: {"request":"check"|"full"|"rebuild"}
 *   <- {"totals":{"files","changes","approved","changed"}}  changed: not as approved, at the end
 * integrity-show: {"path":"/etc","changed":true}  path "": everything
 *   <- {"entry":{"path","state":"approved"|"created"|"updated"|"deleted","now":{},"approved":{}}}
 */
#include "agent/control/handlers_private.h"

#include "agent/integrity/baseline.h"
#include "agent/integrity/integrity.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

#define ENTRY_BYTES (LIMIT_PATH_BYTES * 8 + 65536)
#define WAIT_NS     (60 * NS_PER_SECOND)

/* ---- check ---- */

struct check_request {
    struct control_request *request;
    struct integrity *integrity;
    bool rebuild;
};

static void send_totals(struct check_request *check, const struct integrity_totals *totals)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(1024);
    struct integrity_status status;
    struct json_writer json;

    integrity_status(check->integrity, &status);
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "totals");
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "files", totals->files);
    json_write_field_unsigned(&json, "changes", totals->changes);
    json_write_field_unsigned(&json, "approved", totals->approved);
    json_write_field_unsigned(&json, "entries", status.entries);
    json_write_field_unsigned(&json, "changed", status.changed);
    json_write_object_end(&json);
    json_write_object_end(&json);
    if (send_json(check->request, &line) == 0)
        control_request_done(check->request, status.changed > 0 && !check->rebuild ? 1 : 0);
}

/* In integrity's thread. */
static void check_done(void *user, int result, const struct integrity_totals *totals)
{
    struct check_request *check = user;

    if (result < 0)
        control_request_fail(check->request, 2, "the check stopped: %s",
                             result == -ECANCELED ? "it was cancelled" : log_error_text(result));
    else
        send_totals(check, totals);
    (void)control_request_unref(check->request);
    free(check);
}

static void check_cancel(void *user)
{
    struct check_request *check = user;

    integrity_cancel(check->integrity, check);
}

static int parse_request(const char *name, enum integrity_request *ret_request)
{
    static const char *const names[] = {"check", "full", "rebuild"};

    for (size_t i = 0; name != NULL && i < ARRAY_LENGTH(names); i++)
        if (text_equal(name, names[i])) {
            *ret_request = (enum integrity_request)i;
            return 0;
        }
    return -EINVAL;
}

void handle_integrity_check(void *user, struct control_request *request, const json_t *arguments)
{
    const struct control_handlers *handlers = user;
    struct integrity *integrity = handlers->context.integrity;
    enum integrity_request wanted;

    if (parse_request(argument_text(arguments, "request"), &wanted) < 0) {
        control_request_fail(request, 2, "request must be check, full or rebuild");
        return;
    }
    struct check_request *check = calloc(1, sizeof *check);
    if (check == NULL) {
        control_request_fail(request, 2, "the agent is out of memory");
        return;
    }
    *check = (struct check_request){control_request_ref(request), integrity,
                                    wanted == INTEGRITY_REBUILD};
    const struct integrity_order order = {wanted, "yaguractl", check_done, check};
    int r = integrity_ask(integrity, &order);
    if (r == 0) {
        /* Not called once check_done has ended the request: check is there whenever it is. */
        control_request_on_gone(request, check_cancel, check);
        return;
    }
    if (r == -EOPNOTSUPP)
        control_request_fail(request, 2,
                             "integrity monitoring is off: set integrity.enabled in the policy");
    else
        control_request_fail(request, 2, "the check could not be started: %s", log_error_text(r));
    (void)control_request_unref(check->request);
    free(check);
}

/* ---- show ---- */

static void write_facts(struct json_writer *json, const char *key, const void *bytes, size_t length)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};

    if (bytes == NULL || length == 0 || file_facts_decode(bytes, length, &facts) < 0)
        return;
    json_write_key(json, key);
    file_facts_write(json, &facts);
}

static const char *state_of(const struct baseline_entry *entry)
{
    if (entry->facts == NULL || entry->facts_length == 0)
        return "deleted";
    if (entry->approved_length == 0)
        return "created";
    return entry->approved == entry->facts ? "approved" : "updated";
}

static int send_entry(void *user, const struct baseline_entry *entry)
{
    struct control_request *request = user;
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(ENTRY_BYTES);
    AUTO_FREE char *shown = text_escape_new(entry->path, entry->path_length);
    struct json_writer json;

    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "entry");
    json_write_object_begin(&json);
    json_write_field_string(&json, "path", shown != NULL ? shown : "");
    json_write_field_string(&json, "state", state_of(entry));
    write_facts(&json, "now", entry->facts, entry->facts_length);
    if (entry->approved != entry->facts)
        write_facts(&json, "approved", entry->approved, entry->approved_length);
    json_write_object_end(&json);
    json_write_object_end(&json);
    int r = buffer_failed(&line);
    while (r == 0 && (r = control_request_send(request, buffer_text(&line))) == -EAGAIN)
        r = control_request_wait(request, WAIT_NS);
    return r;
}

static void work_show(struct control_handlers *handlers, struct control_request *request,
                      const json_t *arguments)
{
    const char *given = argument_text(arguments, "path");
    bool changed = false;

    AUTO_FREE char *path = given == NULL || given[0] == '\0'
                               ? strdup("")
                               : argument_path(json_object_get(arguments, "path"));
    if (path == NULL || argument_bool(arguments, "changed", &changed) == -EINVAL) {
        control_request_fail(request, 2, "path must be absolute, changed true or false");
        return;
    }
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        path[--length] = '\0'; /* "/" is everything */
    int r = baseline_read(integrity_baseline_path(handlers->context.integrity), path, changed,
                          send_entry, request);
    if (r == -ENOENT || r == -EINVAL)
        control_request_fail(request, 2, "there is no baseline yet; is integrity monitoring on?");
    else if (r < 0)
        control_request_fail(request, 2, "the baseline cannot be read: %s", log_error_text(r));
    else
        control_request_done(request, 0);
}

void handle_integrity_show(void *user, struct control_request *request, const json_t *arguments)
{
    control_run_task(user, request, arguments, work_show);
}
