/* Owns the copy. Knows no table: names, columns and keys are the catalogue's. Names go into SQL as
 * they are, because they come from our own schema; values are parameters. */
#include "console/store/database_copy.h"

#include "common/buffers/buffer.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>

#define TABLES_MAXIMUM     64
#define COLUMNS_MAXIMUM    48 /* parameters of a statement */
#define KEYS_MAXIMUM       8
#define ROWS_A_PAGE        2000
#define STATEMENT_MAXIMUM  65536
#define PARAMETERS_MAXIMUM 48
#define JSON_MAXIMUM       (128U << 20) /* more than any row */
#define JSON_ENOUGH        (1U << 20)
#define NODE_STARTS        "node_starts" /* written by whoever opened the database */

struct table {
    char name[64];
    size_t column_count, key_count;
    struct {
        char name[64];
        bool is_number;
    } columns[COLUMNS_MAXIMUM];
    size_t keys[KEYS_MAXIMUM]; /* indexes of columns, in the key's order */
};

/* A value that outlives its row. */
struct value {
    char *text;
    int64_t number;
};

/* --- the catalogue */

static int read_columns(struct sql *catalogue, struct table *table)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(catalogue, "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid",
                    &row, "t", table->name);
    for (; r == 1; r = sql_step(row)) {
        size_t i = table->column_count;
        const char *type = sql_text(row, 1);
        int64_t key = sql_number(row, 2);
        bool is_number = text_equal(type, "BIGINT") || text_equal(type, "INTEGER");
        if (i == COLUMNS_MAXIMUM || (!is_number && !text_equal(type, "TEXT")) || key > KEYS_MAXIMUM)
            return -ENOTSUP;
        (void)text_copy(table->columns[i].name, sizeof(table->columns[i].name), sql_text(row, 0));
        table->columns[i].is_number = is_number;
        table->column_count++;
        if (key > 0) {
            table->keys[key - 1] = i;
            table->key_count = MAX(table->key_count, (size_t)key);
        }
    }
    if (r == 0 && (table->column_count == 0 || table->key_count == 0))
        r = -ENOTSUP;
    return r;
}

static int read_tables(struct sql *catalogue, struct table *tables, size_t *ret_count)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_count = 0;
    int r = sql_run(catalogue,
                    "SELECT name FROM sqlite_master WHERE type = 'table'"
                    " AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'index\\_%' ESCAPE '\\'"
                    " ORDER BY name",
                    &row, "");
    for (; r == 1; r = sql_step(row)) {
        if (*ret_count == TABLES_MAXIMUM)
            return -E2BIG;
        struct table *table = &tables[(*ret_count)++];
        (void)text_copy(table->name, sizeof(table->name), sql_text(row, 0));
    }
    for (size_t i = 0; r == 0 && i < *ret_count; i++)
        r = read_columns(catalogue, &tables[i]);
    return r;
}

int database_count(struct sql *sql, const char *table, int64_t *ret_count)
{
    char text[128];
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = text_format(text, sizeof(text), "SELECT count(*) FROM %s", table);
    if (r >= 0)
        r = sql_prepare_once(sql, text, &row);
    if (r == 0)
        r = sql_step(row);
    if (r == 1)
        *ret_count = sql_number(row, 0);
    return r < 0 ? r : r == 1 ? 0 : -EIO;
}

/* --- one table */

static void add_names(struct buffer *text, const struct table *table)
{
    for (size_t i = 0; i < table->column_count; i++)
        (void)buffer_append_format(text, "%s%s", i ? ", " : "", table->columns[i].name);
}

static void add_key_names(struct buffer *text, const struct table *table)
{
    for (size_t i = 0; i < table->key_count; i++)
        (void)buffer_append_format(text, "%s%s", i ? ", " : "",
                                   table->columns[table->keys[i]].name);
}

