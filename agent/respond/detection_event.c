/* Owns: how detections and quarantine actions are told. Must not own: when they are. */
#include "agent/respond/detection_event.h"

#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

const char *detection_cause_name(uint32_t cause)
{
    static const char *const names[] = {"realtime", "demand", "scheduled", "rescan", "self-test"};

    return cause < ARRAY_LENGTH(names) ? names[cause] : "unknown";
}

static void write_path(struct json_writer *writer, const char *key, const char *path)
{
    AUTO_FREE char *shown = text_escape_new(path, strlen(path));

    json_write_field_string(writer, key, shown ?: "");
}

static void write_facts(struct json_writer *writer, const struct quarantine_facts *facts)
{
    char text[32];

    json_write_field_string(writer, "signature", facts->signature);
    if (facts->sha256[0] != '\0')
        json_write_field_string(writer, "sha256", facts->sha256);
    json_write_field_unsigned(writer, "size", facts->size);
    if (text_format(text, sizeof(text), "%04o", facts->mode & 07777U) > 0)
        json_write_field_string(writer, "mode", text);
    json_write_field_unsigned(writer, "uid", facts->uid);
    json_write_field_unsigned(writer, "gid", facts->gid);
    clock_format(text, facts->modified_ns);
    json_write_field_string(writer, "modified", text);
    json_write_field_hex(writer, "device", facts->device);
    json_write_field_hex(writer, "inode", facts->inode);
    if (facts->links > 1)
        json_write_field_unsigned(writer, "links", facts->links);
    json_write_field_string(writer, "cause", detection_cause_name(facts->cause));
    if (facts->id[0] != '\0')
        json_write_field_string(writer, "id", facts->id);
}

static void write_note(struct json_writer *writer, const struct detection_note *note)
{
    if (note->action)
        json_write_field_string(writer, "action", note->action);
    if (note->reason)
        json_write_field_string(writer, "reason", note->reason);
    if (note->to)
        write_path(writer, "to", note->to);
    if (note->error < 0) {
        json_write_field_string(writer, "error", strerrorname_np(-note->error) ?: "unknown");
        json_write_field_string(writer, "message", strerrordesc_np(-note->error) ?: "unknown");
    }
    if (note->count > 0)
        json_write_field_unsigned(writer, "count", note->count);
    if (note->excluded)
        json_write_field_bool(writer, "excluded", true);
}

static int describe(struct buffer *detail, const struct quarantine_facts *facts,
                    const struct detection_note *note)
{
    struct json_writer writer;

    buffer_init(detail, LIMIT_EVENT_DETAIL_BYTES);
    json_writer_init(&writer, detail);
    json_write_object_begin(&writer);
    if (facts)
        write_facts(&writer, facts);
    if (note)
        write_note(&writer, note);
    json_write_object_end(&writer);
    return buffer_failed(detail);
}

struct composed {
    struct buffer detail;
    char *subject;
    struct event_draft draft; /* points into the others */
};

static void composed_done(struct composed *composed)
{
    buffer_done(&composed->detail);
    free(composed->subject);
}
#define AUTO_COMPOSED CLEANUP(composed_done)

static int compose(struct composed *composed, const struct quarantine_facts *facts,
                   const struct detection_note *note)
{
    int r;

    r = describe(&composed->detail, facts, note);
    if (r < 0)
        return r;
    if (facts && facts->path) {
        composed->subject = text_escape_new(facts->path, strlen(facts->path));
        if (!composed->subject)
            return -ENOMEM;
    }
    composed->draft.subject = composed->subject;
    composed->draft.detail = buffer_text(&composed->detail);
    return 0;
}

int detection_event_append(struct store *store, const char *module, const char *kind,
                           enum event_severity severity, const struct quarantine_facts *facts,
                           const struct detection_note *note, store_work *work,
                           store_committed *committed, void *user)
{
    AUTO_COMPOSED struct composed composed = {
        .draft = {.module = module, .kind = kind, .severity = severity}};
    int r;

    r = compose(&composed, facts, note);
    return r < 0 ? r : store_append(store, &composed.draft, work, committed, user);
}

int detection_event_append_wait(struct store *store, const char *module, const char *kind,
                                enum event_severity severity, const struct quarantine_facts *facts,
                                const struct detection_note *note, store_work *work, void *user)
{
    AUTO_COMPOSED struct composed composed = {
        .draft = {.module = module, .kind = kind, .severity = severity}};
    int r;

    r = compose(&composed, facts, note);
    return r < 0 ? r : store_append_wait(store, &composed.draft, work, user, NULL);
}
