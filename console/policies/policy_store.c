/* Owns the policies, policy_revisions and policy_bodies tables, and the target columns of
 * computers. Must not parse policy texts: policy_check does. */
#include "console/policies/policy_store.h"

#include "common/text/text.h"
#include "console/store/agent_news.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG          1LL
#define BASE_POLICY  "base"
#define BODY_MAXIMUM ((LIMIT_POLICY_PARENTS + 1) * LIMIT_SETTINGS_BYTES)

void policy_chain_done(struct policy_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        free((void *)(uintptr_t)chain->texts[i].name);
        free((void *)(uintptr_t)chain->texts[i].text);
    }
    chain->count = 0;
}

/* Puts one before the others. */
static int prepend(struct policy_chain *chain, const char *name, const char *text)
{
    if (chain->count == ARRAY_LENGTH(chain->texts))
        return -ELOOP;
    char *name_copy = strdup(name);
    char *text_copy_ = strdup(text);
    if (!name_copy || !text_copy_) {
        free(name_copy);
        free(text_copy_);
        return -ENOMEM;
    }
    memmove(&chain->texts[1], &chain->texts[0], chain->count * sizeof(chain->texts[0]));
    chain->texts[0] = (struct wire_policy_text){name_copy, text_copy_};
    chain->count++;
    return 0;
}

int policy_chain_read(struct sql *sql, const char *name, const struct policy_substitute *substitute,
                      struct policy_chain *ret_chain, char ret_missing[static 128])
{
    AUTO_POLICY_CHAIN struct policy_chain chain = {.count = 0};
    char next[128];
    if (text_copy(next, sizeof(next), name) < 0)
        return -ENOENT;
    while (next[0]) {
        int r;
        (void)text_copy(ret_missing, 128, next);
        if (substitute && text_equal(substitute->name, next)) {
            r = prepend(&chain, next, substitute->text);
            (void)text_copy(next, sizeof(next), substitute->parent);
        } else {
            AUTO_STATEMENT struct sql_statement *row = NULL;
            r = sql_run(sql, "SELECT text, parent FROM policies WHERE org_id = $1 AND name = $2",
                        &row, "nt", ORG, next);
            if (r < 0)
                return r;
            if (r == 0)
                return -ENOENT;
            r = prepend(&chain, next, sql_text(row, 0));
            (void)text_copy(next, sizeof(next), sql_text(row, 1));
        }
        if (r < 0)
            return r;
    }
    ret_missing[0] = '\0';
    *ret_chain = chain;
    chain.count = 0;
    return 0;
}

/* --- targets */

struct policy_target {
    int64_t number; /* of a computer or sensor; 0: all of both */
    bool is_sensor;
};

/* Stores the body that agents of this policy get. ret_digest "" when there is no such policy. */
static int compile(struct sql *sql, const char *name, char ret_digest[static 65])
{
    AUTO_POLICY_CHAIN struct policy_chain chain = {.count = 0};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(BODY_MAXIMUM);
    char missing[128];
    ret_digest[0] = '\0';
    int r = policy_chain_read(sql, name, NULL, &chain, missing);
    if (r == -ENOENT)
        return 0;
    if (r == 0)
        r = wire_policy_body(chain.texts, chain.count, &body, ret_digest);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "INSERT INTO policy_bodies (digest, body) VALUES ($1, $2)"
                   " ON CONFLICT (digest) DO NOTHING",
                   NULL, "tt", ret_digest, buffer_text(&body));
}

#define ASSIGN(table)                                                                \
    "UPDATE " table " SET policy_digest = $1, policy_revision = policy_revision + 1" \
    " WHERE policy_digest <> $2 AND COALESCE(policy_id, (SELECT groups.policy_id"    \
    " FROM groups WHERE groups.id = " table ".group_id), $3) = $4"

/* number 0: all. */
static int assign_policy(struct sql *sql, const char *id, const char *digest, const char *base_id,
                         const struct policy_target *target)
{
    static const char *const all[] = {ASSIGN("computers"), ASSIGN("sensors")};
    static const char *const one[] = {ASSIGN("computers") " AND number = $5",
                                      ASSIGN("sensors") " AND number = $5"};
    int r = 0;
    if (target->number)
        return sql_run(sql, one[target->is_sensor], NULL, "ttttn", digest, digest, base_id, id,
                       target->number);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(all); i++)
        r = sql_run(sql, all[i], NULL, "tttt", digest, digest, base_id, id);
    return r;
}

