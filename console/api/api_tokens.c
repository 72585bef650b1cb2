/* Owns activation tokens over the API. */
#include "common/text/text.h"
#include "console/agents/tokens.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define MOST_DAYS      3650
#define DEFAULT_DAYS   7
#define USES_UNLIMITED (-1)

static const struct list_column TOKEN_COLUMNS[] = {
    {"id", LIST_TEXT},      {"name", LIST_TEXT},        {"group", LIST_TEXT},
    {"policy", LIST_TEXT},  {"tags", LIST_JSON},        {"cidrs", LIST_JSON},
    {"expires", LIST_TIME}, {"uses_left", LIST_NUMBER}, {"uses", LIST_NUMBER},
    {"created", LIST_TIME}, {"created_by", LIST_TEXT},  {"revoked", LIST_TIME},
};

static int build_tokens(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT tokens.id, tokens.id, tokens.name, groups.name, policies.name,"
                     " tokens.tags, tokens.cidrs, tokens.expires_ms,"
                     " CASE WHEN tokens.uses_left < 0 THEN NULL ELSE tokens.uses_left END,"
                     " tokens.uses, tokens.created_ms, tokens.created_by, tokens.revoked_ms"
                     " FROM tokens LEFT JOIN groups ON groups.id = tokens.group_id"
                     " LEFT JOIN policies ON policies.id = tokens.policy_id"
                     " WHERE tokens.org_id = ");
    query_add_number(query, API_ORG);
    viewer_limit_groups(page->viewer, "tokens.group_id", &query->text);
    list_end_by_text_descending(page, query, "tokens.id");
    return 0;
}

static const struct list TOKENS = {.name = "tokens",
                                   .columns = TOKEN_COLUMNS,
                                   .column_count = ARRAY_LENGTH(TOKEN_COLUMNS),
                                   .cursor_is_text = true,
                                   .build = build_tokens};

void api_tokens(struct http_request *request, void *user)
{
    api_list(request, user, &TOKENS);
}

struct token_work {
    struct api_secret secret;
    struct token_draft draft;
};

static int create_token(struct sql *sql, void *user)
{
    struct token_work *work = user;
    struct api_secret *secret = &work->secret;
    int r = api_secret_place(sql, secret, &work->draft.group_id, &work->draft.policy_id);
    if (r == 0)
        r = token_create(sql, &work->draft, secret->id, secret->text);
    return r < 0 ? r : api_audit(sql, secret->request, "token_created", work->draft.name, "");
}

static bool is_tag(const char *text)
{
    return api_is_name(text) && strlen(text) <= 64;
}

void api_token_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"name",   "days", "uses",  "group",
                                        "policy", "tags", "cidrs", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct token_work work = {.secret = {.request = request}};
    struct api_secret *secret = &work.secret;
    api_secret_read(&form, DEFAULT_DAYS, MOST_DAYS, secret);
    uint64_t uses = wire_read_number(&form.reader, "uses", true);
    AUTO_FREE char *tags = api_read_list(&form.reader, "tags", is_tag, "texts of 1 to 64 bytes");
    AUTO_FREE char *cidrs =
        api_read_list(&form.reader, "cidrs", cidr_is_valid, "networks like 10.0.0.0/8");
    if (!form.reader.error && uses > INT32_MAX)
        wire_fail(&form.reader, "uses must be less than 2^31 (0: without limit)");
    work.draft = (struct token_draft){.name = secret->name,
                                      .created_by = api_viewer(request)->actor,
                                      .tags = tags ? tags : "[]",
                                      .cidrs = cidrs ? cidrs : "[]",
                                      .uses = uses == 0 ? USES_UNLIMITED : (int64_t)uses,
                                      .expires_ms = secret->expires_ms};
    if (!api_refused(request, &form.reader))
        api_secret_answer(secret, "token",
                          console_store_write(service->store, create_token, &work));
}

static int revoke_token(struct sql *sql, void *user)
{
    return api_secret_revoke(sql, user, "tokens", token_revoke, "token_revoked");
}

void api_token_revoke(struct http_request *request, void *user)
{
    struct api_service *service = user;
    api_respond_done(request, console_store_write(service->store, revoke_token, request));
}
