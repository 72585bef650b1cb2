/* Owns: a round over journal and files: which is read, how far, and what is told when reading it
 * does not work. Must not own: the thread. */
#include "agent/logs/logs_private.h"

#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* A place at which so many inspectors ended that had answered before is read in small pieces, then
 * left out. */
enum { FAILURES_NARROW = 2, FAILURES_SKIP = 3 };
/* Ours: no place is to blame, and it is tried again for as long as it takes. */
enum { LACK_OF_MEMORY = -ENOMEM };
static const uint64_t COMMIT_NS = 5 * NS_PER_SECOND;
/* Between two looks for a journal that was not there. */
static const uint64_t JOURNAL_NS = 30 * NS_PER_SECOND;
/* Between two events about what was left out of one file: it may fail everywhere. */
static const uint64_t SKIPPED_NS = 60 * NS_PER_SECOND;

/* ---- what is told ---- */

static void note_problem(struct logs *logs, const char *what, const char *error)
{
    if (logs->problem[0] == '\0')
        (void)text_format(logs->problem, sizeof logs->problem, "%s: %s", what, error);
}

static void tell(struct logs *logs, const char *kind, enum event_severity severity, const char *log,
                 const char *reason)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    AUTO_FREE char *subject = text_escape_new(log, strlen(log));
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "log", subject != NULL ? subject : "");
    json_write_field_string(&json, "reason", reason);
    json_write_object_end(&json);
    const struct event_draft draft = {.kind = kind,
                                      .severity = severity,
                                      .subject = subject != NULL ? subject : "",
                                      .detail = buffer_text(&detail)};
    if (log_batch_add(&logs->batch, &draft) < 0)
        log_error("event_not_stored", "kind", kind, "log", log, NULL);
    log_warning(kind, "log", subject, "reason", reason, NULL);
}

static void tell_notice(struct logs *logs, const struct log_source *source, enum log_notice notice)
{
    if (notice == LOG_NOTICE_LOST) {
        logs->counted.lost++;
        tell(logs, "log_gap", EVENT_MEDIUM, source->path,
             "lines were rotated away, compressed or removed before they were read");
    } else if (notice == LOG_NOTICE_EMPTIED) {
        tell(logs, "log_emptied", EVENT_MEDIUM, source->path,
             "the log was emptied, and no copy of it was kept");
    }
}

static int take_answer(struct logs *logs)
{
    const struct log_answer *answer = &logs->answer;
    struct logs_status *counted = &logs->counted;
    uint64_t now_ns = clock_monotonic_ns();

    counted->lines += answer->counts.lines;
    counted->matched += answer->counts.matched;
    counted->cut += answer->counts.cut;
    counted->exhausted += answer->counts.exhausted;
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->told[i].severity < logs->now->lowest)
            continue;
        int r = log_folds_take(logs->folds, &answer->told[i], now_ns, &logs->batch);
        if (r < 0)
            return r;
        counted->told += r == LOG_TOLD;
        counted->folded += r == LOG_FOLDED;
        counted->limited += r == LOG_LIMITED;
    }
    return 0;
}

/* What an answer gave is durable before the next question. */
static void commit(struct logs *logs)
{
    bool due = clock_monotonic_ns() - logs->committed_ns >= COMMIT_NS;

    if (logs->batch.count == 0 && !log_folds_changed(logs->folds) && !(due && logs_has_news(logs)))
        return;
    int r = logs_commit(logs);
    if (r < 0)
        log_error("log_events_not_stored", "error", log_error_text(r), NULL);
}

/* ---- files ---- */

static void tell_skipped(struct logs *logs, struct log_source *source)
{
    char reason[256];

    if (source->skipped.bytes == 0)
        return;
    (void)text_format(reason, sizeof reason,
                      "%" PRIu64 " bytes are left out: reading or inspecting them failed again and "
                      "again (%s)",
                      source->skipped.bytes, log_error_text(source->skipped.error));
    tell(logs, "log_skipped", EVENT_HIGH, source->path, reason);
    source->skipped.bytes = 0;
    source->skipped.told_ns = clock_monotonic_ns();
}

