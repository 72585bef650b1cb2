/* Owns activation's request and answer: who gets a certificate. Who may have one is
 * activation_decision's, what is written activation_record's business. The certificate is signed in
 * the listener's thread, before the writer's transaction: it is worth nothing until its digest
 * stands in the computers table. */
#include "console/agents/activation_internal.h"

#include "common/crypto/csr.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

#define MOVE_LIFE_MS (3600LL * 1000)

static void release(void *context)
{
    struct activation *activation = context;
    wire_activation_request_done(&activation->wire);
    free(activation->certificate_pem);
    free(activation);
}

int agent_certificate_issue(struct agent_service *service, const char *csr, const char *agent_id,
                            char **ret_pem, char ret_digest[static 65], int64_t *ret_expires_ms)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int64_t from_s = 0, until_s = 0;
    int r = csr_read_key(csr, strlen(csr), &key);
    if (r == 0)
        r = certificate_issue_agent(&service->identity->authority, key, agent_id,
                                    console_store_now_ms() / 1000,
                                    (int64_t)service->certificate_seconds, &certificate);
    if (r == 0)
        r = certificate_digest(certificate, ret_digest);
    if (r == 0)
        r = certificate_validity(certificate, &from_s, &until_s);
    if (r == 0)
        r = certificate_to_pem(certificate, ret_pem);
    if (r == 0)
        *ret_expires_ms = until_s * 1000;
    return r;
}

/* --- the instance's identity */

static bool is_listed(char *const *list, const char *text)
{
    for (size_t i = 0; list[i]; i++)
        if (text_equal(list[i], text))
            return true;
    return list[0] == NULL;
}

/* 0, or -EACCES with the activation's reason. */
static int check_identity(struct activation *activation)
{
    const struct instance_rules *rules = &activation->service->instances;
    const struct wire_activation_request *wire = &activation->wire;
    if (!rules->certificates)
        return 0;
    if (!wire->identity_document[0]) {
        activation->reason = "identity_missing";
        return rules->required ? -EACCES : 0;
    }
    int r = instance_identity_verify(rules->certificates, wire->identity_document,
                                     wire->identity_signature, &activation->identity,
                                     &activation->reason);
    if (r < 0)
        return r;
    if (!is_listed(rules->accounts, activation->identity.account))
        activation->reason = "identity_account";
    else if (!is_listed(rules->regions, activation->identity.region))
        activation->reason = "identity_region";
    else if (!text_equal(wire->host.instance_id, activation->identity.instance_id))
        activation->reason = "identity_instance";
    return activation->reason ? -EACCES : 0;
}

/* --- work */

static int activate_work(struct sql *sql, void *user)
{
    struct activation *activation = user;
    int r = activation_decide(sql, activation);
    if (r == 0 && activation->way == ACTIVATION_TAKEN) {
        r = activation_record_taken(sql, activation);
        return r < 0 ? r : ACTIVATION_TAKEN;
    }
    /* The certificate is for another record: this changed meanwhile. */
    if (r == 0 && (activation->way == ACTIVATION_AGAIN) != activation->issued_again)
        r = -ESTALE;
    if (r == 0 && !text_equal(activation->issued_for, activation->agent_id))
        r = -ESTALE;
    if (r == 0)
        r = token_spend(sql, &activation->token);
    return r == 0 ? activation_record(sql, activation) : r;
}

static int decide_work(struct sql *sql, void *user)
{
    return activation_decide(sql, user);
}

/* --- answers */