static int select_page(struct sql *from, const struct table *table, const struct value *last,
                       struct sql_statement **ret_rows)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(STATEMENT_MAXIMUM);
    (void)buffer_append_text(&text, "SELECT ");
    add_names(&text, table);
    (void)buffer_append_format(&text, " FROM %s", table->name);
    if (last) {
        (void)buffer_append_text(&text, " WHERE (");
        add_key_names(&text, table);
        (void)buffer_append_text(&text, ") > (");
        for (size_t i = 0; i < table->key_count; i++)
            (void)buffer_append_format(&text, "%s$%zu", i ? ", " : "", i + 1);
        (void)buffer_append_text(&text, ")");
    }
    (void)buffer_append_text(&text, " ORDER BY ");
    add_key_names(&text, table);
    (void)buffer_append_format(&text, " LIMIT %d", ROWS_A_PAGE);
    int r = buffer_failed(&text);
    if (r == 0)
        r = sql_prepare_once(from, buffer_text(&text), ret_rows);
    for (size_t i = 0; r == 0 && last && i < table->key_count; i++) {
        if (table->columns[table->keys[i]].is_number)
            sql_bind_number(*ret_rows, (int)i + 1, last[i].number);
        else
            sql_bind_text(*ret_rows, (int)i + 1, last[i].text);
    }
    return r;
}

static int keep_key(const struct table *table, struct sql_statement *row, struct value *last)
{
    for (size_t i = 0; i < table->key_count; i++) {
        int column = (int)table->keys[i];
        free(last[i].text);
        last[i].text = strdup(sql_text(row, column));
        last[i].number = sql_number(row, column);
        if (!last[i].text)
            return -ENOMEM;
    }
    return 0;
}

/* Rows that wait to be inserted by one statement. */
struct batch {
    size_t rows, most;
    struct value values[PARAMETERS_MAXIMUM];
    bool nulls[PARAMETERS_MAXIMUM];
};

static void forget_batch(struct batch *batch)
{
    for (size_t i = 0; i < ARRAY_LENGTH(batch->values); i++) {
        free(batch->values[i].text);
        batch->values[i].text = NULL;
    }
    batch->rows = 0;
}

static int insert_batch(struct sql *to, const struct table *table, struct batch *batch)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(STATEMENT_MAXIMUM);
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    size_t parameter = 0;
    if (batch->rows == 0)
        return 0;
    (void)buffer_append_format(&text, "INSERT INTO %s (", table->name);
    add_names(&text, table);
    (void)buffer_append_text(&text, ") VALUES ");
    for (size_t row = 0; row < batch->rows; row++) {
        (void)buffer_append_text(&text, row ? ", (" : "(");
        for (size_t i = 0; i < table->column_count; i++)
            (void)buffer_append_format(&text, "%s$%zu", i ? ", " : "", ++parameter);
        (void)buffer_append_text(&text, ")");
    }
    int r = buffer_failed(&text);
    if (r == 0)
        r = sql_prepare_once(to, buffer_text(&text), &statement);
    for (size_t i = 0; r == 0 && i < parameter; i++) {
        if (batch->nulls[i])
            sql_bind_text(statement, (int)i + 1, NULL);
        else if (table->columns[i % table->column_count].is_number)
            sql_bind_number(statement, (int)i + 1, batch->values[i].number);
        else
            sql_bind_text(statement, (int)i + 1, batch->values[i].text);
    }
    if (r == 0)
        r = sql_step(statement);
    forget_batch(batch);
    return r < 0 ? r : 0;
}

static int add_row(const struct table *table, struct sql_statement *row, struct batch *batch)
{
    for (size_t i = 0; i < table->column_count; i++) {
        size_t at = batch->rows * table->column_count + i;
        batch->nulls[at] = sql_is_null(row, (int)i);
        batch->values[at].number = table->columns[i].is_number ? sql_number(row, (int)i) : 0;
        batch->values[at].text = table->columns[i].is_number ? NULL : strdup(sql_text(row, (int)i));
        if (!table->columns[i].is_number && !batch->values[at].text)
            return -ENOMEM;
    }
    batch->rows++;
    return 0;
}

