/* Owns: what rows of the baseline say: reading, changing, approving them. */
#include "agent/integrity/baseline_private.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

/* ---- pages ---- */

void baseline_page_done(struct baseline_page *page)
{
    free(page->directory);
    free(page->rows);
    free(page->bytes);
    *page = (struct baseline_page){.directory = NULL};
}

static int keep_bytes(struct baseline_page *page, const void *bytes, size_t length)
{
    if (page->bytes_length + length > page->bytes_capacity) {
        size_t capacity = MAX(page->bytes_capacity * 2, page->bytes_length + length + 4096);
        uint8_t *larger = realloc(page->bytes, capacity);
        if (larger == NULL)
            return -ENOMEM;
        page->bytes = larger;
        page->bytes_capacity = capacity;
    }
    if (length > 0)
        memcpy(page->bytes + page->bytes_length, bytes, length);
    page->bytes_length += length;
    return 0;
}

static struct baseline_row *new_row(struct baseline_page *page)
{
    if (page->count == page->capacity) {
        size_t capacity = MAX(page->capacity * 2, (size_t)32);
        struct baseline_row *rows = reallocarray(page->rows, capacity, sizeof *rows);
        if (rows == NULL)
            return NULL;
        page->rows = rows;
        page->capacity = capacity;
    }
    return &page->rows[page->count++];
}

/* Pointers into the page's bytes are set once all are there; until then lengths speak. */
static int take_row(struct baseline *baseline, struct baseline_page *page)
{
    sqlite3_stmt *row = baseline->load;
    const void *name = sqlite3_column_blob(row, 0), *facts = sqlite3_column_blob(row, 1);
    size_t name_length = (size_t)sqlite3_column_bytes(row, 0);
    size_t facts_length = (size_t)sqlite3_column_bytes(row, 1);
    bool approved_differs = sqlite3_column_type(row, 2) != SQLITE_NULL || facts == NULL;
    const void *approved = sqlite3_column_blob(row, 2);
    size_t approved_length = (size_t)sqlite3_column_bytes(row, 2);

    if (sqlite3_column_type(row, 2) != SQLITE_NULL && approved == NULL)
        approved = "";
    int r = seal_add(baseline->sealer, name, name_length);
    if (r == 0)
        r = seal_add(baseline->sealer, facts, facts_length);
    if (r == 0)
        r = seal_add(baseline->sealer, approved, approved_length);
    if (r == 0)
        r = keep_bytes(page, name, name_length);
    if (r == 0)
        r = keep_bytes(page, facts, facts_length);
    struct baseline_row *kept = r == 0 ? new_row(page) : NULL;
    if (kept == NULL)
        return r < 0 ? r : -ENOMEM;
    *kept = (struct baseline_row){.name_length = name_length,
                                  .facts_length = facts_length,
                                  .approved_differs = approved_differs};
    return 0;
}

static void point_rows(struct baseline_page *page)
{
    const uint8_t *at = page->bytes;

    for (size_t i = 0; i < page->count; i++) {
        struct baseline_row *row = &page->rows[i];
        row->name = (const char *)at;
        at += row->name_length;
        row->facts = row->facts_length > 0 ? at : NULL;
        at += row->facts_length;
    }
}

int baseline_load_and_seal(struct baseline *baseline, const char *directory, size_t length,
                           struct baseline_page *page, uint8_t ret_seal[static SEAL_BYTES])
{
    int step = SQLITE_DONE;

    page->count = page->bytes_length = 0;
    int r = seal_begin(baseline->sealer);
    if (r == 0)
        r = seal_add(baseline->sealer, directory, length);
    baseline_bind(baseline->load, 1, directory, length);
    while (r == 0 && (step = sqlite3_step(baseline->load)) == SQLITE_ROW)
        r = take_row(baseline, page);
    (void)sqlite3_reset(baseline->load);
    if (r == 0 && step != SQLITE_DONE)
        r = database_errno(step);
    if (r < 0)
        return r;
    point_rows(page);
    return seal_end(baseline->sealer, ret_seal);
}

