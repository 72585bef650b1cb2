/* Owns: windows, counts and the budget of rules. Must not own: what a match says. */
#include "agent/logs/log_folds.h"

#include "common/buffers/buffer.h"
#include "common/database/database.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

struct fold {
    char key[LOG_KEY_BYTES];
    enum event_severity severity;
    const char *kind;
    char *subject, *head;
    uint64_t repeats; /* not told yet */
    uint64_t first_ns, last_ns;
    uint64_t due_ns;
    bool used, changed, stored, ended;
};

struct budget {
    uint32_t rule;
    uint64_t events;   /* thousandths */
    uint64_t since_ns; /* when they were counted */
};

/* The places behind LIMIT_LOG_FOLDS are those of limited rules, one for each: what is beyond a
 * budget is counted however many kinds of matches there are. */
enum { PLACES = LIMIT_LOG_FOLDS + LIMIT_LOG_RULES };

struct log_folds {
    uint64_t window_ns, rate;
    struct fold folds[PLACES];
    struct budget budgets[LIMIT_LOG_RULES];
    size_t budget_count;
};

int log_folds_new(struct log_folds **ret_folds)
{
    struct log_folds *folds = calloc(1, sizeof *folds);

    if (folds == NULL)
        return -ENOMEM;
    log_folds_set(folds, 60 * NS_PER_SECOND, 30);
    *ret_folds = folds;
    return 0;
}

static void forget(struct fold *fold)
{
    free(fold->subject);
    free(fold->head);
    *fold = (struct fold){.used = false};
}

struct log_folds *log_folds_free(struct log_folds *folds)
{
    if (folds == NULL)
        return NULL;
    for (size_t i = 0; i < PLACES; i++)
        forget(&folds->folds[i]);
    free(folds);
    return NULL;
}

void log_folds_set(struct log_folds *folds, uint64_t window_ns, uint64_t rate)
{
    folds->window_ns = window_ns;
    folds->rate = rate;
}

/* ---- the budget ---- */

static struct budget *find_budget(struct log_folds *folds, uint32_t rule, uint64_t now_ns)
{
    for (size_t i = 0; i < folds->budget_count; i++)
        if (folds->budgets[i].rule == rule)
            return &folds->budgets[i];
    if (folds->budget_count == LIMIT_LOG_RULES)
        folds->budget_count = 0; /* rules of many policies: counted anew */
    struct budget *budget = &folds->budgets[folds->budget_count++];
    *budget = (struct budget){rule, folds->rate * 1000, now_ns};
    return budget;
}

static bool take_budget(struct log_folds *folds, uint32_t rule, uint64_t now_ns)
{
    struct budget *budget = find_budget(folds, rule, now_ns);
    uint64_t passed_ms = (now_ns - budget->since_ns) / NS_PER_MS;
    uint64_t more = MIN(passed_ms, (uint64_t)60000) * folds->rate / 60;

    if (more > 0) {
        budget->events = MIN(budget->events + more, folds->rate * 1000);
        budget->since_ns = now_ns;
    }
    if (budget->events < 1000)
        return false;
    budget->events -= 1000;
    return true;
}

/* ---- folds ---- */

static const char limited_kind[] = "log_rule_limited";

struct places {
    size_t first, end;
};

static struct places places_of(const char *kind)
{
    return text_equal(kind, limited_kind) ? (struct places){LIMIT_LOG_FOLDS, PLACES}
                                          : (struct places){0, LIMIT_LOG_FOLDS};
}

static struct fold *find(struct log_folds *folds, const char *key)
{
    for (size_t i = 0; i < PLACES; i++)
        if (folds->folds[i].used && !folds->folds[i].ended && text_equal(folds->folds[i].key, key))
            return &folds->folds[i];
    return NULL;
}

static int tell_repeats(const struct fold *fold, struct log_batch *batch)
{
    char first[CLOCK_TEXT_BYTES], last[CLOCK_TEXT_BYTES];

    clock_format(first, fold->first_ns);
    clock_format(last, fold->last_ns);
    AUTO_FREE char *detail =
        text_format_new("%s,\"count\":%llu,\"first\":\"%s\",\"last\":\"%s\"}", fold->head,
                        (unsigned long long)fold->repeats, first, last);
    const struct event_draft draft = {.kind = fold->kind,
                                      .severity = fold->severity,
                                      .subject = fold->subject,
                                      .detail = detail,
                                      .time_ns = fold->last_ns};

    return detail != NULL ? log_batch_add(batch, &draft) : -ENOMEM;
}

/* Its row, if there is one, goes with the next commit. */
static void end_fold(struct fold *fold)
{
    fold->repeats = 0;
    fold->ended = true;
    fold->changed = fold->stored;
    if (!fold->stored)
        forget(fold);
}

