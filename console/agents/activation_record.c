/* Owns what an activation writes: the computer's row, its policy, events and audit entries. Must
 * not decide whether it may. */
#include "console/agents/activation_internal.h"

#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "console/agents/activation_rules.h"
#include "console/events/event_store.h"
#include "console/people/audit.h"
#include "console/policies/policy_store.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG 1LL

struct placement {
    char group_id[UUID_TEXT_BYTES], policy_id[UUID_TEXT_BYTES]; /* "" = none */
    char tags[1024];                                            /* JSON array */
    char rule[129];                                             /* that decided; "" = none */
};

/* An id by name; "" when there is none such. */
static int find_id(struct sql *sql, const char *text, const char *name,
                   char ret_id[static UUID_TEXT_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    ret_id[0] = '\0';
    int r = sql_run(sql, text, &row, "nt", ORG, name);
    if (r == 1)
        (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    return r < 0 ? r : 0;
}

/* tags and more, each once. What does not fit is left out. */
static int join_tags(char tags[static 1024], const char *more)
{
    json_t *joined = json_loads(tags, 0, NULL);
    json_t *added = json_loads(more, 0, NULL);
    size_t i, j;
    json_t *tag;
    const json_t *known;
    json_array_foreach(added, i, tag)
    {
        bool is_new = true;
        json_array_foreach(joined, j, known)
        {
            is_new = is_new && !json_equal(known, tag);
        }
        if (is_new)
            (void)json_array_append(joined, tag);
    }
    AUTO_FREE char *text = joined ? json_dumps(joined, JSON_COMPACT) : NULL;
    json_decref(joined);
    json_decref(added);
    if (!text)
        return -ENOMEM;
    if (strlen(text) < 1024)
        (void)text_copy(tags, 1024, text);
    return 0;
}

/* The first rule that matches wins over the token, which wins over what the agent asks for. */
static int choose_placement(struct sql *sql, const struct activation *activation,
                            struct placement *placement)
{
    const struct token *token = &activation->token;
    struct rule_outcome rule;
    const struct rule_facts facts = {.address = http_request_address(activation->request),
                                     .account = activation->identity.account,
                                     .region = activation->identity.region,
                                     .hostname = activation->wire.host.hostname,
                                     .token_id = token->id,
                                     .token_tags = token->tags};
    int r = rules_match(sql, &facts, &rule);
    if (r < 0)
        return r;
    (void)text_copy(placement->rule, sizeof(placement->rule), rule.name);
    (void)text_copy(placement->group_id, UUID_TEXT_BYTES,
                    rule.group_id[0] ? rule.group_id : token->group_id);
    (void)text_copy(placement->policy_id, UUID_TEXT_BYTES,
                    rule.policy_id[0] ? rule.policy_id : token->policy_id);
    (void)text_copy(placement->tags, sizeof(placement->tags), token->tags);
    r = join_tags(placement->tags, rule.tags);
    if (r == 0 && !placement->group_id[0] && activation->wire.group[0])
        r = find_id(sql, "SELECT id FROM groups WHERE org_id = $1 AND name = $2",
                    activation->wire.group, placement->group_id);
    if (r == 0 && !placement->policy_id[0] && activation->wire.policy[0])
        r = find_id(sql, "SELECT id FROM policies WHERE org_id = $1 AND name = $2",
                    activation->wire.policy, placement->policy_id);
    return r;
}

/* A copy that came without a token belongs where its original does. */
static int inherit_placement(struct sql *sql, const struct activation *activation,
                             struct placement *placement)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT group_id, policy_id, tags FROM computers WHERE number = $1", &row,
                    "n", activation->original);
    if (r != 1)
        return r < 0 ? r : -ESTALE;
    (void)text_copy(placement->group_id, UUID_TEXT_BYTES, sql_text(row, 0));
    (void)text_copy(placement->policy_id, UUID_TEXT_BYTES, sql_text(row, 1));
    (void)text_copy(placement->tags, sizeof(placement->tags), sql_text(row, 2));
    return 0;
}

static int insert_computer(struct sql *sql, struct activation *activation,
                           struct placement *placement)
{
    const struct wire_host *host = &activation->wire.host;
    char instance[INSTANCE_NAME_BYTES];
    activation_instance(activation, instance);
    int r = activation->vouched ? inherit_placement(sql, activation, placement)
                                : choose_placement(sql, activation, placement);
    if (r < 0)
        return r;
    activation->number = console_store_new_number();
    int64_t now = console_store_now_ms();
    return sql_run(
        sql,
        "INSERT INTO computers (number, id, org_id, state, hostname, display_name, os,"
        " agent_version, address, machine_id, instance_id, session, retired_session,"
        " blocked_session, session_ms, group_id, policy_id, tags, token_id, certificate,"
        " next_certificate, certificate_expires_ms, activated_ms, last_seen_ms, policy_digest,"
        " policy_revision, applied_digest, applied_problem, facts, account, region,"
        " verified_instance)"
        " VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10, $11, '', '', $12, $13, $14,"
        " $15, $16, $17, NULL, $18, $19, $20, '', 0, '', '', '{}', $21, $22, $23)",
        NULL, "ntnttttttttntttttnnnttt", activation->number, activation->agent_id, ORG,
        host->hostname, host->display_name[0] ? host->display_name : host->hostname, host->os,
        host->agent_version, http_request_address(activation->request), host->machine_id,
        host->instance_id, activation->wire.session, now,
        placement->group_id[0] ? placement->group_id : NULL,
        placement->policy_id[0] ? placement->policy_id : NULL, placement->tags,
        activation->token.id, activation->certificate, activation->certificate_expires_ms, now, now,
        activation->identity.account, activation->identity.region, instance[0] ? instance : NULL);
}

