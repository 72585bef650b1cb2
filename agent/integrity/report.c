/* Owns: events about changes, and the order: first the event is committed, then the baseline learns
 * of the change. A crash in between tells a change twice, never not at all. */
#include "agent/integrity/integrity_private.h"

#include "agent/integrity/text_difference.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

/* ---- events ---- */

int report_event(struct integrity *integrity, const char *kind, enum event_severity severity,
                 const char *subject, const char *detail)
{
    const struct event_draft draft = {.module = "integrity",
                                      .kind = kind,
                                      .severity = severity,
                                      .subject = subject != NULL ? subject : "",
                                      .detail = detail};

    return store_wait_for_room(integrity, &draft, NULL, NULL);
}

static const char *const kinds[] = {
    [CHANGE_CREATED] = "integrity_created",
    [CHANGE_UPDATED] = "integrity_updated",
    [CHANGE_DELETED] = "integrity_deleted",
    [CHANGE_RENAMED] = "integrity_renamed",
};

static bool gains_privilege(const struct change *change)
{
    return change->has_after &&
           file_facts_gain_privilege(change->has_before ? &change->before : NULL, &change->after);
}

static enum event_severity severity_of(const struct integrity *integrity,
                                       const struct change *change)
{
    const struct facts_state *state =
        change->has_after ? &change->after.state : &change->before.state;
    bool gains = change->kind != CHANGE_RENAMED && gains_privilege(change);

    if (change->expected)
        return gains ? EVENT_MEDIUM : EVENT_LOW;
    if (gains || integrity_rules_are_critical(integrity->now->rules, change->path, change->length))
        return EVENT_HIGH;
    if (change->kind == CHANGE_UPDATED || S_ISREG(state->mode))
        return EVENT_MEDIUM;
    return EVENT_LOW;
}

static void write_difference(struct integrity *integrity, const struct change *change,
                             struct json_writer *json)
{
    AUTO_BUFFER struct buffer before = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_TEXT);
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(LIMIT_MESSAGE_BYTES);
    uint8_t digest[SHA256_BYTES];

    if (integrity->packages == NULL || !change->stores_text ||
        (change->difference & FACTS_DIFFER_CONTENT) == 0 ||
        change->before.state.content != FACTS_HASHED ||
        baseline_read_text(integrity->baseline, change->path, change->length, &before) < 0)
        return;
    /* Only the text that the baseline speaks of. */
    if (hash_sha256(buffer_text(&before), before.length, digest) < 0 ||
        memcmp(digest, change->before.state.digest, sizeof digest) != 0)
        return;
    if (text_difference_ask(package_owner_inspector(integrity->packages), &before, &change->text,
                            &lines) == 0 &&
        lines.length > 0)
        json_write_field_string(json, "difference", buffer_text(&lines));
}

/* inotify, by which this host is watched, does not say. */
static void write_author(struct integrity *integrity, const struct change *change,
                         struct json_writer *json)
{
    struct process_facts facts;

    if (!change_authors_find(integrity->now->authors, change->path, change->length, &facts)) {
        json_write_field_string(json, "by", "unknown");
        return;
    }
    AUTO_FREE char *program = text_escape_new(facts.executable, strlen(facts.executable));
    bool known = program != NULL && program[0] != '\0';
    json_write_field_string(json, "by", known ? program : "unknown");
    json_write_key(json, "process");
    json_write_object_begin(json);
    process_facts_write(&facts, json);
    json_write_object_end(json);
}

static void write_change(struct integrity *integrity, const struct change *change,
                         struct json_writer *json)
{
    json_write_object_begin(json);
    json_write_field_string(json, "care", integrity_care_name(change->care));
    if (change->difference != 0) {
        json_write_key(json, "changed");
        file_facts_write_difference(json, change->difference);
    }
    if (change->renamed_from != NULL) {
        AUTO_FREE char *from =
            text_escape_new(change->renamed_from->path, change->renamed_from->length);
        json_write_field_string(json, "from", from != NULL ? from : "");
        if (change->moved_along > 0)
            json_write_field_unsigned(json, "moved_along", change->moved_along);
    }
    if (change->has_before) {
        json_write_key(json, "before");
        file_facts_write(json, &change->before);
    }
    if (change->has_after) {
        json_write_key(json, "after");
        file_facts_write(json, &change->after);
    }
    if (change->expected)
        json_write_field_bool(json, "expected", true);
    if (change->package != NULL)
        json_write_field_string(json, "package", change->package);
    if (change->has_after && gains_privilege(change))
        json_write_field_bool(json, "gains_privilege", true);
    write_author(integrity, change, json);
    if (change->kind == CHANGE_UPDATED)
        write_difference(integrity, change, json);
    json_write_object_end(json);
}

