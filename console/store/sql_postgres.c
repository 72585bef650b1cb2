/* Owns the PostgreSQL form of sql.h, over libpq. Uses only what CockroachDB, YugabyteDB and Aurora
 * speak too: prepared statements, savepoints, no LISTEN, advisory locks or sequences. A lost
 * connection shows as -EAGAIN, and is made again by the next begin or read. Must not know any
 * table but that of the schema's version. */
#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/store/schema.h"
#include "console/store/sql_driver.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>

#define PARAMETERS_MAXIMUM   48
#define CREATE_ATTEMPTS      10
#define ARRAYS_BYTES_MAXIMUM (512U << 20)
#define TYPE_BIGINT          20 /* of pg_type, the same in all that speak its protocol */
#define TYPE_TEXT            25

struct postgres {
    struct sql base;
    PGconn *connection;
    uint64_t generation; /* rises with every new connection: statements must be prepared again */
    uint64_t names;
    bool in_transaction;
    bool demoted; /* the server takes no writes any more: another one does */
    char problem[512];
};

struct postgres_statement {
    struct sql_statement base;
    char *query;
    char name[32];
    uint64_t generation; /* 0: not prepared */
    const char *values[PARAMETERS_MAXIMUM];
    int lengths[PARAMETERS_MAXIMUM], formats[PARAMETERS_MAXIMUM]; /* of arrays: binary */
    char numbers[PARAMETERS_MAXIMUM][24];
    struct buffer arrays; /* memory of the arrays */
    int count;
    PGresult *result;
    int row;
};

static struct postgres *own_connection(struct sql *sql)
{
    return (struct postgres *)sql;
}

static struct postgres_statement *own(struct sql_statement *statement)
{
    return (struct postgres_statement *)statement;
}

/* SQLSTATE (PostgreSQL's appendix A) to what sql.h promises. */
static int error_of(struct postgres *postgres, const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message =
        result ? PQresultErrorMessage(result) : PQerrorMessage(postgres->connection);
    (void)text_copy(postgres->problem, sizeof(postgres->problem), message ? message : "");
    if (PQstatus(postgres->connection) != CONNECTION_OK || !state)
        return -EAGAIN;
    if (text_starts_with(state, "23"))
        return -EEXIST;
    if (text_equal(state, "40001") || text_equal(state, "40P01") || text_equal(state, "57P01") ||
        text_starts_with(state, "08"))
        return -EAGAIN;
    if (text_equal(state, "25006")) { /* read only: a fail-over has made it the standby */
        postgres->demoted = true;
        return -EAGAIN;
    }
    if (text_starts_with(state, "53"))
        return text_equal(state, "53200") ? -ENOMEM : -ENOSPC;
    if (text_equal(state, "XX001") || text_equal(state, "XX002"))
        return -EBADMSG;
    return text_equal(state, "58030") ? -EIO : -EINVAL;
}

static int execute(struct postgres *postgres, const char *text)
{
    PGresult *result = PQexec(postgres->connection, text);
    ExecStatusType status = PQresultStatus(result);
    int r =
        status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : error_of(postgres, result);
    PQclear(result);
    return r;
}

/* Outside of a transaction a broken connection, or one to the wrong server, is simply made again.
 */
static int reconnect(struct postgres *postgres)
{
    if (PQstatus(postgres->connection) == CONNECTION_OK && !postgres->demoted)
        return 0;
    if (postgres->in_transaction)
        return -EAGAIN;
    PQreset(postgres->connection);
    postgres->demoted = false;
    postgres->generation++;
    return PQstatus(postgres->connection) == CONNECTION_OK ? 0
                                                           : (error_of(postgres, NULL), -EAGAIN);
}

static void close_postgres(struct sql *sql)
{
    PQfinish(own_connection(sql)->connection);
    free(sql);
}

static const char *error_text(struct sql *sql)
{
    return own_connection(sql)->problem;
}