static const char *words_of(const char *reason)
{
    static const struct {
        const char *reason, *words;
    } table[] = {
        {"identity_missing", "this console asks for the instance identity document of EC2; this"
                             " host sent none: is it on EC2, with the metadata service on?"},
        {"identity_format", "the instance identity document cannot be read"},
        {"identity_region", "instances of this region are not accepted here: pin its certificate"
                            " in instance_identity.certificates, and allow it"},
        {"identity_signature", "the instance identity document is not signed by AWS for its"
                               " region; are the pinned certificates current?"},
        {"identity_account", "instances of this AWS account are not accepted here: add it to"
                             " instance_identity.accounts"},
        {"identity_instance", "the instance identity document is another instance's"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        if (text_equal(table[i].reason, reason))
            return table[i].words;
    return NULL;
}

static void refuse(struct activation *activation, int error)
{
    struct http_request *request = activation->request;
    const char *reason = activation->reason ? activation->reason : "used_up";
    atomic_fetch_add(&activation->service->refused, 1);
    if (error == -EACCES && words_of(reason))
        http_respond_problem(request, 403, reason, "%s", words_of(reason));
    else if (error == -EACCES)
        http_respond_problem(request, 403, "token_refused",
                             "this activation token is not good here: %s", reason);
    else
        agent_respond_failure(request, error);
}

/* The agent's root process takes another name only on the console's signature. */
static int sign_move(const struct activation *activation, struct buffer *move)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(4096);
    int64_t now = console_store_now_ms();
    const struct wire_move wire = {.agent_id = activation->original_id,
                                   .successor_id = activation->agent_id,
                                   .issued_ms = (uint64_t)now,
                                   .expires_ms = (uint64_t)(now + MOVE_LIFE_MS)};
    int r = wire_move_encode(&wire, &document);
    return r < 0 ? r
                 : signing_key_sign(activation->service->identity->signing, buffer_text(&document),
                                    move);
}

static void respond(struct activation *activation)
{
    const struct agent_service *service = activation->service;
    AUTO_BUFFER struct buffer move = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    struct signing_key_facts signing;
    signing_key_facts(service->identity->signing, &signing);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    if (activation->way == ACTIVATION_CLONE && sign_move(activation, &move) < 0) {
        agent_respond_failure(activation->request, -ENOMEM);
        return;
    }
    struct wire_activation_reply reply = {.agent_id = activation->agent_id,
                                          .certificate = activation->certificate_pem,
                                          .authority = service->identity->authority_pem,
                                          .signing_key = signing.text,
                                          .tenant_id = service->tenant_id,
                                          .heartbeat_seconds = service->heartbeat_seconds,
                                          .move = move.length > 0 ? buffer_text(&move) : NULL};
    (void)wire_activation_reply_encode(&reply, &body); /* a failure shows in the buffer */
    http_respond_buffer(activation->request, 201, "application/json", &body);
}

static void activated(void *user, int result)
{
    struct activation *activation = user;
    if (result < 0) {
        refuse(activation, result);
    } else if (result == ACTIVATION_TAKEN) {
        atomic_fetch_add(&activation->service->refused, 1);
        http_respond_problem(activation->request, 409, "instance_taken",
                             "this EC2 instance is another computer already, which lives: try"
                             " again when it is offline, or deactivate it in the console");
    } else {
        atomic_fetch_add(&activation->service->activations, 1);
        respond(activation);
    }
}

/* --- the request */

/* A certificate of ours proves its key even when its time is over. */
static void read_old_certificate(struct activation *activation)
{
    enum http_certificate shown =
        http_request_certificate(activation->request, activation->old_certificate);
    activation->old_is_valid = shown == HTTP_CERTIFICATE_VALID;
    if (shown != HTTP_CERTIFICATE_VALID && shown != HTTP_CERTIFICATE_EXPIRED)
        activation->old_certificate[0] = '\0';
}

static int prepare(struct activation *activation)
{
    int r = check_identity(activation);
    if (r == 0)
        r = console_store_read(activation->service->store, decide_work, activation);
    if (r == 0 && activation->way != ACTIVATION_AGAIN)
        r = uuid_new(activation->agent_id);
    return r;
}

static void start(struct activation *activation)
{
    struct http_request *request = activation->request;
    int r = prepare(activation);
    if (r < 0) {
        refuse(activation, r);
        return;
    }
    activation->issued_again = activation->way == ACTIVATION_AGAIN;
    (void)text_copy(activation->issued_for, sizeof(activation->issued_for), activation->agent_id);
    r = agent_certificate_issue(activation->service, activation->wire.csr, activation->agent_id,
                                &activation->certificate_pem, activation->certificate,
                                &activation->certificate_expires_ms);
    if (r < 0) {
        http_respond_problem(request, 400, "bad_csr",
                             "csr must be a PEM request for an EC P-256 key, signed with it");
        return;
    }
    http_request_hold(request);
    r = console_store_submit(activation->service->store, activate_work, activated, activation);
    if (r < 0)
        refuse(activation, r);
}

void agent_activate(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    if (agent_must_wait(request, &service->activation_bucket))
        return;
    struct activation *activation = calloc(1, sizeof(*activation));
    if (!activation) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    activation->service = service;
    activation->request = request;
    http_request_set_context(request, activation, release);
    size_t length;
    const char *body = http_request_body(request, &length);
    struct wire_problem problem;
    int r = wire_activation_request_decode(body, length, &activation->wire, &problem);
    if (r < 0) {
        http_respond_problem(request, 400, "bad_activation", "%s", problem.text);
        return;
    }
    read_old_certificate(activation);
    start(activation);
}