/* 1: it holds, 0: it does not, -errno. */
static int seal_holds(struct baseline *baseline, const char *directory, size_t length,
                      size_t row_count, const uint8_t seal[static SEAL_BYTES])
{
    baseline_bind(baseline->find_seal, 1, directory, length);
    int step = sqlite3_step(baseline->find_seal);
    bool holds = step == SQLITE_DONE && row_count == 0;
    if (step == SQLITE_ROW)
        holds = row_count > 0 && sqlite3_column_bytes(baseline->find_seal, 0) == SEAL_BYTES &&
                memcmp(sqlite3_column_blob(baseline->find_seal, 0), seal, SEAL_BYTES) == 0;
    (void)sqlite3_reset(baseline->find_seal);
    return step == SQLITE_ROW || step == SQLITE_DONE ? holds : database_errno(step);
}

int baseline_load(struct baseline *baseline, const char *directory, size_t length,
                  struct baseline_page *page)
{
    uint8_t seal[SEAL_BYTES];

    free(page->directory);
    page->directory = text_new(directory, length);
    page->directory_length = length;
    if (page->directory == NULL)
        return -ENOMEM;
    int r = baseline_load_and_seal(baseline, directory, length, page, seal);
    if (r < 0)
        return r;
    r = seal_holds(baseline, directory, length, page->count, seal);
    return r == 0 ? -EBADMSG : MIN(r, 0);
}

static int compare_names(const void *key, const void *member)
{
    const struct baseline_row *a = key, *b = member;
    int order = memcmp(a->name, b->name, MIN(a->name_length, b->name_length));

    if (order != 0)
        return order;
    return a->name_length < b->name_length ? -1 : a->name_length > b->name_length;
}

struct baseline_row *baseline_page_find(struct baseline_page *page, const char *name, size_t length)
{
    const struct baseline_row wanted = {.name = name, .name_length = length};

    if (page->count == 0)
        return NULL;
    return bsearch(&wanted, page->rows, page->count, sizeof page->rows[0], compare_names);
}

int baseline_each_directory(struct baseline *baseline,
                            int (*take)(void *user, const char *directory, size_t length),
                            void *user)
{
    sqlite3_stmt *statement;
    int step = SQLITE_DONE;
    int r = database_prepare(baseline->database,
                             "SELECT directory FROM seal UNION SELECT directory FROM entry "
                             "ORDER BY directory",
                             &statement);

    while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
        r = take(user, sqlite3_column_blob(statement, 0),
                 (size_t)sqlite3_column_bytes(statement, 0));
    if (r == 0 && step != SQLITE_DONE)
        r = database_errno(step);
    (void)sqlite3_finalize(statement);
    return r;
}

int baseline_each_below(struct baseline *baseline, const char *path, size_t length,
                        int (*take)(void *user, const char *directory, size_t length), void *user)
{
    sqlite3_stmt *statement = baseline->below;
    const char *top = length == 1 ? "" : path; /* "/" is followed by all */
    AUTO_FREE char *after = text_format_new("%s/", top);
    AUTO_FREE char *before = text_format_new("%s0", top); /* '0' follows '/' */
    int step = SQLITE_DONE, r = 0;

    if (after == NULL || before == NULL)
        return -ENOMEM;
    baseline_bind(statement, 1, path, length);
    baseline_bind(statement, 2, after, strlen(after));
    baseline_bind(statement, 3, before, strlen(before));
    while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
        r = take(user, sqlite3_column_blob(statement, 0),
                 (size_t)sqlite3_column_bytes(statement, 0));
    if (r == 0 && step != SQLITE_DONE)
        r = database_errno(step);
    (void)sqlite3_reset(statement);
    return r;
}

/* ---- verifying ---- */

struct verification {
    struct baseline *baseline;
    struct baseline_page page;
    struct seal_sum sum;
    uint64_t directories;
    bool broken;
};

static int verify_directory(void *user, const char *directory, size_t length)
{
    struct verification *verification = user;
    struct baseline *baseline = verification->baseline;
    uint8_t seal[SEAL_BYTES];

    int r = baseline_load_and_seal(baseline, directory, length, &verification->page, seal);
    if (r < 0)
        return r;
    r = seal_holds(baseline, directory, length, verification->page.count, seal);
    if (r < 0)
        return r;
    verification->broken = verification->broken || r == 0;
    verification->directories++;
    seal_sum_add(&verification->sum, seal);
    return 0;
}

