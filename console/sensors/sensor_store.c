/* Owns the tables sensor_keys and sensors. Must not know HTTP. */
#include "console/sensors/sensor_store.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/events/event_moves.h"
#include "console/people/audit.h"
#include "console/policies/policy_store.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG 1LL

static int count_rows(struct sql *sql, const char *statement, int64_t value, int64_t *ret_count)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, statement, &row, "n", value);
    *ret_count = r == 1 ? sql_number(row, 0) : 0;
    return r < 0 ? r : 0;
}

/* --- keys */

int sensor_key_create(struct sql *sql, const struct sensor_key_draft *draft,
                      char ret_id[static UUID_TEXT_BYTES], char ret_key[static SECRET_TEXT_BYTES])
{
    char hash[SHA256_HEX_BYTES];
    int64_t count;
    int r = count_rows(sql, "SELECT count(*) FROM sensor_keys WHERE org_id = $1 AND revoked_ms = 0",
                       ORG, &count);
    if (r == 0 && count >= LIMIT_SENSOR_KEYS)
        r = -EDQUOT;
    if (r == 0)
        r = uuid_new(ret_id);
    if (r == 0)
        r = secret_new("ysk1_", ret_key, hash);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO sensor_keys (id, org_id, hash, name, kind, group_id, policy_id,"
                   " expires_ms, created_ms, created_by, revoked_ms)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0)",
                   NULL, "tntttttnnt", ret_id, ORG, hash, draft->name, draft->kind, draft->group_id,
                   draft->policy_id, draft->expires_ms, console_store_now_ms(), draft->created_by);
}

int sensor_key_revoke(struct sql *sql, const char *id)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql,
                    "UPDATE sensor_keys SET revoked_ms = $1 WHERE id = $2 AND org_id = $3"
                    " AND revoked_ms = 0",
                    &statement, "ntn", console_store_now_ms(), id, ORG);
    return r < 0 ? r : sql_changes(statement) > 0;
}

int sensor_key_check(struct sql *sql, const char *key, struct sensor_key *ret_key)
{
    char hash[SHA256_HEX_BYTES];
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_key = (struct sensor_key){.id = ""};
    int r = secret_hash(key, hash);
    if (r == 0)
        r = sql_run(sql,
                    "SELECT id, kind, group_id, policy_id FROM sensor_keys WHERE hash = $1"
                    " AND revoked_ms = 0 AND expires_ms > $2",
                    &row, "tn", hash, console_store_now_ms());
    if (r != 1)
        return r;
    (void)text_copy(ret_key->id, sizeof(ret_key->id), sql_text(row, 0));
    (void)text_copy(ret_key->kind, sizeof(ret_key->kind), sql_text(row, 1));
    (void)text_copy(ret_key->group_id, sizeof(ret_key->group_id), sql_text(row, 2));
    (void)text_copy(ret_key->policy_id, sizeof(ret_key->policy_id), sql_text(row, 3));
    return 1;
}

/* --- records */

#define COLUMNS                                                                               \
    "SELECT number, id, policy_digest, policy_revision, last_seen_ms, version, arn, runtime," \
    " host, applied_digest, applied_problem, facts FROM sensors WHERE "

/* report NULL: it is not compared. */
static void take_row(struct sql_statement *row, const struct wire_sensor_report *report,
                     struct sensor_record *ret_record)
{
    *ret_record = (struct sensor_record){.number = sql_number(row, 0),
                                         .policy_revision = sql_number(row, 3),
                                         .last_seen_ms = sql_number(row, 4)};
    (void)text_copy(ret_record->id, sizeof(ret_record->id), sql_text(row, 1));
    (void)text_copy(ret_record->policy_digest, sizeof(ret_record->policy_digest), sql_text(row, 2));
    ret_record->as_reported = report && text_equal(report->sensor.version, sql_text(row, 5)) &&
                              text_equal(report->sensor.arn, sql_text(row, 6)) &&
                              text_equal(report->sensor.runtime, sql_text(row, 7)) &&
                              text_equal(report->sensor.host, sql_text(row, 8)) &&
                              text_equal(report->policy_digest, sql_text(row, 9)) &&
                              text_equal(report->policy_problem, sql_text(row, 10)) &&
                              (!report->facts || text_equal(report->facts, sql_text(row, 11)));
}