static void tell_skipped_when_due(struct logs *logs, struct log_source *source)
{
    uint64_t told_ns = source->skipped.told_ns;

    if (told_ns == 0 || clock_monotonic_ns() - told_ns >= SKIPPED_NS)
        tell_skipped(logs, source);
}

void logs_tell_skipped(struct logs *logs)
{
    for (size_t i = 0; i < logs->source_count; i++)
        tell_skipped(logs, &logs->sources[i]);
}

static void skip_place(struct logs *logs, struct log_source *source,
                       struct log_generation *generation, int error)
{
    uint64_t offset = MIN(generation->offset + LIMIT_LOG_INSPECTED_BYTES, generation->size);

    source->skipped.bytes += offset - generation->offset;
    source->skipped.error = error;
    log_source_advance(source, generation, offset, false);
    logs->counted.lost++;
}

static void note_inspector(struct logs *logs, const char *what, int error)
{
    if (!logs->failure_said)
        log_warning("log_inspector_failed", "log", what, "error", log_error_text(error), "now",
                    "it is started again; lines wait", NULL);
    logs->inspector_failed = logs->failure_said = true;
    note_problem(logs, what, log_error_text(error));
}

static void blame_place(struct logs *logs, struct log_source *source,
                        struct log_generation *generation, int error)
{
    if (++source->failures == FAILURES_NARROW)
        source->narrow = LIMIT_LOG_READ_BYTES;
    if (source->failures >= FAILURES_SKIP)
        skip_place(logs, source, generation, error);
}

static void read_source(struct logs *logs, struct log_source *source, bool *more)
{
    bool final;
    struct log_generation *generation = log_source_next(source, clock_monotonic_ns(), &final);

    if (generation == NULL || logs->inspector_failed)
        return;
    uint32_t most = source->narrow > 0 ? LIMIT_LOG_INSPECTED_BYTES : LIMIT_LOG_READ_BYTES;
    int asked = log_question_read(logs->question, generation->fd, source->path, generation->offset,
                                  most, final, &logs->answer);
    if (asked == 0)
        asked = take_answer(logs);
    int r = asked < 0 ? asked : logs->answer.error;
    if (asked < 0)
        note_inspector(logs, source->path, r);
    else if (r < 0)
        note_problem(logs, source->path, log_error_text(r));
    if (r < 0) {
        logs->file_failed = true;
        source->failed_at = ++logs->failures;
        if (asked != LACK_OF_MEMORY)
            blame_place(logs, source, generation, r);
        return;
    }
    *more = *more || logs->answer.more;
    log_source_advance(source, generation, logs->answer.offset, final);
}

static void look_at_source(struct logs *logs, struct log_source *source)
{
    enum log_notice notice = LOG_NOTICE_NONE;
    AUTO_FREE char *position = NULL;
    int r = source->known ? 0 : logs_position(logs, source->path, &position);

    if (r == 0 && !source->known)
        r = log_source_begin(source, position, clock_monotonic_ns(), &notice);
    tell_notice(logs, source, notice);
    if (r == 0)
        r = log_source_look(source, clock_monotonic_ns(), &notice);
    tell_notice(logs, source, r == 0 ? notice : LOG_NOTICE_NONE);
    if (r < 0)
        note_problem(logs, source->path, log_error_text(r));
}

static void take_file(struct logs *logs, struct log_source *source, bool *more)
{
    look_at_source(logs, source);
    read_source(logs, source, more);
    tell_skipped_when_due(logs, source);
    commit(logs);
}

/* ---- the journal ---- */

/* A reader is tied to the folders as they were when it started. */
static bool places_changed(struct logs *logs)
{
    static const char *const host[] = {"/var/log/journal", "/run/log/journal"};
    bool own = logs->now->journal_directory[0] != '\0', changed = false;

    for (size_t i = 0; i < ARRAY_LENGTH(host); i++) {
        struct stat status = {.st_ino = 0}, *before = &logs->journal_places[i];
        if (stat(own ? logs->now->journal_directory : host[i], &status) < 0)
            status = (struct stat){.st_ino = 0};
        changed = changed || status.st_ino != before->st_ino || status.st_dev != before->st_dev;
        *before = status;
    }
    return changed;
}