int baseline_verify(struct baseline *baseline)
{
    struct verification verification = {.baseline = baseline};

    int r = baseline_each_directory(baseline, verify_directory, &verification);
    baseline_page_done(&verification.page);
    if (r < 0)
        return r;
    if (verification.broken || verification.directories != baseline->header.directories ||
        memcmp(&verification.sum, &baseline->header.sum, sizeof verification.sum) != 0)
        baseline->header.tampered = true;
    return baseline->header.tampered ? -EBADMSG : 0;
}

static int count_rows(struct baseline *baseline, const char *sql, uint64_t *ret_count)
{
    sqlite3_stmt *statement;
    int r = database_prepare(baseline->database, sql, &statement);

    if (r < 0)
        return r;
    int step = sqlite3_step(statement);
    if (step == SQLITE_ROW)
        *ret_count = (uint64_t)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return step == SQLITE_ROW ? 0 : database_errno(step);
}

int baseline_count_again(struct baseline *baseline)
{
    struct verification verification = {.baseline = baseline};

    int r = baseline_each_directory(baseline, verify_directory, &verification);
    baseline_page_done(&verification.page);
    if (r == 0 && verification.broken)
        r = -EBADMSG;
    if (r == 0)
        r = count_rows(baseline, "SELECT count(*) FROM entry WHERE facts IS NOT NULL",
                       &baseline->header.entries);
    if (r == 0)
        r = count_rows(baseline,
                       "SELECT count(*) FROM entry WHERE facts IS NULL OR approved IS NOT NULL",
                       &baseline->header.changed);
    if (r == 0) {
        baseline->header.sum = verification.sum;
        baseline->header.directories = verification.directories;
    }
    return r;
}

/* ---- writing ---- */

/* The directory that a path's row stands in, and its name there. "/" itself stands in "". */
static size_t split_path(const char *path, size_t length, const char **ret_name,
                         size_t *ret_name_length)
{
    const char *slash = memrchr(path, '/', length);

    *ret_name = slash + 1;
    *ret_name_length = length - (size_t)(slash + 1 - path);
    if (*ret_name_length == 0)
        return 0;
    return slash == path ? 1 : (size_t)(slash - path);
}

static int touch(struct baseline *baseline, const char *directory, size_t length)
{
    size_t count = baseline->touched_count;

    if (count > 0 && strlen(baseline->touched[count - 1]) == length &&
        memcmp(baseline->touched[count - 1], directory, length) == 0)
        return 0;
    if (count == baseline->touched_capacity) {
        size_t capacity = MAX(count * 2, (size_t)64);
        char **touched = reallocarray(baseline->touched, capacity, sizeof *touched);
        if (touched == NULL)
            return -ENOMEM;
        baseline->touched = touched;
        baseline->touched_capacity = capacity;
    }
    baseline->touched[count] = text_new(directory, length);
    if (baseline->touched[count] == NULL)
        return -ENOMEM;
    baseline->touched_count++;
    return 0;
}

/* What stands there. */
struct standing {
    bool there, is_new, differs; /* is_new: was not there when approved */
    struct buffer facts, approved;
};

static void standing_done(struct standing *standing)
{
    buffer_done(&standing->facts);
    buffer_done(&standing->approved);
}

static int find_standing(struct baseline *baseline, const char *directory, size_t length,
                         const char *name, size_t name_length, struct standing *standing)
{
    sqlite3_stmt *row = baseline->find;

    *standing = (struct standing){.facts = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_FACTS),
                                  .approved = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_FACTS)};
    baseline_bind(row, 1, directory, length);
    baseline_bind(row, 2, name, name_length);
    int step = sqlite3_step(row);
    if (step == SQLITE_ROW) {
        standing->there = true;
        (void)buffer_append(&standing->facts, sqlite3_column_blob(row, 0),
                            (size_t)sqlite3_column_bytes(row, 0));
        (void)buffer_append(&standing->approved, sqlite3_column_blob(row, 1),
                            (size_t)sqlite3_column_bytes(row, 1));
        standing->differs = sqlite3_column_type(row, 1) != SQLITE_NULL ||
                            sqlite3_column_type(row, 0) == SQLITE_NULL;
        standing->is_new =
            sqlite3_column_type(row, 1) != SQLITE_NULL && sqlite3_column_bytes(row, 1) == 0;
    }
    (void)sqlite3_reset(row);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        return database_errno(step);
    return buffer_failed(&standing->facts) < 0 ? buffer_failed(&standing->facts)
                                               : buffer_failed(&standing->approved);
}