/* A free place; else that of the fold whose window ends first, which is told early. */
static int find_place(struct log_folds *folds, const char *kind, struct log_batch *batch,
                      struct fold **ret_fold)
{
    const struct places places = places_of(kind);
    struct fold *oldest = NULL;

    for (size_t i = places.first; i < places.end; i++) {
        struct fold *fold = &folds->folds[i];
        if (!fold->used) {
            *ret_fold = fold;
            return 0;
        }
        if (!fold->ended && !fold->stored && (oldest == NULL || fold->due_ns < oldest->due_ns))
            oldest = fold;
    }
    *ret_fold = NULL;
    if (oldest == NULL)
        return 0;
    int r = oldest->repeats > 0 ? tell_repeats(oldest, batch) : 0;
    forget(oldest);
    *ret_fold = oldest;
    return r;
}

static int begin_fold(struct log_folds *folds, const struct log_told *told, uint64_t repeats,
                      uint64_t now_ns, struct log_batch *batch)
{
    struct fold *fold;
    int r = find_place(folds, told->kind, batch, &fold);

    if (r < 0 || fold == NULL)
        return r;
    *fold = (struct fold){.severity = told->severity,
                          .kind = told->kind,
                          .subject = strdup(told->subject),
                          .head = strdup(told->head),
                          .repeats = repeats,
                          .first_ns = told->time_ns,
                          .last_ns = told->time_ns,
                          .due_ns = now_ns + folds->window_ns,
                          .used = true,
                          .changed = repeats > 0};
    (void)text_copy(fold->key, sizeof fold->key, told->key);
    if (fold->subject != NULL && fold->head != NULL)
        return 0;
    forget(fold);
    return -ENOMEM;
}

static void count(struct fold *fold, uint64_t time_ns)
{
    if (fold->repeats++ == 0)
        fold->first_ns = time_ns;
    fold->last_ns = time_ns;
    fold->changed = true;
}

/* Beyond its budget a rule's matches are counted together, whatever they say. */
static int limit(struct log_folds *folds, const struct log_told *told, uint64_t now_ns,
                 struct log_batch *batch)
{
    struct log_told limited = {.rule = told->rule,
                               .severity = told->severity,
                               .kind = limited_kind,
                               .subject = told->subject,
                               .time_ns = told->time_ns};

    (void)text_format(limited.key, sizeof limited.key, "limited %u", told->rule);
    struct fold *fold = find(folds, limited.key);
    if (fold != NULL) {
        count(fold, told->time_ns);
        return LOG_LIMITED;
    }
    AUTO_FREE char *head = text_format_new("{\"rule\":%u,\"most_a_minute\":%llu", told->rule,
                                           (unsigned long long)folds->rate);
    limited.head = head;
    int r = head != NULL ? begin_fold(folds, &limited, 1, now_ns, batch) : -ENOMEM;
    return r < 0 ? r : LOG_LIMITED;
}

int log_folds_take(struct log_folds *folds, const struct log_told *told, uint64_t now_ns,
                   struct log_batch *batch)
{
    struct fold *fold = find(folds, told->key);

    if (fold != NULL) {
        count(fold, told->time_ns);
        return LOG_FOLDED;
    }
    if (!take_budget(folds, told->rule, now_ns))
        return limit(folds, told, now_ns, batch);
    AUTO_FREE char *detail = text_format_new("%s}", told->head);
    const struct event_draft draft = {.kind = told->kind,
                                      .severity = told->severity,
                                      .subject = told->subject,
                                      .detail = detail,
                                      .time_ns = told->time_ns};
    int r = detail != NULL ? log_batch_add(batch, &draft) : -ENOMEM;
    if (r == 0)
        r = begin_fold(folds, told, 0, now_ns, batch);
    return r < 0 ? r : LOG_TOLD;
}

/* What goes on is told once a window; what has ended is forgotten. */
int log_folds_end(struct log_folds *folds, uint64_t now_ns, struct log_batch *batch)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct fold *fold = &folds->folds[i];
        if (!fold->used || fold->ended || fold->due_ns > now_ns)
            continue;
        if (fold->repeats == 0) {
            end_fold(fold);
            continue;
        }
        int r = tell_repeats(fold, batch);
        if (r < 0)
            return r;
        fold->repeats = 0;
        fold->changed = true;
        fold->due_ns = now_ns + folds->window_ns;
    }
    return 0;
}

/* ---- in the store ---- */

bool log_folds_changed(const struct log_folds *folds)
{
    for (size_t i = 0; i < PLACES; i++)
        if (folds->folds[i].used && folds->folds[i].changed)
            return true;
    return false;
}