static int find_base(struct sql *sql, char ret_id[static UUID_TEXT_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    ret_id[0] = '\0';
    int r = sql_run(sql, "SELECT id FROM policies WHERE org_id = $1 AND name = $2", &row, "nt", ORG,
                    BASE_POLICY);
    if (r == 1)
        (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    return r < 0 ? r : 0;
}

static int assign(struct sql *sql, const struct policy_target *target)
{
    char base_id[UUID_TEXT_BYTES];
    int r = find_base(sql, base_id);
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (r == 0)
        r = sql_run(sql, "SELECT id, name FROM policies WHERE org_id = $1", &row, "n", ORG);
    while (r == 1) {
        char digest[65];
        int assigned = compile(sql, sql_text(row, 1), digest);
        if (assigned == 0)
            assigned = assign_policy(sql, sql_text(row, 0), digest, base_id, target);
        r = assigned < 0 ? assigned : sql_step(row);
    }
    return r;
}

int policy_store_assign(struct sql *sql, int64_t computer)
{
    const struct policy_target target = {.number = computer};
    return assign(sql, &target);
}

int policy_store_assign_sensor(struct sql *sql, int64_t sensor)
{
    const struct policy_target target = {.number = sensor, .is_sensor = true};
    return assign(sql, &target);
}

int policy_store_assign_all(struct sql *sql)
{
    const struct policy_target all = {.number = 0};
    int r = assign(sql, &all);
    if (r == 0)
        r = agent_news_note(sql);
    if (r < 0)
        return r;
    return sql_run(sql,
                   "DELETE FROM policy_bodies WHERE NOT EXISTS (SELECT 1 FROM computers"
                   " WHERE computers.policy_digest = policy_bodies.digest) AND NOT EXISTS"
                   " (SELECT 1 FROM sensors WHERE sensors.policy_digest = policy_bodies.digest)",
                   NULL, "");
}

/* --- changes */

int policy_store_put(struct sql *sql, const struct policy_substitute *policy, const char *author,
                     int64_t expected_revision, int64_t *ret_revision)
{
    char id[UUID_TEXT_BYTES];
    int64_t revision = 0;
    int64_t now = console_store_now_ms();
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT id, revision FROM policies WHERE org_id = $1 AND name = $2", &row,
                    "nt", ORG, policy->name);
    if (r < 0)
        return r;
    bool exists = r == 1;
    if (exists) {
        (void)text_copy(id, sizeof(id), sql_text(row, 0));
        revision = sql_number(row, 1);
    }
    if (expected_revision != (exists ? revision : -1))
        return -ESTALE;
    revision++;
    if (exists) {
        AUTO_STATEMENT struct sql_statement *update = NULL;
        r = sql_run(sql,
                    "UPDATE policies SET revision = $1, text = $2, parent = $3, author = $4,"
                    " changed_ms = $5 WHERE id = $6 AND revision = $7",
                    &update, "ntttntn", revision, policy->text, policy->parent, author, now, id,
                    revision - 1);
        if (r == 0 && sql_changes(update) == 0)
            r = -ESTALE; /* another node was faster */
    } else {
        r = uuid_new(id);
        if (r == 0)
            r = sql_run(sql,
                        "INSERT INTO policies (id, org_id, name, revision, text, parent, author,"
                        " changed_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                        NULL, "tntntttn", id, ORG, policy->name, revision, policy->text,
                        policy->parent, author, now);
    }
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO policy_revisions (policy_id, revision, text, author, changed_ms)"
                    " VALUES ($1, $2, $3, $4, $5)",
                    NULL, "tnttn", id, revision, policy->text, author, now);
    if (r == 0)
        r = policy_store_assign_all(sql);
    if (r == 0)
        *ret_revision = revision;
    return r;
}

int policy_store_delete(struct sql *sql, const char *name)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT id FROM policies WHERE org_id = $1 AND name = $2", &row, "nt", ORG,
                    name);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    char id[UUID_TEXT_BYTES];
    (void)text_copy(id, sizeof(id), sql_text(row, 0));
    AUTO_STATEMENT struct sql_statement *used = NULL;
    r = sql_run(sql,
                "SELECT 1 FROM computers WHERE policy_id = $1 UNION ALL"
                " SELECT 1 FROM groups WHERE policy_id = $1 UNION ALL"
                " SELECT 1 FROM activation_rules WHERE policy_id = $1 UNION ALL"
                " SELECT 1 FROM tokens WHERE policy_id = $1 AND revoked_ms = 0 UNION ALL"
                " SELECT 1 FROM sensor_keys WHERE policy_id = $1 AND revoked_ms = 0 UNION ALL"
                " SELECT 1 FROM sensors WHERE policy_id = $1 UNION ALL"
                " SELECT 1 FROM policies WHERE org_id = $2 AND parent = $3",
                &used, "tnt", id, ORG, name);
    if (r != 0)
        return r < 0 ? r : -EBUSY;
    r = sql_run(sql, "DELETE FROM policy_revisions WHERE policy_id = $1", NULL, "t", id);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM policies WHERE id = $1", NULL, "t", id);
    if (r == 0 && text_equal(name, BASE_POLICY))
        r = sql_run(sql, "UPDATE computers SET policy_digest = '' WHERE policy_id IS NULL", NULL,
                    "");
    if (r == 0 && text_equal(name, BASE_POLICY))
        r = sql_run(sql, "UPDATE sensors SET policy_digest = '' WHERE policy_id IS NULL", NULL, "");
    return r == 0 ? policy_store_assign_all(sql) : r;
}
