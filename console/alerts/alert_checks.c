/* Owns the comparison of the computers' state with the rules. One look is a read of the computers a
 * rule is about, a read of its alerts, and a piece of work with the differences. */
#include "console/alerts/alert_checks.h"

#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "common/wire/wire.h"
#include "console/alerts/alert_store.h"
#include "console/store/query.h"

#include <errno.h>

#define ORG             1LL
#define FINDINGS_A_LOOK 500 /* the rest comes with the next look */

struct finding {
    int64_t computer;
    char id[UUID_TEXT_BYTES], subject[257];
    char detail[512];
};

struct standing {
    int64_t computer, number;
};

struct check {
    struct alert_checks *checks;
    const struct alert_rule *rule;
    struct buffer findings;  /* of struct finding, by computer */
    struct buffer judged;    /* of int64_t: who was looked at and found well */
    struct buffer standings; /* of struct standing: alerts of the rule that are not resolved */
    struct buffer suspects;
    uint64_t raised;
};

static bool is_in_groups(const struct event_match *match, const char *group)
{
    for (size_t i = 0; i < match->group_count; i++)
        if (text_equal(match->groups[i], group))
            return true;
    return match->group_count == 0;
}

/* --- what a computer says of itself */

static void write_time(struct json_writer *json, const char *key, int64_t ms)
{
    json_write_object_begin(json);
    json_write_field_number(json, key, ms);
    json_write_object_end(json);
}

/* The first problem, as the agent told it. */
static bool is_degraded(const json_t *facts, struct json_writer *json)
{
    const char *state = json_string_value(json_object_get(facts, "state"));
    if (!state || !text_equal(state, "degraded"))
        return false;
    const json_t *problem = json_array_get(json_object_get(facts, "problems"), 0);
    static const char *const keys[] = {"module", "problem", "cure"};
    json_write_object_begin(json);
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        const char *text = json_string_value(json_object_get(problem, keys[i]));
        char part[128] = "";
        (void)text_copy(part, sizeof(part), text ? text : "");
        json_write_field_string(json, keys[i], part);
    }
    json_write_object_end(json);
    return true;
}

static bool has_old_signatures(const json_t *facts, int64_t limit_ms, struct json_writer *json)
{
    const json_t *age = json_object_get(json_object_get(facts, "scanner"), "signatures_age");
    if (!json_is_integer(age) || json_integer_value(age) < limit_ms / 1000)
        return false;
    write_time(json, "signatures_age", json_integer_value(age));
    return true;
}

static bool was_suspect(const struct alert_checks *checks, int64_t computer)
{
    const int64_t *suspects = (const void *)checks->suspects.data;
    for (size_t i = 0; i < checks->suspects.length / sizeof(*suspects); i++)
        if (suspects[i] == computer)
            return true;
    return false;
}

/* 1: the rule's condition holds; 0: it does not; -EAGAIN: not to be judged now. */
static int judge(struct check *check, struct sql_statement *row, int64_t now, struct buffer *detail)
{
    const struct alert_condition *condition = &check->rule->condition;
    int64_t computer = sql_number(row, 0), seen = sql_number(row, 4);
    struct json_writer json;
    json_writer_init(&json, detail);
    if (condition->type == ALERT_OFFLINE) {
        if (MAX(seen, check->checks->since_ms) > now - condition->ms)
            return seen > check->checks->since_ms ? 0 : -EAGAIN;
        write_time(&json, "last_seen_ms", seen);
        return 1;
    }
    if (seen < now - check->checks->heard_ms)
        return -EAGAIN;
    json_t *facts = json_loads(sql_text(row, 5), 0, NULL);
    int r = condition->type == ALERT_DEGRADED ? is_degraded(facts, &json)
                                              : has_old_signatures(facts, condition->ms, &json);
    json_decref(facts);
    if (r == 1 && condition->type == ALERT_DEGRADED) {
        (void)buffer_append(&check->suspects, &computer, sizeof(computer));
        if (!was_suspect(check->checks, computer))
            return -EAGAIN; /* a moment of it is no alert */
    }
    return r;
}

static int note(struct check *check, struct sql_statement *row, int64_t now)
{
    struct finding finding = {.computer = sql_number(row, 0)};
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(sizeof(finding.detail) - 1);
    if (!is_in_groups(&check->rule->condition.match, sql_text(row, 3)))
        return buffer_append(&check->judged, &finding.computer, sizeof(finding.computer));
    int r = judge(check, row, now, &detail);
    if (r == 0)
        return buffer_append(&check->judged, &finding.computer, sizeof(finding.computer));
    if (r < 0)
        return 0;
    (void)text_copy(finding.id, sizeof(finding.id), sql_text(row, 1));
    (void)text_copy(finding.subject, sizeof(finding.subject), sql_text(row, 2));
    (void)text_copy(finding.detail, sizeof(finding.detail),
                    buffer_failed(&detail) < 0 ? "{}" : buffer_text(&detail));
    return buffer_append(&check->findings, &finding, sizeof(finding));
}

