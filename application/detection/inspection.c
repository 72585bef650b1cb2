#include "application/detection/inspection.h"

#include "application/detection/derived_values.h"
#include "application/detection/dispositions.h"
#include "application/detection/graphql.h"
#include "application/detection/judgement.h"
#include "application/detection/own_checks.h"
#include "application/detection/own_patterns.h"
#include "application/detection/redirect_check.h"
#include "application/detection/rule_engine.h"
#include "application/detection/shared_values.h"
#include "application/detection/upload_checks.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>

/* What inspection_prepare() compiles in one call: some milliseconds. */
#define EXPRESSIONS_AT_ONCE 8

struct inspection {
    struct arena arena;
    struct detection_policy *policy;
    struct rule_table table;
    struct own_patterns *patterns;
    struct rule_engine *engine; /* NULL: no table */
    bool exact;
    unsigned paranoia;
    struct event_view view;
    struct request request;
};

const char *inspection_protection_name(enum inspection_protection protection)
{
    static const char *const names[PROTECTION_COUNT] = {
        "SQL Injection", "Malicious Payload",     "Illegal File Access", "Remote Command Execution",
        "Open Redirect", "Malicious File Upload", "IP Protection"};
    return protection < PROTECTION_COUNT ? names[protection] : "";
}

const char *inspection_protection_word(enum inspection_protection protection)
{
    static const char *const words[PROTECTION_COUNT] = {
        "sql_injection", "malicious_payload",     "illegal_file_access", "remote_command_execution",
        "open_redirect", "malicious_file_upload", "ip_protection"};
    return protection < PROTECTION_COUNT ? words[protection] : "";
}

const char *inspection_action_name(enum inspection_action action)
{
    static const char *const names[] = {"pass", "report", "block"};
    return action <= INSPECTION_BLOCK ? names[action] : "";
}

static int open_table(struct inspection *inspection, const struct inspection_options *options,
                      struct settings_error *error)
{
    AUTO_CLOSE int own_fd = -1;
    int fd = options->table_fd;
    if (options->table_path != NULL) {
        int r = file_open_following(options->table_path, O_RDONLY, 0, &own_fd);
        if (r < 0) {
            (void)text_format(error->text, sizeof(error->text), "%s: cannot be read",
                              options->table_path);
            return r;
        }
        fd = own_fd;
    }
    if (fd < 0)
        return 0;
    int r = rule_table_open(fd, &inspection->table);
    if (r < 0) {
        (void)text_format(error->text, sizeof(error->text),
                          "the rule table is damaged or of another version: build it again with "
                          "yagura-rules-compiler");
        return r;
    }
    return rule_engine_new(&inspection->table, inspection->exact, inspection->paranoia,
                           &inspection->engine);
}

int inspection_open(const struct inspection_options *options, struct inspection **ret_inspection,
                    struct inspection_error *ret_error)
{
    struct settings_error error = {""};
    struct inspection *inspection = calloc(1, sizeof(*inspection));
    if (inspection == NULL)
        return -ENOMEM;
    inspection->exact = options->exact;
    inspection->paranoia = options->paranoia == 0 ? 1 : options->paranoia;
    int r = arena_init(&inspection->arena, APPLICATION_LIMIT_ARENA);
    if (r == 0)
        r = detection_policy_parse(options->policy, &inspection->policy, &error);
    if (r == 0) {
        inspection->patterns = own_patterns_new();
        r = inspection->patterns == NULL ? -ENOMEM : 0;
    }
    if (r == 0)
        r = open_table(inspection, options, &error);
    if (r < 0) {
        if (ret_error != NULL)
            (void)text_copy(ret_error->text, sizeof(ret_error->text), error.text);
        inspection_free(inspection);
        return r;
    }
    *ret_inspection = inspection;
    return 0;
}

struct inspection *inspection_free(struct inspection *inspection)
{
    if (inspection == NULL)
        return NULL;
    own_patterns_free(inspection->patterns);
    rule_engine_free(inspection->engine);
    rule_table_close(&inspection->table);
    detection_policy_free(inspection->policy);
    arena_done(&inspection->arena);
    free(inspection);
    return NULL;
}

/* Source: AWS, proxy integration response formats; a load balancer wants a description, and lists
 * where it sent lists. */
static struct span answer_of(const struct event_view *view)
{
    if (view->kind == EVENT_LOAD_BALANCER && view->multi_value)
        return SPAN("{\"statusCode\":403,\"statusDescription\":\"403 Forbidden\","
                    "\"multiValueHeaders\":{\"content-type\":[\"application/json\"]},"
                    "\"body\":\"{\\\"message\\\":\\\"Forbidden\\\"}\",\"isBase64Encoded\":false}");
    if (view->kind == EVENT_LOAD_BALANCER)
        return SPAN("{\"statusCode\":403,\"statusDescription\":\"403 Forbidden\","
                    "\"headers\":{\"content-type\":\"application/json\"},"
                    "\"body\":\"{\\\"message\\\":\\\"Forbidden\\\"}\",\"isBase64Encoded\":false}");
    return SPAN("{\"statusCode\":403,\"headers\":{\"content-type\":\"application/json\"},"
                "\"body\":\"{\\\"message\\\":\\\"Forbidden\\\"}\",\"isBase64Encoded\":false}");
}

static void set_facts(const struct event_view *view, struct inspection_result *result)
{
    result->is_http = view->kind != EVENT_OTHER;
    result->kind = view->kind;
    result->method = view->method;
    result->path = view->path;
    result->route = view->route;
    result->host = view->host;
    result->source = view->source;
    result->request_id = view->request_id;
    result->trace_id = view->trace_id;
    result->block_answer = answer_of(view);
}

