/* Owns the diagnostics that a command asked a computer for: one bundle a computer, the newest. Must
 * not look into it. It is kept as text, the only bytes that every database takes. */
#include "common/crypto/base64.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/store/console_store.h"

#include <errno.h>

struct upload {
    struct http_request *request;
    int64_t computer;
    const char *command_id;
    char *bundle;
};

static void release(void *context)
{
    struct upload *upload = context;
    free(upload->bundle);
    free(upload);
}

static int keep_bundle(struct sql *sql, void *user)
{
    const struct upload *upload = user;
    AUTO_STATEMENT struct sql_statement *kept = NULL;
    int r = sql_run(sql,
                    "UPDATE commands SET bundle = $1 WHERE id = $2 AND computer = $3"
                    " AND type = 'diagnostics' AND state NOT IN ('done', 'failed')",
                    &kept, "ttn", upload->bundle, upload->command_id, upload->computer);
    if (r == 0 && sql_changes(kept) == 0)
        r = -ENOENT;
    if (r == 0)
        r = sql_run(sql,
                    "UPDATE commands SET bundle = NULL WHERE computer = $1 AND id <> $2"
                    " AND bundle IS NOT NULL",
                    NULL, "nt", upload->computer, upload->command_id);
    return r;
}

static void kept(void *user, int result)
{
    const struct upload *upload = user;
    if (result == -ENOENT)
        http_respond_problem(upload->request, 404, "unknown_command",
                             "this computer owes no diagnostics to a command of this id");
    else if (result < 0)
        agent_respond_failure(upload->request, result);
    else
        http_respond(upload->request, 204, NULL, NULL, 0);
}

void agent_bundle(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    struct agent_row row;
    char digest[65];
    size_t length;
    if (!agent_certificate(request, digest) || !agent_find(request, service, digest, &row))
        return;
    const char *body = http_request_body(request, &length);
    if (length == 0) {
        http_respond_problem(request, 400, "bad_bundle", "the bundle is empty");
        return;
    }
    struct upload *upload = calloc(1, sizeof(*upload));
    if (upload)
        upload->bundle = malloc(BASE64_TEXT_BYTES(length));
    if (!upload || !upload->bundle) {
        free(upload);
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    base64_encode(upload->bundle, body, length);
    upload->request = request;
    upload->computer = row.number;
    upload->command_id = http_request_segment(request, 0);
    http_request_set_context(request, upload, release);
    http_request_hold(request);
    int r = console_store_submit(service->store, keep_bundle, kept, upload);
    if (r < 0)
        agent_respond_failure(request, r);
}
