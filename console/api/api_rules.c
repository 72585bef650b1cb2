/* Owns activation rules over the API. What a match is: console/agents/activation_rules.h. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/activation_rules.h"
#include "console/api/api_internal.h"

#include <errno.h>

static const struct list_column RULE_COLUMNS[] = {
    {"id", LIST_TEXT},   {"position", LIST_NUMBER}, {"name", LIST_TEXT},
    {"when", LIST_JSON}, {"group", LIST_TEXT},      {"policy", LIST_TEXT},
    {"tags", LIST_JSON}, {"created", LIST_TIME},    {"created_by", LIST_TEXT},
};

/* In the order in which they are tried. The cursor is position and id in one text. */
static int build_rules(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT rules.id, rules.id, rules.position, rules.name, rules.conditions,"
                     " groups.name, policies.name, rules.tags, rules.created_ms, rules.created_by"
                     " FROM activation_rules AS rules"
                     " LEFT JOIN groups ON groups.id = rules.group_id"
                     " LEFT JOIN policies ON policies.id = rules.policy_id"
                     " WHERE rules.org_id = ");
    query_add_number(query, API_ORG);
    viewer_limit_groups(page->viewer, "rules.group_id", &query->text);
    if (page->has_cursor) {
        query_add(query, " AND (rules.position > (SELECT position FROM activation_rules"
                         " WHERE id = ");
        query_add_text(query, page->cursor_text);
        query_add(query, ") OR (rules.position = (SELECT position FROM activation_rules"
                         " WHERE id = ");
        query_add_text(query, page->cursor_text);
        query_add(query, ") AND rules.id > ");
        query_add_text(query, page->cursor_text);
        query_add(query, "))");
    }
    query_add(query, " ORDER BY rules.position, rules.id LIMIT ");
    query_add_number(query, page->limit);
    return 0;
}

static const struct list RULES = {.name = "rules",
                                  .columns = RULE_COLUMNS,
                                  .column_count = ARRAY_LENGTH(RULE_COLUMNS),
                                  .cursor_is_text = true,
                                  .build = build_rules};

void api_rules(struct http_request *request, void *user)
{
    api_list(request, user, &RULES);
}

struct rule_work {
    struct http_request *request;
    struct rule_draft draft;
    const char *group, *policy;
    char id[UUID_TEXT_BYTES]; /* "": a new one */
    char made_id[UUID_TEXT_BYTES];
};

static int write_rule(struct sql *sql, void *user)
{
    struct rule_work *work = user;
    char group_id[UUID_TEXT_BYTES] = "", policy_id[UUID_TEXT_BYTES] = "";
    bool is_new = work->id[0] == '\0';
    struct rule_draft draft = work->draft;
    int r = api_find_group(sql, work->group, group_id);
    if (r == 0)
        r = api_find_policy(sql, work->policy, policy_id);
    if (r < 0)
        return r;
    draft.group_id = group_id[0] ? group_id : NULL;
    draft.policy_id = policy_id[0] ? policy_id : NULL;
    r = is_new ? rule_create(sql, &draft, work->made_id) : rule_change(sql, work->id, &draft);
    if (r == 0)
        r = api_audit(sql, work->request, is_new ? "rule_created" : "rule_changed", draft.name, "");
    return r;
}

/* Rules place computers into groups: only who is limited to none may change them. */
static bool may_change_rules(struct http_request *request)
{
    return api_sees_all(request, "change activation rules");
}

static bool is_tag(const char *text)
{
    return api_is_name(text) && strlen(text) <= 64;
}

/* The conditions as JSON text, freed by the caller; NULL when the reader failed. */
static char *read_conditions(struct wire_reader *reader)
{
    json_t *object = wire_read_object(reader, "when", true);
    if (reader->error)
        return NULL;
    if (!object)
        return strdup("{}");
    struct wire_reader inner = wire_reader_of(object, reader->problem);
    wire_only(&inner, RULE_CONDITIONS);
    for (size_t i = 0; RULE_CONDITIONS[i] && !inner.error; i++) {
        const json_t *list = wire_read_array(&inner, RULE_CONDITIONS[i], 32, true);
        size_t at;
        const json_t *entry;
        json_array_foreach(list, at, entry)
        {
            if (!json_is_string(entry) ||
                !rule_entry_is_valid(RULE_CONDITIONS[i], json_string_value(entry)))
                wire_fail(&inner, "when.%s: entry %zu can match nothing", RULE_CONDITIONS[i],
                          at + 1);
        }
    }
    reader->error = inner.error;
    return reader->error ? NULL : json_dumps(object, JSON_COMPACT);
}

static void respond_rule(struct http_request *request, struct api_service *service,
                         struct rule_work *work)
{
    bool is_new = work->id[0] == '\0';
    int r = console_store_write(service->store, write_rule, work);
    if (r == -EXFULL)
        http_respond_problem(request, 409, "too_many", "there are %d rules already: delete some",
                             LIMIT_ACTIVATION_RULES);
    else if (r < 0)
        api_respond_error(request, r);
    else if (is_new)
        api_respond_text(request, 201, "id", work->made_id);
    else
        http_respond(request, 204, NULL, NULL, 0);
}

static void put_rule(struct http_request *request, struct api_service *service, const char *id)
{
    static const char *const names[] = {"name",   "position", "when", "group",
                                        "policy", "tags",     NULL};
    json_t *body = may_change_rules(request) ? api_body(request, names) : NULL;
    if (!body)
        return;
    struct wire_problem problem;
    struct wire_reader reader = wire_reader_of(body, &problem);
    struct rule_work work = {.request = request};
    (void)text_copy(work.id, sizeof(work.id), id);
    work.draft.name = wire_read_text(&reader, "name", 1, 128, NULL);
    work.draft.created_by = api_viewer(request)->actor;
    uint64_t position = wire_read_number(&reader, "position", true);
    work.group = wire_read_text(&reader, "group", 0, 128, "");
    work.policy = wire_read_text(&reader, "policy", 0, 128, "");
    AUTO_FREE char *tags = api_read_list(&reader, "tags", is_tag, "texts of 1 to 64 bytes");
    AUTO_FREE char *conditions = read_conditions(&reader);
    if (!reader.error && !api_is_name(work.draft.name))
        wire_fail(&reader, "name must be printable, without blanks around it");
    if (!reader.error && position > 1000000)
        wire_fail(&reader, "position must be 1 to 1000000");
    if (!reader.error && tags && strlen(tags) >= 1024)
        wire_fail(&reader, "tags are too long together");
    work.draft.position = (int64_t)position;
    work.draft.tags = tags ? tags : "[]";
    work.draft.conditions = conditions;
    if (!api_refused(request, &reader))
        respond_rule(request, service, &work);
    json_decref(body);
}

void api_rule_create(struct http_request *request, void *user)
{
    put_rule(request, user, "");
}

void api_rule_change(struct http_request *request, void *user)
{
    const char *id = http_request_segment(request, 0);
    if (wire_is_uuid(id))
        put_rule(request, user, id);
    else
        api_respond_error(request, -ENOENT);
}

static int delete_rule(struct sql *sql, void *user)
{
    struct http_request *request = user;
    char name[129];
    int r = rule_delete(sql, http_request_segment(request, 0), name);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return api_audit(sql, request, "rule_deleted", name, "");
}

void api_rule_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    if (!may_change_rules(request))
        return;
    int r = console_store_write(service->store, delete_rule, request);
    api_respond_done(request, r);
}