/* Whether the file is again what was approved. */
static bool is_as_approved(const struct buffer *approved, const struct file_facts *facts)
{
    AUTO_FACTS struct file_facts then = {.target = NULL};

    return facts != NULL && approved->length > 0 &&
           file_facts_decode(approved->data, approved->length, &then) == 0 &&
           file_facts_compare(&then, facts, CARE_CONTENT) == 0;
}

static int delete_row(struct baseline *baseline, const char *directory, size_t length,
                      const char *name, size_t name_length)
{
    baseline_bind(baseline->delete, 1, directory, length);
    baseline_bind(baseline->delete, 2, name, name_length);
    return baseline_run(baseline->delete);
}

/* What the row's approved column becomes: NULL, "" or the facts of then. */
static const struct buffer *choose_approved(const struct standing *standing,
                                            const struct file_facts *facts, enum baseline_put how,
                                            const struct buffer *nothing)
{
    if (how == BASELINE_APPROVED)
        return NULL;
    if (!standing->there || standing->is_new)
        return nothing;
    const struct buffer *approved = standing->differs ? &standing->approved : &standing->facts;
    if (how == BASELINE_SEEN)
        return standing->differs ? approved : NULL;
    return is_as_approved(approved, facts) ? NULL : approved;
}

int baseline_put(struct baseline *baseline, const char *path, size_t length,
                 const struct file_facts *facts, enum baseline_put how)
{
    AUTO_BUFFER struct buffer encoded = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_FACTS);
    CLEANUP(standing_done) struct standing standing = {.there = false};
    const struct buffer nothing = {.length = 0};
    const char *name;
    size_t name_length, directory_length = split_path(path, length, &name, &name_length);

    int r = find_standing(baseline, path, directory_length, name, name_length, &standing);
    if (r == 0)
        r = touch(baseline, path, directory_length);
    if (r == 0 && facts != NULL) {
        file_facts_encode(facts, &encoded);
        r = buffer_failed(&encoded);
    }
    if (r < 0)
        return r;
    const struct buffer *approved = choose_approved(&standing, facts, how, &nothing);
    bool goes = facts == NULL && (approved == NULL || approved->length == 0);
    baseline->header.entries += (facts != NULL) - (uint64_t)(standing.facts.length > 0);
    baseline->header.changed += (!goes && approved != NULL) - (uint64_t)standing.differs;
    if (goes)
        return delete_row(baseline, path, directory_length, name, name_length);
    baseline_bind(baseline->put, 1, path, directory_length);
    baseline_bind(baseline->put, 2, name, name_length);
    baseline_bind(baseline->put, 3, encoded.data, encoded.length);
    if (approved == NULL)
        baseline_bind(baseline->put, 4, NULL, 0);
    else
        baseline_bind(baseline->put, 4, buffer_text(approved), approved->length);
    return baseline_run(baseline->put);
}

int baseline_forget(struct baseline *baseline, const char *path, size_t length)
{
    CLEANUP(standing_done) struct standing standing = {.there = false};
    const char *name;
    size_t name_length, directory_length = split_path(path, length, &name, &name_length);

    int r = find_standing(baseline, path, directory_length, name, name_length, &standing);
    if (r == 0)
        r = touch(baseline, path, directory_length);
    if (r < 0)
        return r;
    baseline->header.entries -= standing.facts.length > 0;
    baseline->header.changed -= standing.differs;
    return delete_row(baseline, path, directory_length, name, name_length);
}

/* ---- texts ---- */