/* --- into PostgreSQL: a page of rows in one statement, as JSON, because every statement is a round
 * trip there */

struct json_batch {
    struct buffer text;
    struct json_writer writer;
    size_t rows;
};

static void begin_json(struct json_batch *batch)
{
    buffer_clear(&batch->text);
    json_writer_init(&batch->writer, &batch->text);
    json_write_array_begin(&batch->writer);
    batch->rows = 0;
}

static int add_json_row(const struct table *table, struct sql_statement *row,
                        struct json_batch *batch)
{
    json_write_object_begin(&batch->writer);
    for (size_t i = 0; i < table->column_count; i++) {
        json_write_key(&batch->writer, table->columns[i].name);
        if (sql_is_null(row, (int)i))
            json_write_null(&batch->writer);
        else if (table->columns[i].is_number)
            json_write_number(&batch->writer, sql_number(row, (int)i));
        else
            json_write_string(&batch->writer, sql_text(row, (int)i));
    }
    json_write_object_end(&batch->writer);
    batch->rows++;
    return buffer_failed(&batch->text);
}

static int insert_json(struct sql *to, const struct table *table, struct json_batch *batch)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(STATEMENT_MAXIMUM);
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    if (batch->rows == 0)
        return 0;
    json_write_array_end(&batch->writer);
    (void)buffer_append_format(&text, "INSERT INTO %s (", table->name);
    add_names(&text, table);
    (void)buffer_append_text(&text, ") SELECT ");
    add_names(&text, table);
    (void)buffer_append_text(&text, " FROM json_to_recordset($1::json) AS rows (");
    for (size_t i = 0; i < table->column_count; i++)
        (void)buffer_append_format(&text, "%s%s %s", i ? ", " : "", table->columns[i].name,
                                   table->columns[i].is_number ? "BIGINT" : "TEXT");
    (void)buffer_append_text(&text, ")");
    int r = buffer_failed(&text);
    if (r == 0)
        r = buffer_failed(&batch->text);
    if (r == 0)
        r = sql_prepare_once(to, buffer_text(&text), &statement);
    if (r == 0) {
        sql_bind_text(statement, 1, buffer_text(&batch->text));
        r = sql_step(statement);
    }
    begin_json(batch);
    return r < 0 ? r : 0;
}

static int copy_page_by_json(const struct database_copy *copy, const struct table *table,
                             const struct value *last, struct value *next, int64_t *ret_rows)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    struct json_batch batch = {.text = BUFFER_WITH_MAXIMUM(JSON_MAXIMUM)};
    *ret_rows = 0;
    begin_json(&batch);
    int r = select_page(copy->from, table, last, &row);
    if (r == 0)
        r = sql_step(row);
    while (r == 1) {
        r = add_json_row(table, row, &batch);
        if (r == 0)
            r = keep_key(table, row, next);
        if (r == 0 && batch.text.length > JSON_ENOUGH)
            r = insert_json(copy->to, table, &batch);
        if (r == 0) {
            ++*ret_rows;
            r = sql_step(row);
        }
    }
    if (r == 0)
        r = insert_json(copy->to, table, &batch);
    buffer_done(&batch.text);
    return r;
}

/* --- the pages of a table */

/* last: the key before the page, NULL for the first; it is bound while the page is read. next: that
 * of its last row. ret_rows: how many there were. */
