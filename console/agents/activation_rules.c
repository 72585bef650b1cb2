/* Owns the activation_rules table and what a match is. Must not know computers. */
#include "console/agents/activation_rules.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/tokens.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <fnmatch.h>

#define ORG           1LL
#define POSITION_STEP 10

const char *const RULE_CONDITIONS[] = {"cidrs", "accounts", "regions", "hostnames",
                                       "tags",  "tokens",   NULL};

/* --- changes */

static int count_rules(struct sql *sql, int64_t *ret_count, int64_t *ret_last)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT count(*), COALESCE(max(position), 0) FROM activation_rules"
                    " WHERE org_id = $1",
                    &row, "n", ORG);
    if (r != 1)
        return r < 0 ? r : -EIO;
    *ret_count = sql_number(row, 0);
    *ret_last = sql_number(row, 1);
    return 0;
}

int rule_create(struct sql *sql, const struct rule_draft *draft,
                char ret_id[static UUID_TEXT_BYTES])
{
    int64_t count = 0, last = 0;
    int r = count_rules(sql, &count, &last);
    if (r == 0 && count >= LIMIT_ACTIVATION_RULES)
        r = -EXFULL;
    if (r == 0)
        r = uuid_new(ret_id);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO activation_rules (id, org_id, position, name, conditions, group_id,"
                   " policy_id, tags, created_ms, created_by)"
                   " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                   NULL, "tnntttttnt", ret_id, ORG,
                   draft->position ? draft->position : last + POSITION_STEP, draft->name,
                   draft->conditions, draft->group_id, draft->policy_id, draft->tags,
                   console_store_now_ms(), draft->created_by);
}

int rule_change(struct sql *sql, const char *id, const struct rule_draft *draft)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql,
                    "UPDATE activation_rules SET name = $1, conditions = $2, group_id = $3,"
                    " policy_id = $4, tags = $5, position ="
                    " CASE WHEN $6 > 0 THEN $7 ELSE position END WHERE id = $8 AND org_id = $9",
                    &statement, "tttttnntn", draft->name, draft->conditions, draft->group_id,
                    draft->policy_id, draft->tags, draft->position, draft->position, id, ORG);
    return r < 0 ? r : sql_changes(statement) == 1 ? 0 : -ENOENT;
}

int rule_delete(struct sql *sql, const char *text, char ret_name[static 129])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT id, name FROM activation_rules WHERE org_id = $1 AND"
                    " (id = $2 OR name = $3)",
                    &row, "ntt", ORG, text, text);
    if (r != 1)
        return r;
    char id[UUID_TEXT_BYTES];
    (void)text_copy(id, sizeof(id), sql_text(row, 0));
    (void)text_copy(ret_name, 129, sql_text(row, 1));
    r = sql_run(sql, "DELETE FROM activation_rules WHERE id = $1", NULL, "t", id);
    return r < 0 ? r : 1;
}

bool rule_entry_is_valid(const char *condition, const char *entry)
{
    size_t length = strlen(entry);
    if (length == 0 || length > 128)
        return false;
    if (text_equal(condition, "cidrs"))
        return cidr_is_valid(entry);
    if (text_equal(condition, "accounts"))
        return length == 12 && strspn(entry, "0123456789") == length;
    return true;
}

/* --- matching */

static bool text_is_in(const json_t *list, const char *text)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (text[0] && json_is_string(entry) && text_equal(json_string_value(entry), text))
            return true;
    }
    return false;
}

static bool cidr_holds(const json_t *list, const char *address)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_is_string(entry) && cidr_contains(json_string_value(entry), address))
            return true;
    }
    return false;
}

static bool pattern_matches(const json_t *list, const char *hostname)
{
    size_t i;
    const json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_is_string(entry) &&
            fnmatch(json_string_value(entry), hostname, FNM_CASEFOLD | FNM_NOESCAPE) == 0)
            return true;
    }
    return false;
}

static bool tag_is_in(const json_t *list, const char *tags)
{
    json_t *own = json_loads(tags, 0, NULL);
    bool found = false;
    size_t i;
    const json_t *tag;
    json_array_foreach(own, i, tag)
    {
        found = found || (json_is_string(tag) && text_is_in(list, json_string_value(tag)));
    }
    json_decref(own);
    return found;
}

static bool condition_holds(const char *name, const json_t *list, const struct rule_facts *facts)
{
    if (text_equal(name, "cidrs"))
        return cidr_holds(list, facts->address);
    if (text_equal(name, "accounts"))
        return text_is_in(list, facts->account);
    if (text_equal(name, "regions"))
        return text_is_in(list, facts->region);
    if (text_equal(name, "hostnames"))
        return pattern_matches(list, facts->hostname);
    if (text_equal(name, "tags"))
        return tag_is_in(list, facts->token_tags);
    return text_equal(name, "tokens") && text_is_in(list, facts->token_id);
}

/* A rule that a newer console wrote, with a condition we do not know, does not match. */
static bool rule_holds(const char *conditions, const struct rule_facts *facts)
{
    json_t *root = json_loads(conditions, 0, NULL);
    bool holds = json_is_object(root);
    const char *name;
    json_t *list;
    json_object_foreach(root, name, list)
    {
        if (json_array_size(list) > 0)
            holds = holds && condition_holds(name, list, facts);
    }
    json_decref(root);
    return holds;
}

int rules_match(struct sql *sql, const struct rule_facts *facts, struct rule_outcome *ret_outcome)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_outcome = (struct rule_outcome){.tags = "[]"};
    int r = sql_run(sql,
                    "SELECT name, conditions, group_id, policy_id, tags FROM activation_rules"
                    " WHERE org_id = $1 ORDER BY position, id",
                    &row, "n", ORG);
    for (; r == 1; r = sql_step(row)) {
        if (!rule_holds(sql_text(row, 1), facts))
            continue;
        (void)text_copy(ret_outcome->name, sizeof(ret_outcome->name), sql_text(row, 0));
        (void)text_copy(ret_outcome->group_id, UUID_TEXT_BYTES, sql_text(row, 2));
        (void)text_copy(ret_outcome->policy_id, UUID_TEXT_BYTES, sql_text(row, 3));
        (void)text_copy(ret_outcome->tags, sizeof(ret_outcome->tags), sql_text(row, 4));
        return 1;
    }
    return r;
}