static int report_change(struct integrity *integrity, const struct change *change)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES * 2);
    AUTO_FREE char *subject = text_escape_new(change->path, change->length);
    struct json_writer json;

    if (subject == NULL)
        return -ENOMEM;
    json_writer_init(&json, &detail);
    write_change(integrity, change, &json);
    integrity->totals.changes++;
    return report_event(integrity, kinds[change->kind], severity_of(integrity, change), subject,
                        buffer_failed(&detail) < 0 ? "{}" : buffer_text(&detail));
}

/* ---- the baseline ---- */

static int put_change(struct baseline *baseline, const struct change *change)
{
    enum baseline_put how = change->expected ? BASELINE_APPROVED : change->put;
    int r;

    if (change->kind == CHANGE_FORGET)
        r = baseline_forget(baseline, change->path, change->length);
    else
        r = baseline_put(baseline, change->path, change->length,
                         change->has_after ? &change->after : NULL, how);
    if (r == 0 && change->stores_text)
        r = baseline_put_text(baseline, change->path, change->length, buffer_text(&change->text),
                              change->text.length);
    else if (r == 0 && change->forgets_text)
        r = baseline_put_text(baseline, change->path, change->length, NULL, 0);
    return r;
}

static int bring_up_to_date(struct integrity *integrity)
{
    struct baseline *baseline = integrity->baseline;
    const struct changes *changes = &integrity->changes;
    int r = baseline_begin(baseline);

    if (r < 0)
        return r;
    for (size_t i = 0; i < changes->count && r == 0; i++)
        r = put_change(baseline, changes->list[i]);
    if (r < 0) {
        baseline_rollback(baseline);
        return r;
    }
    return baseline_commit(baseline);
}

static int tell_all(struct integrity *integrity)
{
    const struct changes *changes = &integrity->changes;
    bool told = false;

    for (size_t i = 0; i < changes->count; i++) {
        if (kinds[changes->list[i]->kind] == NULL)
            continue;
        int r = report_change(integrity, changes->list[i]);
        if (r < 0)
            return r;
        told = true;
    }
    return told ? store_wait_for_commit(integrity) : 0;
}

int report_changes(struct integrity *integrity)
{
    struct changes *changes = &integrity->changes;

    if (changes->count == 0)
        return 0;
    int r = changes_pair_renames(changes);
    if (r == 0)
        r = tell_all(integrity);
    if (r == 0)
        r = bring_up_to_date(integrity);
    if (r == -ECANCELED) {
        /* Looked at again, whoever called it off. */
        (void)pthread_mutex_lock(&integrity->lock);
        integrity->check_all = true;
        (void)pthread_mutex_unlock(&integrity->lock);
    }
    changes_done(changes);
    return r;
}

/* ---- events about the whole ---- */

/* Committed before whoever asked is told that it is done. */
static void report_whole(struct integrity *integrity, const char *kind, const struct buffer *detail)
{
    int r = report_event(integrity, kind, EVENT_INFO, "", buffer_text(detail));

    if (r == 0)
        r = store_wait_for_commit(integrity);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "error", log_error_text(r), NULL);
}

void report_baseline(struct integrity *integrity, const char *kind, const char *who)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "entries", baseline_count(integrity->baseline));
    json_write_field_unsigned(&json, "approved", integrity->totals.approved);
    json_write_field_string(&json, "key", baseline_key_id(integrity->baseline));
    json_write_field_string(&json, "by", who);
    json_write_object_end(&json);
    report_whole(integrity, kind, &detail);
    log_info(kind, "entries", log_number((int64_t)baseline_count(integrity->baseline)), "by", who,
             NULL);
}

void report_checked(struct integrity *integrity, const char *who, int result, uint64_t began_ns)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "files", integrity->totals.files);
    json_write_field_unsigned(&json, "changes", integrity->totals.changes);
    json_write_field_unsigned(&json, "milliseconds", (clock_monotonic_ns() - began_ns) / NS_PER_MS);
    json_write_field_string(&json, "by", who);
    if (result < 0)
        json_write_field_string(&json, "ended",
                                result == -ECANCELED ? "cancelled" : log_error_text(result));
    json_write_object_end(&json);
    report_whole(integrity, "integrity_checked", &detail);
}
