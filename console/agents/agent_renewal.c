/* Owns renewal: same computer, new key and certificate; the old one serves until the new is used.
 */
#include "common/crypto/csr.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/store/console_store.h"

#include <errno.h>

struct renewal {
    struct agent_service *service;
    struct http_request *request;
    char certificate[65], new_certificate[65];
    char *pem;
    int64_t expires_ms;
    int64_t number;
};

static void release_renewal(void *context)
{
    struct renewal *renewal = context;
    free(renewal->pem);
    free(renewal);
}

static int renew_work(struct sql *sql, void *user)
{
    const struct renewal *renewal = user;
    return sql_run(sql,
                   "UPDATE computers SET next_certificate = $1, certificate_expires_ms = $2"
                   " WHERE number = $3",
                   NULL, "tnn", renewal->new_certificate, renewal->expires_ms, renewal->number);
}

static void renewed(void *user, int result)
{
    const struct renewal *renewal = user;
    if (result < 0) {
        agent_respond_failure(renewal->request, result);
        return;
    }
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    (void)wire_renewal_encode(renewal->pem, renewal->service->identity->authority_pem, &body);
    http_respond_buffer(renewal->request, 200, "application/json", &body);
}

void agent_renew(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct agent_row row;
    if (!agent_find(request, service, digest, &row))
        return;
    size_t length;
    const char *body = http_request_body(request, &length);
    json_t *root = NULL;
    const char *csr = NULL;
    struct wire_problem problem;
    if (wire_text_decode(body, length, "csr", CSR_PEM_MAXIMUM, &root, &csr, &problem) < 0) {
        http_respond_problem(request, 400, "bad_renewal", "%s", problem.text);
        return;
    }
    struct renewal *renewal = calloc(1, sizeof(*renewal));
    int r = renewal ? 0 : -ENOMEM;
    if (r == 0) {
        renewal->service = service;
        renewal->request = request;
        renewal->number = row.number;
        http_request_set_context(request, renewal, release_renewal);
        r = agent_certificate_issue(service, csr, row.id, &renewal->pem, renewal->new_certificate,
                                    &renewal->expires_ms);
    }
    json_decref(root);
    if (r < 0) {
        http_respond_problem(request, 400, "bad_csr",
                             "csr must be a PEM request for an EC P-256 key, signed with it");
        return;
    }
    http_request_hold(request);
    r = console_store_submit(service->store, renew_work, renewed, renewal);
    if (r < 0)
        agent_respond_failure(request, r);
}
