/* Owns the alert_rules table's meaning. */
#include "console/alerts/alert_rules.h"

#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG             1LL
#define MINIMUM_SECONDS 60
#define MAXIMUM_SECONDS (365LL * 86400)

static const char *const TYPES[] = {"event", "offline", "degraded", "signatures_old"};

static void read_seconds(struct wire_reader *reader, struct alert_condition *condition)
{
    uint64_t seconds = wire_read_number(reader, "seconds", false);
    if (!reader->error && (seconds < MINIMUM_SECONDS || seconds > MAXIMUM_SECONDS))
        wire_fail(reader, "seconds must be %d to %lld", MINIMUM_SECONDS, MAXIMUM_SECONDS);
    condition->ms = (int64_t)seconds * 1000;
}

static void read_type(struct wire_reader *reader, struct alert_condition *condition)
{
    const char *type = wire_read_text(reader, "type", 1, 32, NULL);
    for (size_t i = 0; !reader->error && i < ARRAY_LENGTH(TYPES); i++) {
        if (text_equal(TYPES[i], type)) {
            condition->type = (enum alert_type)i;
            return;
        }
    }
    wire_fail(reader, "type must be event, offline, degraded or signatures_old");
}

int alert_condition_read(const json_t *object, struct alert_condition *ret_condition,
                         struct wire_problem *ret_problem)
{
    static const char *const event[] = {"type",  "by",        "severity", "modules",
                                        "kinds", "signature", "groups",   NULL};
    static const char *const timed[] = {"type", "seconds", "groups", NULL};
    static const char *const plain[] = {"type", "groups", NULL};
    struct wire_reader reader = wire_reader_of(object, ret_problem);
    *ret_condition = (struct alert_condition){.type = ALERT_EVENT};
    read_type(&reader, ret_condition);
    if (reader.error)
        return reader.error;
    event_match_read(&reader, &ret_condition->match);
    switch (ret_condition->type) {
    case ALERT_EVENT: {
        const char *by = wire_read_text(&reader, "by", 1, 16, "computer");
        ret_condition->by_signature = text_equal(by, "signature");
        if (!reader.error && !ret_condition->by_signature && !text_equal(by, "computer"))
            wire_fail(&reader, "by must be computer or signature");
        wire_only(&reader, event);
        break;
    }
    case ALERT_OFFLINE:
    case ALERT_SIGNATURES_OLD:
        read_seconds(&reader, ret_condition);
        wire_only(&reader, timed);
        break;
    case ALERT_DEGRADED:
        wire_only(&reader, plain);
        break;
    }
    return reader.error;
}

int alert_condition_parse(const char *json, struct alert_condition *ret_condition)
{
    json_t *root = NULL;
    struct wire_problem problem;
    int r = wire_parse(json, strlen(json), &root, &problem);
    if (r == 0)
        r = alert_condition_read(root, ret_condition, &problem);
    json_decref(root);
    return r;
}

int alert_rules_load(struct sql *sql, struct alert_rule *rules, size_t *ret_count)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    size_t count = 0;
    int r = sql_run(sql,
                    "SELECT id, name, severity, condition FROM alert_rules WHERE org_id = $1"
                    " AND enabled = 1 ORDER BY id LIMIT $2",
                    &row, "nn", ORG, (int64_t)ALERT_RULES_MAXIMUM);
    for (; r == 1; r = sql_step(row)) {
        struct alert_rule *rule = &rules[count];
        (void)text_copy(rule->id, sizeof(rule->id), sql_text(row, 0));
        (void)text_copy(rule->name, sizeof(rule->name), sql_text(row, 1));
        rule->severity = (unsigned)sql_number(row, 2);
        if (alert_condition_parse(sql_text(row, 3), &rule->condition) == 0)
            count++; /* one of a newer version is left out */
    }
    *ret_count = count;
    return r;
}

/* --- shipped rules */

#define SHIPPED_UNCOUNTED 6 /* by a console that did not write down how many */

/* New ones at the end: a database is given those behind what it has had. */
static const struct {
    const char *id, *name, *condition;
    unsigned severity;
} SHIPPED[] = {
    {"00000000-0000-4000-8000-000000000001", "Malware found",
     "{\"type\":\"event\",\"modules\":[\"malware\"],\"severity\":\"high\"}", 4},
    {"00000000-0000-4000-8000-000000000002", "Computer offline",
     "{\"type\":\"offline\",\"seconds\":1800}", 2},
    {"00000000-0000-4000-8000-000000000003", "Agent degraded", "{\"type\":\"degraded\"}", 3},
    {"00000000-0000-4000-8000-000000000004", "Signatures old",
     "{\"type\":\"signatures_old\",\"seconds\":259200}", 2},
    {"00000000-0000-4000-8000-000000000005", "Sensor error",
     "{\"type\":\"event\",\"modules\":[\"agent\",\"scanner\",\"scan\",\"watch\",\"store\","
     "\"policy\",\"quarantine\"],\"severity\":\"high\"}",
     3},
    {"00000000-0000-4000-8000-000000000006", "Identity used twice, or events lost",
     "{\"type\":\"event\",\"modules\":[\"console\"],\"severity\":\"high\"}", 3},
    {"00000000-0000-4000-8000-000000000007", "Malware in a bucket",
     "{\"type\":\"event\",\"modules\":[\"storage\"],\"kinds\":[\"malware_found\"],"
     "\"severity\":\"high\"}",
     4},
    {"00000000-0000-4000-8000-000000000008", "Object not scanned",
     "{\"type\":\"event\",\"modules\":[\"storage\"],\"kinds\":[\"object_not_scanned\"]}", 2},
    {"00000000-0000-4000-8000-000000000009", "Attack on a function",
     "{\"type\":\"event\",\"modules\":[\"application\"],\"severity\":\"high\"}", 3},
};

/* How many of them the database was given: those that were deleted since stay deleted. */
static int read_shipped(struct sql *sql, uint64_t *ret_count)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT value FROM meta WHERE name = 'alert_rules'", &row, "");
    *ret_count = 0;
    if (r == 1 && text_parse_u64(sql_text(row, 0), ret_count) < 0)
        *ret_count = SHIPPED_UNCOUNTED;
    return r < 0 ? r : 0;
}

static int write_shipped(struct sql *sql, uint64_t count)
{
    char text[24];
    (void)text_format(text, sizeof(text), "%llu", (unsigned long long)count);
    return sql_run(sql,
                   "INSERT INTO meta (name, value) VALUES ('alert_rules', $1)"
                   " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                   NULL, "t", text);
}

int alert_rules_ship(struct sql *sql)
{
    int64_t now = console_store_now_ms();
    uint64_t count;
    int r = read_shipped(sql, &count);
    if (r < 0 || count >= ARRAY_LENGTH(SHIPPED))
        return r;
    for (size_t i = count; r == 0 && i < ARRAY_LENGTH(SHIPPED); i++)
        r = sql_run(sql,
                    "INSERT INTO alert_rules (id, org_id, name, severity, enabled, condition,"
                    " created_ms, created_by) VALUES ($1, $2, $3, $4, 1, $5, $6, 'console')"
                    " ON CONFLICT DO NOTHING", /* a rule of that name may be there */
                    NULL, "tntntn", SHIPPED[i].id, ORG, SHIPPED[i].name,
                    (int64_t)SHIPPED[i].severity, SHIPPED[i].condition, now);
    return r < 0 ? r : write_shipped(sql, ARRAY_LENGTH(SHIPPED));
}