/* A request counts as malicious when what was found reaches the threshold; it is refused when what
 * may be mitigated reaches it alone. */
static void decide(const struct detection_policy *policy, struct inspection_result *result)
{
    unsigned threshold = detection_policy_threshold(policy);
    unsigned mitigated = 0;
    for (size_t i = 0; i < result->finding_count; i++) {
        if (result->findings[i].action == INSPECTION_BLOCK)
            mitigated += result->findings[i].score;
    }
    if (mitigated >= threshold)
        result->action = INSPECTION_BLOCK;
    else if (result->score >= threshold)
        result->action = INSPECTION_REPORT;
}

static void inspect(struct inspection *inspection, struct judgement *judgement)
{
    if (judgement->exact) {
        if (inspection->engine != NULL)
            rule_engine_run(inspection->engine, judgement);
        return;
    }
    if (own_check_address(judgement))
        return;
    graphql_check(judgement);
    derived_values_add(judgement);
    upload_checks_run(judgement);
    own_patterns_check(inspection->patterns, judgement);
    if (inspection->engine == NULL)
        own_check_injection(judgement);
    else
        rule_engine_run(inspection->engine, judgement);
}

int inspection_judge(struct inspection *inspection, const char *event, size_t length,
                     uint64_t budget_us, struct inspection_result *ret_result)
{
    const struct request_options options = {.inflate = !inspection->exact,
                                            .whole_body = inspection->exact,
                                            .length = inspection->exact};
    struct judgement judgement = {
        .arena = &inspection->arena,
        .view = &inspection->view,
        .request = &inspection->request,
        .policy = inspection->policy,
        .result = ret_result,
        .deadline_ns = budget_us == 0 ? 0 : clock_monotonic_ns() + budget_us * NS_PER_US,
        .exact = inspection->exact,
    };
    *ret_result = (struct inspection_result){.is_http = false};
    arena_reset(&inspection->arena);
    event_view_read((struct span){event, length}, &inspection->arena, &inspection->view);
    if (inspection->view.kind == EVENT_OTHER)
        return 0;
    set_facts(&inspection->view, ret_result);
    request_read(&inspection->view, &options, &inspection->arena, &inspection->request);
    inspect(inspection, &judgement);
    if (inspection->exact)
        ret_result->action = inspection->engine != NULL && rule_engine_denied(inspection->engine)
                                 ? INSPECTION_BLOCK
                                 : INSPECTION_PASS;
    else
        decide(inspection->policy, ret_result);
    ret_result->budget_exhausted =
        judgement.out_of_time || inspection->request.partial || inspection->arena.exhausted;
    return 0;
}

bool inspection_prepare(struct inspection *inspection)
{
    own_patterns_prepare(inspection->patterns);
    return inspection->engine == NULL ||
           rule_engine_prepare(inspection->engine, EXPRESSIONS_AT_ONCE);
}

int inspection_judge_response(struct inspection *inspection, const char *response, size_t length,
                              struct inspection_result *ret_result)
{
    struct judgement judgement = {
        .arena = &inspection->arena,
        .view = &inspection->view,
        .request = &inspection->request,
        .policy = inspection->policy,
        .result = ret_result,
    };
    *ret_result = (struct inspection_result){.is_http = false};
    if (inspection->view.kind == EVENT_OTHER || inspection->exact)
        return 0;
    set_facts(&inspection->view, ret_result);
    redirect_check(&judgement, (struct span){response, length});
    decide(inspection->policy, ret_result);
    return 0;
}

/* Rules of the table that score and that an entry is about; the rest of the next paranoia level is
 * left out. */
static size_t count_concerned(const struct rule_table *table, const struct disposition_entry *entry,
                              bool addition)
{
    size_t count = 0;
    for (uint32_t i = 0; i < table->counts[TABLE_RULES]; i++) {
        const struct table_rule *rule = &table->rules[i];
        bool higher = rule_paranoia(table, rule) > 1;
        count += (rule->flags & RULE_SCORES) != 0 && rule->id >= entry->first_rule &&
                         rule->id <= entry->last_rule && higher == addition
                     ? 1
                     : 0;
    }
    return count;
}

bool inspection_difference_get(const struct inspection *inspection, size_t index,
                               struct inspection_difference *ret_difference)
{
    size_t entries = 0, additions = 0;
    const struct disposition_entry *entry = disposition_entries(&entries);
    const struct disposition_entry *addition = disposition_additions(&additions);
    if (inspection->engine == NULL || index >= entries + additions)
        return false;
    bool added = index >= entries;
    entry = added ? &addition[index - entries] : &entry[index];
    *ret_difference = (struct inspection_difference){
        .first_rule = entry->first_rule,
        .last_rule = entry->last_rule,
        .rules = count_concerned(&inspection->table, entry, added),
        .what = disposition_name(entry->disposition),
        .reason = entry->reason,
    };
    return true;
}

void inspection_share_policy(const struct inspection *inspection, struct runtime_area *area)
{
    detection_policy_write_runtime(inspection->policy, area);
}

void inspection_share_values(const struct inspection *inspection,
                             const struct inspection_result *result, struct runtime_area *area,
                             unsigned slot)
{
    bool runs = result->is_http && result->action != INSPECTION_BLOCK;
    if (slot < RUNTIME_AREA_SLOTS)
        shared_values_write(runs ? &inspection->request : NULL, &area->requests[slot]);
}