static int update_computer(struct sql *sql, const struct activation *activation)
{
    const struct wire_host *host = &activation->wire.host;
    char instance[INSTANCE_NAME_BYTES];
    activation_instance(activation, instance);
    int64_t now = console_store_now_ms();
    int r = sql_run(sql,
                    "UPDATE computers SET state = 'active', hostname = $1, os = $2,"
                    " agent_version = $3, address = $4, session = $5, retired_session = '',"
                    " blocked_session = '', session_ms = $6, token_id = $7, certificate = $8,"
                    " next_certificate = NULL, certificate_expires_ms = $9, activated_ms = $10,"
                    " last_seen_ms = $11 WHERE number = $12",
                    NULL, "tttttnttnnnn", host->hostname, host->os, host->agent_version,
                    http_request_address(activation->request), activation->wire.session, now,
                    activation->token.id, activation->certificate,
                    activation->certificate_expires_ms, now, now, activation->number);
    if (r == 0 && instance[0])
        r = sql_run(sql,
                    "UPDATE computers SET account = $1, region = $2, verified_instance = $3"
                    " WHERE number = $4",
                    NULL, "tttn", activation->identity.account, activation->identity.region,
                    instance, activation->number);
    return r;
}

static int audit(struct sql *sql, const struct activation *activation, const char *action,
                 const char *subject, const char *detail)
{
    char actor[64];
    (void)text_format(actor, sizeof(actor), "agent:%s", activation->agent_id);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(activation->request),
                                .action = action,
                                .subject = subject,
                                .detail = detail};
    return audit_append(sql, &entry);
}

/* On both, so that who looks at either learns of the other. */
static int record_clone(struct sql *sql, const struct activation *activation)
{
    char of_original[96], of_clone[96];
    (void)text_format(of_original, sizeof(of_original), "{\"clone\":\"%s\"}", activation->agent_id);
    (void)text_format(of_clone, sizeof(of_clone), "{\"original\":\"%s\"}", activation->original_id);
    int r = event_store_add_own(sql, activation->original, "clone_seen", 3,
                                "another machine showed this computer's certificate", of_original);
    if (r == 0)
        r = event_store_add_own(sql, activation->number, "activated_as_clone", 2,
                                "this machine showed another computer's certificate", of_clone);
    if (r == 0)
        r = audit(sql, activation, "clone_seen", activation->original_name, of_original);
    if (r == 0)
        r = audit(sql, activation, "clone_activated", activation->wire.host.hostname, of_clone);
    return r;
}

static int write_rule(const struct placement *placement, struct buffer *detail)
{
    struct json_writer json;
    json_writer_init(&json, detail);
    json_write_object_begin(&json);
    if (placement->rule[0])
        json_write_field_string(&json, "rule", placement->rule);
    json_write_object_end(&json);
    return buffer_failed(detail);
}

static int record_history(struct sql *sql, const struct activation *activation,
                          const struct placement *placement)
{
    bool again = activation->way == ACTIVATION_AGAIN;
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(1024);
    int r = write_rule(placement, &detail);
    if (r == 0)
        r = audit(sql, activation, again ? "computer_reactivated" : "computer_activated",
                  activation->wire.host.hostname, buffer_text(&detail));
    if (r == 0)
        r = event_store_add_own(sql, activation->number, again ? "reactivated" : "activated", 0,
                                activation->token.name, buffer_text(&detail));
    if (r == 0 && activation->way == ACTIVATION_CLONE)
        r = record_clone(sql, activation);
    return r;
}

int activation_record(struct sql *sql, struct activation *activation)
{
    struct placement placement = {.tags = "[]"};
    int r = activation->way == ACTIVATION_AGAIN ? update_computer(sql, activation)
                                                : insert_computer(sql, activation, &placement);
    if (r == 0)
        r = policy_store_assign(sql, activation->number);
    return r == 0 ? record_history(sql, activation, &placement) : r;
}

int activation_record_taken(struct sql *sql, const struct activation *activation)
{
    int r = event_store_add_own(sql, activation->original, "clone_seen", 3,
                                "another machine showed this instance's identity document", "{}");
    if (r < 0)
        return r;
    struct audit_entry entry = {.actor = "agent",
                                .address = http_request_address(activation->request),
                                .action = "clone_refused",
                                .subject = activation->wire.host.hostname,
                                .detail = ""};
    return audit_append(sql, &entry);
}