static int begin(struct sql *sql)
{
    struct postgres *postgres = own_connection(sql);
    int r = reconnect(postgres);
    if (r == 0)
        r = execute(postgres, "BEGIN");
    postgres->in_transaction = r == 0;
    return r;
}

static int commit(struct sql *sql)
{
    struct postgres *postgres = own_connection(sql);
    PGresult *result = PQexec(postgres->connection, "COMMIT");
    int r = PQresultStatus(result) != PGRES_COMMAND_OK ? error_of(postgres, result)
            /* A transaction that failed is "committed" by undoing it. */
            : text_equal(PQcmdStatus(result), "ROLLBACK") ? -EIO
                                                          : 0;
    PQclear(result);
    postgres->in_transaction = false;
    return r;
}

static void rollback(struct sql *sql)
{
    struct postgres *postgres = own_connection(sql);
    postgres->in_transaction = false;
    if (PQstatus(postgres->connection) == CONNECTION_OK)
        (void)execute(postgres, "ROLLBACK");
}

static int prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement)
{
    struct postgres_statement *statement = calloc(1, sizeof(*statement));
    if (!statement)
        return -ENOMEM;
    statement->query = strdup(text);
    if (!statement->query) {
        free(statement);
        return -ENOMEM;
    }
    (void)text_format(statement->name, sizeof(statement->name), "s%llu",
                      (unsigned long long)++own_connection(sql)->names);
    *ret_statement = &statement->base;
    return 0;
}

static void reset(struct sql_statement *statement)
{
    PQclear(own(statement)->result);
    own(statement)->result = NULL;
    own(statement)->count = 0;
    own(statement)->row = 0;
    buffer_done(&own(statement)->arrays);
}

static void free_statement(struct sql_statement *statement)
{
    reset(statement);
    free(own(statement)->query);
    free(statement);
}

static void bind(struct postgres_statement *statement, int i, const char *value)
{
    if (i < 1 || i > PARAMETERS_MAXIMUM)
        return; /* the server then says that a parameter is missing */
    statement->values[i - 1] = value;
    statement->formats[i - 1] = 0;
    statement->count = MAX(statement->count, i);
}

static void bind_text(struct sql_statement *statement, int i, const char *text)
{
    bind(own(statement), i, text);
}

static void bind_number(struct sql_statement *statement, int i, int64_t number)
{
    if (i < 1 || i > PARAMETERS_MAXIMUM)
        return;
    char *text = own(statement)->numbers[i - 1];
    (void)text_format(text, sizeof(own(statement)->numbers[0]), "%lld", (long long)number);
    bind(own(statement), i, text);
}

/* Kept statements are prepared once a connection; others go without a name. */
static PGresult *send(struct postgres *postgres, struct postgres_statement *statement, int *ret)
{
    if (!statement->base.text)
        return PQexecParams(postgres->connection, statement->query, statement->count, NULL,
                            statement->values, NULL, NULL, 0);
    if (statement->generation != postgres->generation) {
        PGresult *prepared =
            PQprepare(postgres->connection, statement->name, statement->query, 0, NULL);
        *ret = PQresultStatus(prepared) == PGRES_COMMAND_OK ? 0 : error_of(postgres, prepared);
        PQclear(prepared);
        if (*ret < 0)
            return NULL;
        statement->generation = postgres->generation;
    }
    return PQexecPrepared(postgres->connection, statement->name, statement->count,
                          statement->values, statement->lengths, statement->formats, 0);
}

static int step(struct sql_statement *base)
{
    struct postgres_statement *statement = own(base);
    struct postgres *postgres = own_connection(base->sql);
    if (!statement->result) {
        int r = reconnect(postgres);
        if (r == 0)
            statement->result = send(postgres, statement, &r);
        if (r < 0)
            return r;
        ExecStatusType status = PQresultStatus(statement->result);
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
            return error_of(postgres, statement->result);
        statement->row = -1;
    }
    if (statement->row + 1 >= PQntuples(statement->result))
        return 0;
    statement->row++;
    return 1;
}

