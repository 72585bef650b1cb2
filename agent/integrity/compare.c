/* Owns: what is found when an entry is held against its row. Must not own: which entries, nor what
 * is told about it. */
#include "agent/integrity/integrity_private.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int compare_load_page(struct integrity *integrity, const char *directory, size_t length,
                      struct baseline_page *page, bool *ret_broken)
{
    *ret_broken = false;
    int r = baseline_load(integrity->baseline, directory, length, page);
    *ret_broken = r == -EBADMSG;
    if (*ret_broken) {
        baseline_note_tampering(integrity->baseline);
        if (!integrity->told_tampering) {
            AUTO_FREE char *shown = text_escape_new(directory, length);
            r = report_event(integrity, "baseline_tampered", EVENT_CRITICAL, shown,
                             "{\"reason\":\"the baseline was changed by somebody else\"}");
        } else {
            r = 0;
        }
        integrity->told_tampering = true;
    }
    return r;
}

/* ---- what is asked about the new content ---- */

static void ask_package(struct integrity *integrity, struct change *change, int fd)
{
    char package[PACKAGE_NAME_BYTES];

    if (!integrity->now->trust_packages || integrity->packages == NULL || fd < 0 ||
        change->after.state.content != FACTS_HASHED)
        return;
    enum package_answer answer = package_owner_ask(integrity->packages, change->path, fd, package);
    change->expected = answer == PACKAGE_UNCHANGED;
    if (package[0] != '\0')
        change->package = strdup(package);
}

/* Only what everybody on the host may read anyway is kept and told. */
static bool may_tell_text(const struct integrity *integrity, const struct change *change)
{
    const struct facts_state *state = &change->after.state;

    return S_ISREG(state->mode) && (state->mode & S_IROTH) != 0 && state->content == FACTS_HASHED &&
           state->size <= LIMIT_INTEGRITY_TEXT &&
           integrity_rules_allow_text(integrity->now->rules, change->path, change->length);
}

static int keep_text(struct integrity *integrity, struct change *change, int fd)
{
    if (!may_tell_text(integrity, change) || fd < 0) {
        change->forgets_text = change->has_before;
        return 0;
    }
    if (lseek(fd, 0, SEEK_SET) < 0)
        return 0;
    int r = file_read_all_fd(fd, &change->text);
    uint8_t digest[SHA256_BYTES];
    if (r == 0)
        r = hash_sha256(buffer_text(&change->text), change->text.length, digest);
    /* It changed while it was read: the next event brings it. */
    change->stores_text = r == 0 && memcmp(digest, change->after.state.digest, SHA256_BYTES) == 0 &&
                          memchr(buffer_text(&change->text), '\0', change->text.length) == NULL;
    integrity->changes.bytes += change->text.length;
    return r == -ENOMEM ? r : 0;
}

/* ---- one entry ---- */

static bool is_adopted(const struct compare_options *options, const struct entry_place *place)
{
    return options->mode == WALK_APPROVE ||
           (options->mode == WALK_ADOPT && integrity_rules_care(options->adopted_from, place->path,
                                                                place->path_length) == CARE_NONE);
}

static int note_created(struct integrity *integrity, struct change *change,
                        const struct entry_place *place, const struct compare_options *options,
                        int fd)
{
    change->put = BASELINE_CHANGED;
    change->kind = CHANGE_CREATED;
    if (is_adopted(options, place) || place->care == CARE_LOG) {
        change->kind = CHANGE_SILENT;
        change->put = BASELINE_APPROVED;
    } else {
        ask_package(integrity, change, fd);
    }
    return keep_text(integrity, change, fd);
}