static bool journal_is_ready(struct logs *logs)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (!logs->now->journal)
        return false;
    /* Another process loses what its rules counted: only where this one can never read it. */
    bool moved = places_changed(logs);
    if (moved)
        log_question_restart(logs->question);
    if (moved || (!logs->reader.journal && now_ns - logs->journal_tried_ns >= JOURNAL_NS)) {
        logs->journal_tried_ns = now_ns;
        int r = log_question_state(logs->question, &logs->reader);
        if (r < 0) {
            note_inspector(logs, LOGS_JOURNAL, r);
            return false;
        }
        logs->known_starts = log_question_starts(logs->question);
    }
    return logs->reader.journal;
}

/* Again and again: from now on, rather than never. */
static void give_up_journal(struct logs *logs)
{
    tell(logs, "log_gap", EVENT_HIGH, LOGS_JOURNAL,
         "the journal cannot be read from where reading stood; it is read from now on");
    (void)text_copy(logs->cursor, sizeof logs->cursor, LOG_CURSOR_NOW);
    logs->cursor_changed = true;
    logs->journal_failures = 0;
    logs->counted.lost++;
}

static void read_journal(struct logs *logs, bool *more)
{
    const struct log_answer *answer = &logs->answer;

    if (logs->inspector_failed)
        return;
    if (!journal_is_ready(logs)) {
        if (logs->now->journal)
            note_problem(logs, LOGS_JOURNAL, "there is none that can be read");
        return;
    }
    int r = log_question_journal(logs->question, logs->cursor, &logs->answer);
    if (r == 0)
        r = take_answer(logs);
    if (r < 0) {
        note_inspector(logs, LOGS_JOURNAL, r);
        logs->journal_failed_at = ++logs->failures;
        if (r != LACK_OF_MEMORY && ++logs->journal_failures >= FAILURES_SKIP)
            give_up_journal(logs);
        return;
    }
    logs->journal_failures = 0;
    if (answer->lost) {
        logs->counted.lost++;
        tell(logs, "log_gap", EVENT_MEDIUM, LOGS_JOURNAL,
             "entries of the journal were removed before they were read");
    }
    if (!text_equal(logs->cursor, answer->cursor)) {
        (void)text_copy(logs->cursor, sizeof logs->cursor, answer->cursor);
        logs->cursor_changed = true;
    }
    uint64_t now_ns = clock_realtime_ns();
    logs->counted.lag_ns = answer->more && answer->last_ns < now_ns ? now_ns - answer->last_ns : 0;
    *more = *more || answer->more;
    commit(logs);
}

/* ---- the round ---- */

/* The first question to each inspector: one that does not even answer this says nothing about the
 * lines it would read. */
static int learn_state(struct logs *logs)
{
    if (log_question_pid(logs->question) > 0 &&
        logs->known_starts == log_question_starts(logs->question))
        return 0;
    int r = log_question_state(logs->question, &logs->reader);
    if (r < 0)
        return r;
    (void)places_changed(logs);
    logs->journal_tried_ns = clock_monotonic_ns();
    logs->known_starts = log_question_starts(logs->question);
    if (logs->reader.problem[0] != '\0')
        log_warning("log_rules_refused", "problem", logs->reader.problem, NULL);
    return 0;
}

static int prepare(struct logs *logs)
{
    AUTO_FREE char *position = NULL;
    int r;

    if (logs->folds_read)
        return 0;
    r = logs_position(logs, LOGS_JOURNAL, &position);
    if (r == 0)
        r = logs_read_folds(logs);
    if (r < 0)
        return r;
    if (position != NULL)
        (void)text_copy(logs->cursor, sizeof logs->cursor, position);
    logs->folds_read = true;
    return 0;
}

/* The journal stands behind the files. */
static uint64_t turn_failed_at(const struct logs *logs, size_t turn)
{
    return turn < logs->source_count ? logs->sources[turn].failed_at : logs->journal_failed_at;
}