/* --- arrays, in the binary form of PostgreSQL's array_recv */

static void append_32(struct buffer *buffer, uint32_t value)
{
    value = htobe32(value);
    (void)buffer_append(buffer, &value, sizeof(value));
}

static void append_64(struct buffer *buffer, int64_t value)
{
    uint64_t wire = htobe64((uint64_t)value);
    append_32(buffer, sizeof(wire));
    (void)buffer_append(buffer, &wire, sizeof(wire));
}

static void append_head(struct buffer *buffer, uint32_t type, size_t rows)
{
    const uint32_t head[] = {1, 0, type, (uint32_t)rows, 1}; /* dimensions, nulls, ..., from 1 */
    for (size_t i = 0; i < ARRAY_LENGTH(head); i++)
        append_32(buffer, head[i]);
}

static void append_column(struct buffer *buffer, char kind, const struct sql_value *values,
                          size_t rows, size_t columns)
{
    append_head(buffer, kind == 't' ? TYPE_TEXT : TYPE_BIGINT, rows);
    for (size_t row = 0; row < rows; row++) {
        const struct sql_value *value = &values[row * columns];
        if (kind == 't') {
            size_t length = strlen(value->text);
            append_32(buffer, (uint32_t)length);
            (void)buffer_append(buffer, value->text, length);
        } else {
            append_64(buffer, value->number);
        }
    }
}

static void append_numbers(struct buffer *buffer, size_t rows)
{
    append_head(buffer, TYPE_BIGINT, rows);
    for (size_t row = 0; row < rows; row++)
        append_64(buffer, (int64_t)row);
}

static int send_many(struct sql_statement *base, const char *columns,
                     const struct sql_value *values, size_t rows, bool numbered)
{
    struct postgres_statement *statement = own(base);
    size_t count = strlen(columns), ends[PARAMETERS_MAXIMUM];
    if (count + numbered > PARAMETERS_MAXIMUM)
        return -E2BIG;
    buffer_init(&statement->arrays, ARRAYS_BYTES_MAXIMUM);
    for (size_t i = 0; i < count; i++) {
        append_column(&statement->arrays, columns[i], values + i, rows, count);
        ends[i] = statement->arrays.length;
    }
    if (numbered)
        append_numbers(&statement->arrays, rows);
    ends[count] = statement->arrays.length;
    int r = buffer_failed(&statement->arrays);
    if (r < 0)
        return r;
    statement->count = (int)(count + numbered);
    for (size_t i = 0; i < count + numbered; i++) {
        size_t begin = i ? ends[i - 1] : 0;
        statement->values[i] = statement->arrays.data + begin;
        statement->lengths[i] = (int)(ends[i] - begin);
        statement->formats[i] = 1;
    }
    return 0;
}

static const char *column_text(struct sql_statement *base, int i)
{
    struct postgres_statement *statement = own(base);
    return PQgetisnull(statement->result, statement->row, i)
               ? NULL
               : PQgetvalue(statement->result, statement->row, i);
}

/* What the server writes for a BIGINT; 0 for anything else. */
static int64_t parse_number(const char *text)
{
    uint64_t value = 0;
    bool negative = text[0] == '-';
    if (text_parse_u64(negative ? text + 1 : text, &value) < 0 || value > INT64_MAX)
        return 0;
    return negative ? -(int64_t)value : (int64_t)value;
}

static int64_t column_number(struct sql_statement *statement, int i)
{
    const char *text = column_text(statement, i);
    return text ? parse_number(text) : 0;
}

static int64_t changes(struct sql_statement *statement)
{
    return parse_number(PQcmdTuples(own(statement)->result));
}