static int copy_page(const struct database_copy *copy, const struct table *table,
                     const struct value *last, struct value *next, int64_t *ret_rows)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    struct batch batch = {.most = MAX(PARAMETERS_MAXIMUM / table->column_count, 1U)};
    *ret_rows = 0;
    int r = select_page(copy->from, table, last, &row);
    if (r == 0)
        r = sql_step(row);
    while (r == 1) {
        r = add_row(table, row, &batch);
        if (r == 0)
            r = keep_key(table, row, next);
        if (r == 0 && batch.rows == batch.most)
            r = insert_batch(copy->to, table, &batch);
        if (r == 0) {
            ++*ret_rows;
            r = sql_step(row);
        }
    }
    if (r == 0)
        r = insert_batch(copy->to, table, &batch);
    forget_batch(&batch);
    return r;
}

static int copy_rows(const struct database_copy *copy, const struct table *table, int64_t *ret_rows)
{
    struct value keys[2][KEYS_MAXIMUM] = {{{NULL, 0}}};
    int64_t page = ROWS_A_PAGE;
    int r = 0;
    *ret_rows = 0;
    for (size_t turn = 0; r == 0 && page == ROWS_A_PAGE; turn ^= 1) {
        const struct value *last = *ret_rows > 0 ? keys[turn] : NULL;
        r = copy->to == copy->catalogue
                ? copy_page(copy, table, last, keys[turn ^ 1], &page)
                : copy_page_by_json(copy, table, last, keys[turn ^ 1], &page);
        *ret_rows += page;
    }
    for (size_t i = 0; i < KEYS_MAXIMUM; i++) {
        free(keys[0][i].text);
        free(keys[1][i].text);
    }
    return r;
}

static int copy_table(const struct database_copy *copy, const struct table *table)
{
    int64_t rows = 0, before = 0, there = 0, here = 0;
    int r = database_count(copy->to, table->name, &before);
    if (r == 0 && before > 0)
        r = text_equal(table->name, NODE_STARTS)
                ? sql_run(copy->to, "DELETE FROM " NODE_STARTS, NULL, "")
                : -EEXIST;
    if (r == 0)
        r = copy_rows(copy, table, &rows);
    if (r == 0)
        r = database_count(copy->from, table->name, &here);
    if (r == 0)
        r = database_count(copy->to, table->name, &there);
    if (r == 0 && (here != there || here != rows))
        r = -EBADMSG;
    if (r == 0 && copy->copied)
        copy->copied(copy->user, table->name, rows);
    return r;
}

/* --- all of them */

/* What is read stays as it was at the beginning. */
static int begin_reading(const struct database_copy *copy)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    if (copy->from == copy->catalogue)
        return sql_run(copy->from, "BEGIN", NULL, "");
    int r = sql_begin(copy->from);
    if (r == 0)
        r = sql_prepare_once(copy->from, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                             &statement);
    return r < 0 ? r : sql_step(statement);
}

static int copy_all(const struct database_copy *copy, const struct table *tables, size_t count,
                    char ret_problem[static 512])
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = copy_table(copy, &tables[i]);
        if (r < 0)
            (void)text_format(ret_problem, 512, "table %s: %s", tables[i].name,
                              r == -EEXIST    ? "it holds rows already"
                              : r == -EBADMSG ? "the numbers of rows differ"
                                              : sql_error(copy->to));
    }
    return r;
}

int database_copy(const struct database_copy *copy, char ret_problem[static 512])
{
    AUTO_FREE struct table *tables = calloc(TABLES_MAXIMUM, sizeof(*tables));
    size_t count = 0;
    ret_problem[0] = '\0';
    if (!tables)
        return -ENOMEM;
    int r = read_tables(copy->catalogue, tables, &count);
    if (r == 0)
        r = begin_reading(copy);
    if (r == 0)
        r = sql_begin(copy->to);
    if (r == 0)
        r = copy_all(copy, tables, count, ret_problem);
    if (r == 0)
        r = sql_commit(copy->to);
    if (r < 0)
        sql_rollback(copy->to);
    sql_rollback(copy->from);
    if (r < 0 && !ret_problem[0])
        (void)text_copy(ret_problem, 512, strerrordesc_np(-r));
    return r;
}