/* What failed last comes last: the inspector would end at it before all others again. */
static void order_turns(const struct logs *logs, size_t turns[LIMIT_LOG_FILES + 1])
{
    for (size_t i = 0; i <= logs->source_count; i++) {
        size_t turn = i > 0 ? i - 1 : logs->source_count, at = i;
        for (; at > 0 && turn_failed_at(logs, turns[at - 1]) > turn_failed_at(logs, turn); at--)
            turns[at] = turns[at - 1];
        turns[at] = turn;
    }
}

static void read_all(struct logs *logs, bool *more)
{
    size_t turns[LIMIT_LOG_FILES + 1] = {0};

    order_turns(logs, turns);
    for (size_t i = 0; i <= logs->source_count; i++)
        if (turns[i] < logs->source_count)
            take_file(logs, &logs->sources[turns[i]], more);
        else
            read_journal(logs, more);
}

/* Whether there is more to read at once: what fails gets a moment. */
static bool count_files(struct logs *logs)
{
    bool more = false;

    logs->counted.files = 0;
    logs->counted.lag_bytes = 0;
    for (size_t i = 0; i < logs->source_count; i++) {
        uint64_t lag = log_source_lag(&logs->sources[i]);
        logs->counted.files += logs->sources[i].count > 0;
        logs->counted.lag_bytes += lag;
        more = more || (lag > 0 && logs->sources[i].failures == 0);
    }
    return more;
}

void logs_round(struct logs *logs, bool *ret_more)
{
    *ret_more = false;
    logs->problem[0] = '\0';
    logs->inspector_failed = logs->file_failed = false;
    int r = prepare(logs);
    if (r < 0) {
        note_problem(logs, "the event store", log_error_text(r));
        return;
    }
    r = learn_state(logs);
    if (r < 0) {
        note_inspector(logs, "yagura-inspector", r);
        return;
    }
    if (logs->reader.problem[0] != '\0')
        note_problem(logs, "log_inspection.rules", logs->reader.problem);
    read_all(logs, ret_more);
    if (log_folds_end(logs->folds, clock_monotonic_ns(), &logs->batch) < 0)
        log_error("log_events_not_stored", "error", log_error_text(-ENOMEM), NULL);
    commit(logs);
    bool files_have_more = count_files(logs);
    *ret_more = !logs->inspector_failed && (*ret_more || files_have_more);
    logs->failure_said = logs->inspector_failed;
}

/* ---- another policy ---- */

void logs_forget_sources(struct logs *logs)
{
    for (size_t i = 0; i < logs->source_count; i++)
        log_source_done(&logs->sources[i]);
    free(logs->sources);
    logs->sources = NULL;
    logs->source_count = 0;
}

static int make_sources(const struct logs_settings *settings, struct log_source **ret_sources)
{
    struct log_source *sources = calloc(MAX(settings->file_count, (size_t)1), sizeof *sources);

    if (sources == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < settings->file_count; i++)
        if (log_source_init(&sources[i], settings->files[i]) < 0) {
            while (i-- > 0)
                log_source_done(&sources[i]);
            free(sources);
            return -ENOMEM;
        }
    *ret_sources = sources;
    return 0;
}

/* Files go on from where they stand in the store. */
int logs_take_settings(struct logs *logs, struct logs_settings *settings)
{
    const struct log_question_options options = {
        .inspector_program = settings->inspector_program,
        .journal_directory =
            settings->journal_directory[0] != '\0' ? settings->journal_directory : NULL,
        .shipped_path = settings->shipped_path,
        .custom = settings->custom,
    };
    struct log_question *question = NULL;
    struct log_source *sources = NULL;

    logs_tell_skipped(logs);
    int r = logs_has_news(logs) ? logs_commit(logs) : 0;
    if (r == 0)
        r = log_question_new(&options, &question);
    if (r == 0)
        r = make_sources(settings, &sources);
    if (r < 0) {
        (void)log_question_free(question);
        return r;
    }
    logs_forget_sources(logs);
    logs->sources = sources;
    logs->source_count = settings->file_count;
    (void)log_question_free(logs->question);
    logs->question = question;
    logs->known_starts = 0;
    log_folds_set(logs->folds, settings->fold_ns, settings->rate);
    r = logs_forget_positions(logs);
    if (r < 0)
        log_error("log_positions_not_forgotten", "error", log_error_text(r), NULL);
    return 0;
}