/* logrotate's copytruncate: the log is copied, then emptied. */
static bool was_copied(const struct entry_place *place, const struct file_facts *before)
{
    AUTO_FREE char *copy = text_format_new("%s.1", place->name);
    struct stat status;

    return copy != NULL && fstatat(place->directory_fd, copy, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISREG(status.st_mode) && (uint64_t)status.st_size >= before->state.size &&
           timespec_to_ns(status.st_ctim) >= before->state.ctime_ns;
}

static int note_updated(struct integrity *integrity, struct change *change,
                        const struct entry_place *place, const struct compare_options *options,
                        int fd)
{
    change->difference = file_facts_compare(&change->before, &change->after, place->care);
    if ((change->difference & (FACTS_DIFFER_SHRUNK | FACTS_DIFFER_REWRITTEN)) != 0 &&
        was_copied(place, &change->before))
        change->difference &= ~(uint32_t)(FACTS_DIFFER_SHRUNK | FACTS_DIFFER_REWRITTEN);
    change->kind = change->difference != 0 ? CHANGE_UPDATED : CHANGE_SILENT;
    change->put = change->difference != 0 ? BASELINE_CHANGED : BASELINE_SEEN;
    if (is_adopted(options, place)) {
        change->kind = CHANGE_SILENT;
        change->put = BASELINE_APPROVED;
    } else if ((change->difference & FACTS_DIFFER_CONTENT) != 0) {
        ask_package(integrity, change, fd);
    }
    return keep_text(integrity, change, fd);
}

/* facts of the row into before; the row may say that the entry is gone. */
static int take_before(struct change *change, const struct baseline_row *row)
{
    if (row == NULL || row->facts == NULL)
        return 0;
    int r = file_facts_decode(row->facts, row->facts_length, &change->before);
    change->has_before = r == 0;
    return r == -EBADMSG ? 0 : r;
}

static int look_closely(struct integrity *integrity, const struct entry_place *place,
                        struct baseline_row *row, const struct compare_options *options)
{
    AUTO_CLOSE int fd = -1;
    struct change *change = changes_add(&integrity->changes, place->path, place->path_length);

    if (change == NULL)
        return -ENOMEM;
    change->care = place->care;
    int r = take_before(change, row);
    if (r == 0)
        r = file_facts_collect(place->directory_fd, place->name, place->care,
                               integrity->now->most_bytes,
                               change->has_before ? &change->before : NULL, &change->after, &fd);
    if (r < 0) {
        changes_drop_last(&integrity->changes);
        if (r == -ENOENT && row != NULL)
            return compare_gone(integrity, place, row, options->mode);
        return r == -ENOMEM ? r : 0; /* what cannot be looked at stays as it was */
    }
    change->has_after = true;
    return change->has_before ? note_updated(integrity, change, place, options, fd)
                              : note_created(integrity, change, place, options, fd);
}

int compare_gone(struct integrity *integrity, const struct entry_place *place,
                 struct baseline_row *row, enum walk_mode mode)
{
    if (row->facts == NULL && (mode != WALK_APPROVE && place->care != CARE_NONE))
        return 0; /* told before */
    struct change *change = changes_add(&integrity->changes, place->path, place->path_length);
    if (change == NULL)
        return -ENOMEM;
    change->care = place->care;
    change->forgets_text = true;
    int r = take_before(change, row);
    if (r < 0)
        return r;
    change->kind = CHANGE_DELETED;
    change->put = BASELINE_CHANGED;
    if (place->care == CARE_NONE) {
        change->kind = CHANGE_FORGET;
    } else if (mode == WALK_APPROVE || place->care == CARE_LOG || !change->has_before) {
        change->kind = CHANGE_SILENT;
        change->put = BASELINE_APPROVED;
    }
    return 0;
}

int compare_entry(struct integrity *integrity, const struct entry_place *place,
                  const struct compare_options *options)
{
    size_t name_length = strlen(place->name);
    struct baseline_row *row = baseline_page_find(place->page, place->name, name_length);
    struct facts_state state;
    struct stat status;

    if (row != NULL)
        row->seen = true;
    integrity->totals.files++;
    if (place->status != NULL)
        status = *place->status;
    else if (fstatat(place->directory_fd, place->name, &status,
                     AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
        return errno == ENOENT && row != NULL ? compare_gone(integrity, place, row, options->mode)
                                              : 0;
    if (row != NULL && !options->read_all && !options->distrust &&
        !(options->mode == WALK_APPROVE && row->approved_differs) &&
        file_facts_peek(row->facts, row->facts_length, &state) &&
        facts_state_holds(&state, &status))
        return 0;
    if (options->mode == WALK_APPROVE && row != NULL && row->approved_differs)
        integrity->totals.approved++;
    return look_closely(integrity, place, row, options);
}