int sensor_find(struct sql *sql, const struct sensor_key *key,
                const struct wire_sensor_report *report, struct sensor_record *ret_record)
{
    const struct wire_sensor *sensor = &report->sensor;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    COLUMNS "org_id = $1 AND kind = $2 AND scope = $3 AND account = $4"
                            " AND region = $5 AND name = $6",
                    &row, "nttttt", ORG, sensor->kind, key->group_id, sensor->account,
                    sensor->region, sensor->name);
    if (r == 1)
        take_row(row, report, ret_record);
    return r;
}

int sensor_find_by_id(struct sql *sql, const struct sensor_key *key, const char *id,
                      struct sensor_record *ret_record)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, COLUMNS "id = $1 AND org_id = $2 AND kind = $3 AND scope = $4", &row,
                    "tntt", id, ORG, key->kind, key->group_id);
    if (r == 1)
        take_row(row, NULL, ret_record);
    return r;
}

/* Two reports of a new sensor may come at once, on two nodes: the second insert does nothing. */
static int add_sensor(struct sql *sql, const struct sensor_key *key,
                      const struct wire_sensor *sensor)
{
    char id[UUID_TEXT_BYTES];
    int64_t count, now = console_store_now_ms();
    int r = count_rows(sql, "SELECT count(*) FROM sensors WHERE org_id = $1", ORG, &count);
    if (r == 0 && count >= LIMIT_SENSORS)
        r = -EDQUOT;
    if (r == 0)
        r = uuid_new(id);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO sensors (number, id, org_id, kind, scope, account, region, name,"
                   " version, arn, runtime, host, address, group_id, policy_id, key_id,"
                   " first_seen_ms, last_seen_ms, policy_digest, policy_revision, applied_digest,"
                   " applied_problem, facts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '', '', '',"
                   " '', '', $9, $10, '', $11, 0, '', 0, '', '', '{}')"
                   " ON CONFLICT (org_id, kind, scope, account, region, name) DO NOTHING",
                   NULL,
                   "ntnttttttt"
                   "n",
                   console_store_new_number(), id, ORG, sensor->kind, key->group_id,
                   sensor->account, sensor->region, sensor->name,
                   key->group_id[0] ? key->group_id : NULL,
                   key->policy_id[0] ? key->policy_id : NULL, now);
}

static int update_sensor(struct sql *sql, const struct sensor_key *key,
                         const struct wire_sensor_report *report, const char *address,
                         int64_t number)
{
    const struct wire_sensor *sensor = &report->sensor;
    bool facts = report->facts && strlen(report->facts) <= LIMIT_SENSOR_FACTS_BYTES;
    int r = sql_run(sql,
                    "UPDATE sensors SET version = $1, arn = $2, runtime = $3, host = $4,"
                    " address = $5, key_id = $6, last_seen_ms = $7, applied_digest = $8,"
                    " applied_problem = $9 WHERE number = $10",
                    NULL, "ttttttnttn", sensor->version, sensor->arn, sensor->runtime, sensor->host,
                    address, key->id, console_store_now_ms(), report->policy_digest,
                    report->policy_problem, number);
    return r < 0 || !facts ? r
                           : sql_run(sql, "UPDATE sensors SET facts = $1 WHERE number = $2", NULL,
                                     "tn", report->facts, number);
}

int sensor_note(struct sql *sql, const struct sensor_key *key,
                const struct wire_sensor_report *report, const char *address,
                struct sensor_record *ret_record)
{
    int r = sensor_find(sql, key, report, ret_record);
    if (r == 0) {
        r = add_sensor(sql, key, &report->sensor);
        if (r == 0)
            r = sensor_find(sql, key, report, ret_record);
        if (r == 1)
            r = policy_store_assign_sensor(sql, ret_record->number);
        if (r == 0)
            r = sensor_find(sql, key, report, ret_record); /* with its policy */
    }
    if (r == 0)
        r = -EAGAIN; /* somebody removed it meanwhile */
    if (r == 1)
        r = update_sensor(sql, key, report, address, ret_record->number);
    return r;
}

int sensor_remove(struct sql *sql, int64_t number, const char *actor, const char *address,
                  const char *action)
{
    static const char *const statements[] = {"DELETE FROM deliveries WHERE computer = $1",
                                             "DELETE FROM sensors WHERE number = $1"};
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT name FROM sensors WHERE number = $1", &row, "n", number);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    struct audit_entry entry = {actor, address, action, sql_text(row, 0), ""};
    r = audit_append(sql, &entry);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
        r = sql_run(sql, statements[i], NULL, "n", number);
    return r < 0 ? r : event_moves_begin(sql, number);
}