static const struct sql_driver POSTGRES_DRIVER = {.close = close_postgres,
                                                  .error = error_text,
                                                  .begin = begin,
                                                  .commit = commit,
                                                  .rollback = rollback,
                                                  .prepare = prepare,
                                                  .free_statement = free_statement,
                                                  .reset = reset,
                                                  .bind_text = bind_text,
                                                  .bind_number = bind_number,
                                                  .step = step,
                                                  .text = column_text,
                                                  .number = column_number,
                                                  .changes = changes,
                                                  .send_many = send_many};

/* --- the schema */

static int read_version(struct postgres *postgres, int64_t *ret_version)
{
    int r = execute(postgres, "CREATE TABLE IF NOT EXISTS schema_version"
                              " (id BIGINT PRIMARY KEY, version BIGINT NOT NULL)");
    if (r == 0)
        r = execute(postgres, "INSERT INTO schema_version (id, version) VALUES (1, 0)"
                              " ON CONFLICT (id) DO NOTHING");
    if (r < 0)
        return r;
    /* Taken by one node at a time until its transaction ends. */
    PGresult *result =
        PQexec(postgres->connection, "SELECT version FROM schema_version WHERE id = 1 FOR UPDATE");
    if (PQresultStatus(result) != PGRES_TUPLES_OK || PQntuples(result) != 1)
        r = error_of(postgres, result);
    else
        *ret_version = parse_number(PQgetvalue(result, 0, 0));
    PQclear(result);
    return r;
}

static int write_version(struct postgres *postgres, int64_t version)
{
    char text[96];
    (void)text_format(text, sizeof(text), "UPDATE schema_version SET version = %lld WHERE id = 1",
                      (long long)version);
    return execute(postgres, text);
}

/* One step, in a transaction of its own: what it locks is free again before the next begins, and a
 * step that fails takes back none before it. 1: there may be more. */
static int migrate_step(struct postgres *postgres)
{
    int64_t version = 0;
    int r = execute(postgres, "BEGIN");
    if (r == 0)
        r = read_version(postgres, &version);
    if (r == 0 && version > SCHEMA_VERSION)
        r = -EPROTO;
    bool old = r == 0 && version < SCHEMA_VERSION;
    if (old)
        r = execute(postgres, SCHEMA_POSTGRES[version]);
    if (r == 0 && old)
        r = write_version(postgres, version + 1);
    if (r == 0)
        r = execute(postgres, "COMMIT");
    if (r < 0)
        (void)execute(postgres, "ROLLBACK");
    return r < 0 ? r : old;
}

/* Two nodes that start on an empty database at once may collide on its catalogue: the loser
 * repeats, and finds the tables. */
static int migrate(struct postgres *postgres)
{
    int r = 1;
    for (int failures = 0; r > 0 || ((r == -EAGAIN || r == -EEXIST) && failures < CREATE_ATTEMPTS);
         failures += r < 0)
        r = migrate_step(postgres);
    return r;
}

static void ignore_notice(void *user UNUSED, const PGresult *result UNUSED) {}

int sql_open_postgres(const char *url, bool read_only, struct sql **ret_sql,
                      char ret_notice[static 512])
{
    struct postgres *postgres = calloc(1, sizeof(*postgres));
    if (!postgres)
        return -ENOMEM;
    postgres->base.driver = &POSTGRES_DRIVER;
    postgres->generation = 1;
    postgres->connection = PQconnectdb(url);
    int r = 0;
    ret_notice[0] = '\0';
    if (PQstatus(postgres->connection) != CONNECTION_OK)
        r = -ECONNREFUSED;
    else
        (void)PQsetNoticeReceiver(postgres->connection, ignore_notice, NULL);
    if (r == 0 && !read_only)
        r = migrate(postgres);
    if (r < 0) {
        (void)text_copy(ret_notice, 512,
                        postgres->problem[0] ? postgres->problem
                                             : PQerrorMessage(postgres->connection));
        close_postgres(&postgres->base);
        return r;
    }
    *ret_sql = &postgres->base;
    return 0;
}

bool sql_is_postgres_url(const char *text)
{
    return text_starts_with(text, "postgresql://") || text_starts_with(text, "postgres://");
}