int baseline_put_text(struct baseline *baseline, const char *path, size_t length,
                      const void *content, size_t content_length)
{
    sqlite3_stmt *statement = content != NULL ? baseline->put_text : baseline->delete_text;

    baseline_bind(statement, 1, path, length);
    if (content != NULL)
        baseline_bind(statement, 2, content, content_length);
    return baseline_run(statement);
}

int baseline_read_text(struct baseline *baseline, const char *path, size_t length,
                       struct buffer *content)
{
    baseline_bind(baseline->find_text, 1, path, length);
    int step = sqlite3_step(baseline->find_text);
    if (step == SQLITE_ROW)
        (void)buffer_append(content, sqlite3_column_blob(baseline->find_text, 0),
                            (size_t)sqlite3_column_bytes(baseline->find_text, 0));
    (void)sqlite3_reset(baseline->find_text);
    if (step == SQLITE_DONE)
        return -ENOENT;
    return step == SQLITE_ROW ? buffer_failed(content) : database_errno(step);
}

/* ---- readers ---- */

static int step_entry(sqlite3_stmt *row,
                      int (*take)(void *user, const struct baseline_entry *entry), void *user)
{
    AUTO_BUFFER struct buffer path = BUFFER_WITH_MAXIMUM(LIMIT_PATH_BYTES + 2);
    const void *facts = sqlite3_column_blob(row, 2);
    const void *approved = sqlite3_column_blob(row, 3);
    size_t directory_length = (size_t)sqlite3_column_bytes(row, 0);
    bool same = sqlite3_column_type(row, 3) == SQLITE_NULL;

    (void)buffer_append(&path, sqlite3_column_blob(row, 0), directory_length);
    if (directory_length != 1)
        (void)buffer_append_text(&path, "/");
    (void)buffer_append(&path, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1));
    if (buffer_failed(&path) < 0)
        return buffer_failed(&path);
    const struct baseline_entry entry = {
        .path = path.data,
        .path_length = path.length,
        .facts = facts,
        .facts_length = (size_t)sqlite3_column_bytes(row, 2),
        .approved = same ? facts : approved,
        .approved_length = (size_t)sqlite3_column_bytes(row, same ? 2 : 3),
    };
    return take(user, &entry);
}

int baseline_read(const char *path, const char *prefix, bool changed,
                  int (*take)(void *user, const struct baseline_entry *entry), void *user)
{
    const struct database_options options = {.path = path, .read_only = true};
    struct database *database;
    enum database_origin origin;
    char moved_to[4096];
    sqlite3_stmt *statement;
    size_t length = strlen(prefix);
    int step = SQLITE_DONE;

    int r = database_open(&options, &database, &origin, moved_to);
    if (r < 0)
        return r;
    /* The path itself, what stands in it, and what stands in directories below it. */
    r = database_prepare(database,
                         "SELECT directory, name, facts, approved FROM entry WHERE "
                         "(?1 = x'' OR directory = ?1 OR (directory > ?2 AND directory < ?3) OR "
                         "(directory = ?4 AND name = ?5)) AND "
                         "(?6 = 0 OR approved IS NOT NULL OR facts IS NULL) "
                         "ORDER BY directory, name",
                         &statement);
    AUTO_FREE char *below = text_format_new("%s/", prefix);
    AUTO_FREE char *beyond = text_format_new("%s0", prefix); /* '0' follows '/' */
    if (r == 0 && (below == NULL || beyond == NULL))
        r = -ENOMEM;
    if (r == 0) {
        const char *name = "";
        size_t name_length = 0, directory_length = 0;
        if (length > 0)
            directory_length = split_path(prefix, length, &name, &name_length);
        baseline_bind(statement, 1, prefix, length);
        baseline_bind(statement, 2, below, strlen(below));
        baseline_bind(statement, 3, beyond, strlen(beyond));
        baseline_bind(statement, 4, prefix, directory_length);
        baseline_bind(statement, 5, name, name_length);
        (void)sqlite3_bind_int(statement, 6, changed);
        while (r == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW)
            r = step_entry(statement, take, user);
        if (r == 0 && step != SQLITE_DONE)
            r = database_errno(step);
    }
    (void)sqlite3_finalize(statement);
    database_close(database);
    return MIN(r, 0);
}