static int read_state(struct sql *sql, void *user)
{
    struct check *check = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int64_t now = console_store_now_ms();
    int r = sql_run(sql,
                    "SELECT number, id, hostname, COALESCE(group_id, ''), last_seen_ms, facts"
                    " FROM computers WHERE org_id = $1 AND state = 'active' ORDER BY number",
                    &row, "n", ORG);
    while (r == 1) {
        r = note(check, row, now);
        if (r == 0)
            r = sql_step(row);
    }
    AUTO_STATEMENT struct sql_statement *alert = NULL;
    if (r == 0)
        r = sql_run(sql,
                    "SELECT computer, number FROM alerts WHERE rule_id = $1"
                    " AND state IN ('open', 'acknowledged') ORDER BY computer",
                    &alert, "t", check->rule->id);
    while (r == 1) {
        struct standing standing = {sql_number(alert, 0), sql_number(alert, 1)};
        r = buffer_append(&check->standings, &standing, sizeof(standing));
        if (r == 0)
            r = sql_step(alert);
    }
    return r;
}

static int compare_numbers(const void *key, const void *entry)
{
    const int64_t *left = key, *right = entry; /* the computer stands first in each */
    return (*left > *right) - (*left < *right);
}

/* Each of these is sorted by computer, its first member. */
static const void *find(const struct buffer *list, size_t size, int64_t computer)
{
    return list->length ? bsearch(&computer, list->data, list->length / size, size, compare_numbers)
                        : NULL;
}

static int raise_new(struct sql *sql, struct check *check)
{
    const struct finding *findings = (const void *)check->findings.data;
    int r = 0;
    for (size_t i = 0; r == 0 && i < check->findings.length / sizeof(*findings); i++) {
        const struct finding *found = &findings[i];
        if (find(&check->standings, sizeof(struct standing), found->computer))
            continue;
        if (check->raised == FINDINGS_A_LOOK)
            break;
        struct alert_finding finding = {check->rule,    found->computer, found->id,
                                        found->subject, found->detail,   1};
        int raised = alert_raise(sql, &finding);
        if (raised < 0)
            r = raised;
        else
            check->raised += (uint64_t)raised;
    }
    return r;
}

static int still_there(struct sql *sql, int64_t computer)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    return sql_run(sql, "SELECT 1 FROM computers WHERE number = $1 AND state = 'active'", &row, "n",
                   computer);
}

static int resolve_old(struct sql *sql, const struct check *check)
{
    const struct standing *standings = (const void *)check->standings.data;
    int r = 0;
    for (size_t i = 0; r == 0 && i < check->standings.length / sizeof(*standings); i++) {
        struct alert_change change = {standings[i].number, ALERT_RESOLVED, "console", ""};
        if (!find(&check->judged, sizeof(int64_t), standings[i].computer)) {
            if (find(&check->findings, sizeof(struct finding), standings[i].computer))
                continue;
            int there = still_there(sql, standings[i].computer);
            if (there != 0) {
                r = there < 0 ? there : 0;
                continue;
            }
            change.note = "the computer is not managed any more";
        }
        r = alert_change(sql, &change, NULL);
        if (r == -EALREADY || r == -ENOENT)
            r = 0; /* somebody was faster */
    }
    return r;
}

static int write_differences(struct sql *sql, void *user)
{
    struct check *check = user;
    check->raised = 0;
    int r = raise_new(sql, check);
    return r < 0 ? r : resolve_old(sql, check);
}

static bool differs(const struct check *check)
{
    const struct finding *findings = (const void *)check->findings.data;
    const struct standing *standings = (const void *)check->standings.data;
    for (size_t i = 0; i < check->findings.length / sizeof(*findings); i++)
        if (!find(&check->standings, sizeof(*standings), findings[i].computer))
            return true;
    for (size_t i = 0; i < check->standings.length / sizeof(*standings); i++)
        if (!find(&check->findings, sizeof(*findings), standings[i].computer))
            return true;
    return false;
}

static int run_rule(struct alert_checks *checks, struct console_store *store,
                    const struct alert_rule *rule, uint64_t *ret_raised)
{
    struct check check = {.checks = checks,
                          .rule = rule,
                          .findings = BUFFER_WITH_MAXIMUM(SIZE_MAX / 2),
                          .judged = BUFFER_WITH_MAXIMUM(SIZE_MAX / 2),
                          .standings = BUFFER_WITH_MAXIMUM(SIZE_MAX / 2),
                          .suspects = BUFFER_WITH_MAXIMUM(SIZE_MAX / 2)};
    int r = console_store_read(store, read_state, &check);
    if (r == 0 && differs(&check))
        r = console_store_write(store, write_differences, &check);
    *ret_raised += check.raised;
    if (r == 0 && rule->condition.type == ALERT_DEGRADED) {
        buffer_done(&checks->suspects);
        checks->suspects = check.suspects;
        check.suspects = BUFFER_WITH_MAXIMUM(0);
    }
    buffer_done(&check.findings);
    buffer_done(&check.judged);
    buffer_done(&check.standings);
    buffer_done(&check.suspects);
    return r;
}

int alert_checks_run(struct alert_checks *checks, struct console_store *store,
                     const struct alert_rule *rules, size_t count, uint64_t *ret_raised)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        if (rules[i].condition.type != ALERT_EVENT)
            r = run_rule(checks, store, &rules[i], ret_raised);
    return r;
}

void alert_checks_done(struct alert_checks *checks)
{
    buffer_done(&checks->suspects);
}