static int run(sqlite3_stmt *statement)
{
    int r = sqlite3_step(statement);

    (void)sqlite3_finalize(statement);
    return database_errno(r);
}

static int delete_row(const struct fold *fold, sqlite3 *database)
{
    sqlite3_stmt *statement;
    int r = database_errno(
        sqlite3_prepare_v2(database, "DELETE FROM log_fold WHERE key = ?1", -1, &statement, NULL));

    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, fold->key, -1, SQLITE_STATIC);
    return run(statement);
}

static int write_row(const struct fold *fold, sqlite3 *database)
{
    sqlite3_stmt *statement;
    int r = database_errno(sqlite3_prepare_v2(
        database, "INSERT OR REPLACE INTO log_fold VALUES(?1,?2,?3,?4,?5,?6,?7,?8)", -1, &statement,
        NULL));

    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, fold->key, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 2, (int)fold->severity);
    (void)sqlite3_bind_text(statement, 3, fold->kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 4, fold->subject, -1, SQLITE_STATIC);
    (void)sqlite3_bind_text(statement, 5, fold->head, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(statement, 6, (int64_t)fold->repeats);
    (void)sqlite3_bind_int64(statement, 7, (int64_t)fold->first_ns);
    (void)sqlite3_bind_int64(statement, 8, (int64_t)fold->last_ns);
    return run(statement);
}

int log_folds_write(const struct log_folds *folds, sqlite3 *database)
{
    int r = 0;

    for (size_t i = 0; i < PLACES && r == 0; i++) {
        const struct fold *fold = &folds->folds[i];
        if (fold->used && fold->changed)
            r = fold->repeats > 0 ? write_row(fold, database) : delete_row(fold, database);
    }
    return r;
}

void log_folds_written(struct log_folds *folds)
{
    for (size_t i = 0; i < PLACES; i++) {
        struct fold *fold = &folds->folds[i];
        if (!fold->used || !fold->changed)
            continue;
        fold->changed = false;
        fold->stored = fold->repeats > 0;
        if (fold->ended)
            forget(fold);
    }
}

static const char *column(sqlite3_stmt *statement, int index)
{
    return (const char *)sqlite3_column_text(statement, index) ?: "";
}

/* The static text of a kind that was stored. */
static const char *known_kind(const char *kind)
{
    if (text_equal(kind, limited_kind))
        return limited_kind;
    for (int group = 0; group < LOG_GROUP_COUNT; group++)
        if (text_equal(log_group_kind((enum log_group)group), kind))
            return log_group_kind((enum log_group)group);
    return log_group_kind(LOG_GROUP_OTHER);
}

static int read_row(struct log_folds *folds, struct fold *fold, uint64_t now_ns,
                    sqlite3_stmt *statement)
{
    *fold = (struct fold){.severity = (enum event_severity)sqlite3_column_int(statement, 1),
                          .kind = known_kind(column(statement, 2)),
                          .subject = strdup(column(statement, 3)),
                          .head = strdup(column(statement, 4)),
                          .repeats = (uint64_t)sqlite3_column_int64(statement, 5),
                          .first_ns = (uint64_t)sqlite3_column_int64(statement, 6),
                          .last_ns = (uint64_t)sqlite3_column_int64(statement, 7),
                          .due_ns = now_ns + folds->window_ns,
                          .used = true,
                          .stored = true};
    (void)text_copy(fold->key, sizeof fold->key, column(statement, 0));
    return fold->subject != NULL && fold->head != NULL ? 0 : -ENOMEM;
}

/* Rows of the one kind of places or of the other. */
static int read_rows(struct log_folds *folds, bool limited, uint64_t now_ns, sqlite3 *database)
{
    const struct places places = places_of(limited ? limited_kind : "");
    sqlite3_stmt *statement;
    int r =
        database_errno(sqlite3_prepare_v2(database, "SELECT * FROM log_fold WHERE (kind = ?1) = ?2",
                                          -1, &statement, NULL));

    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, limited_kind, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int(statement, 2, limited);
    for (size_t i = places.first; i < places.end && r == 0; i++) {
        if (folds->folds[i].used)
            continue;
        if (sqlite3_step(statement) != SQLITE_ROW)
            break;
        r = read_row(folds, &folds->folds[i], now_ns, statement);
    }
    (void)sqlite3_finalize(statement);
    return r;
}

int log_folds_read(struct log_folds *folds, uint64_t now_ns, sqlite3 *database)
{
    int r = read_rows(folds, false, now_ns, database);

    return r == 0 ? read_rows(folds, true, now_ns, database) : r;
}
