/* Owns what an agent says. Must not know when it says it. */
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"
#include "tests/bench/console/load.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACTIVATORS   8
#define ANSWER_BYTES 65536

static struct wire_host host_of(const struct agent *agent)
{
    return (struct wire_host){.hostname = "load",
                              .machine_id = agent->machine,
                              .boot_id = "boot",
                              .os = "Debian GNU/Linux 12 (bookworm)",
                              .agent_version = "0.1.0",
                              .instance_id = "",
                              .display_name = ""};
}

static void encode_wait(struct agent *agent)
{
    buffer_clear(&agent->message);
    (void)buffer_append_format(&agent->message,
                               "GET /agent/v1/wait?%s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                               agent->told);
    if (buffer_failed(&agent->message) < 0)
        load_fail("no memory");
}

void load_note_told(struct agent *waiter, const char *body)
{
    struct wire_heartbeat_reply reply;
    struct wire_problem problem;
    if (wire_heartbeat_reply_decode(body, strlen(body), &reply, &problem) < 0)
        load_fail(problem.text);
    (void)text_format(waiter->told, sizeof(waiter->told), "policy=%s&signatures=%s&group=%s",
                      reply.policy_digest, reply.signatures_digest,
                      reply.group_id ? reply.group_id : "");
    wire_heartbeat_reply_done(&reply);
}

void load_encode(struct agent *agent)
{
    if (agent->waits) {
        encode_wait(agent);
        return;
    }
    struct fleet *fleet = agent->fleet;
    struct wire_event events[16];
    char ids[16][UUID_TEXT_BYTES];
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1 << 20);
    for (size_t i = 0; i < fleet->events; i++) {
        if (uuid_new(ids[i]) < 0)
            load_fail("no randomness");
        events[i] = (struct wire_event){.number = agent->number + i + 1,
                                        .time_ms = clock_realtime_ns() / NS_PER_MS,
                                        .severity = 4,
                                        .id = ids[i],
                                        .module = "malware",
                                        .kind = "malware_found",
                                        .subject = "/srv/www/upload/invoice.pdf",
                                        .detail = "{\"signature\":\"Eicar-Test\",\"size\":68}"};
    }
    struct wire_heartbeat heartbeat = {.host = host_of(agent),
                                       .session = agent->session,
                                       .policy_digest = "",
                                       .policy_problem = "",
                                       .epoch = agent->epoch,
                                       .facts = "{}",
                                       .events = events,
                                       .event_count = fleet->events};
    buffer_clear(&agent->message);
    if (!fleet->empty_get)
        (void)wire_heartbeat_encode(&heartbeat, &body);
    (void)buffer_append_format(&agent->message,
                               "%s %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               "application/json\r\n",
                               fleet->empty_get ? "GET" : "POST", fleet->path);
    if (!fleet->empty_get)
        (void)buffer_append_format(&agent->message, "Content-Length: %zu\r\n", body.length);
    (void)buffer_append_text(&agent->message, "\r\n");
    (void)buffer_append(&agent->message, buffer_text(&body), body.length);
    if (buffer_failed(&agent->message) < 0)
        load_fail("no memory");
}

bool load_acknowledged(const struct agent *agent, const char *body)
{
    const char *at = strstr(body, "\"number\":");
    return at &&
           strtoull(at + strlen("\"number\":"), NULL, 10) == agent->number + agent->fleet->events;
}

/* --- activation: blocking, by a few threads */

struct activators {
    struct fleet *fleet;
    atomic_size_t next;
    EVP_PKEY *key;
    char *csr;
};

static SSL *connect_plainly(struct fleet *fleet)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(fleet->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        load_fail("cannot connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    SSL *tls = SSL_new(fleet->context);
    if (!tls || SSL_set_fd(tls, fd) != 1 || SSL_connect(tls) != 1)
        load_fail("TLS failed");
    return tls;
}

/* The status; the body in text. */
static unsigned exchange(SSL *tls, const struct buffer *body, char *text)
{
    AUTO_BUFFER struct buffer message = BUFFER_WITH_MAXIMUM(1 << 20);
    (void)buffer_append_format(&message,
                               "POST /agent/v1/activate HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                               body->length);
    (void)buffer_append(&message, body->data, body->length);
    if (SSL_write(tls, buffer_text(&message), (int)message.length) <= 0)
        load_fail("cannot ask for activation");
    size_t filled = 0;
    for (;;) {
        int got = SSL_read(tls, text + filled, (int)(ANSWER_BYTES - 1 - filled));
        if (got <= 0)
            load_fail("no answer to an activation");
        filled += (size_t)got;
        text[filled] = '\0';
        const char *end = strstr(text, "\r\n\r\n");
        const char *length = strcasestr(text, "\r\nContent-Length: ");
        if (!end || !length)
            continue;
        size_t wanted = strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
        if (filled < (size_t)(end - text) + 4 + wanted)
            continue;
        unsigned status = (unsigned)strtoul(text + strlen("HTTP/1.1 "), NULL, 10);
        memmove(text, end + 4, wanted + 1);
        return status;
    }
}

static X509 *read_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

/* One connection for each: the console judges a connection's certificate once. */
static void activate_one(struct activators *activators, struct agent *agent, char *text)
{
    if (uuid_new(agent->session) < 0 || uuid_new(agent->epoch) < 0 || uuid_new(agent->machine) < 0)
        load_fail("no randomness");
    struct wire_activation_request wire = {.token = activators->fleet->token,
                                           .csr = activators->csr,
                                           .tenant_id = "",
                                           .policy = "",
                                           .group = "",
                                           .session = agent->session,
                                           .host = host_of(agent)};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    (void)wire_activation_request_encode(&wire, &body);
    SSL *tls = connect_plainly(activators->fleet);
    unsigned status = exchange(tls, &body, text);
    while (status == 429) { /* the console's own pace */
        (void)usleep(200000);
        status = exchange(tls, &body, text);
    }
    if (status != 201)
        load_fail(text);
    struct wire_activation_reply reply;
    struct wire_problem problem;
    if (wire_activation_reply_decode(text, strlen(text), &reply, &problem) < 0)
        load_fail(problem.text);
    agent->certificate = read_certificate(reply.certificate);
    if (agent->other)
        agent->other->certificate = agent->certificate;
    if (!agent->certificate)
        load_fail("the certificate cannot be read");
    wire_activation_reply_done(&reply);
    (void)close(SSL_get_fd(tls));
    SSL_free(tls);
}

static void *activate_some(void *user)
{
    struct activators *activators = user;
    AUTO_FREE char *text = malloc(ANSWER_BYTES);
    if (!text)
        load_fail("no memory");
    for (;;) {
        size_t i = atomic_fetch_add(&activators->next, 1);
        if (i >= activators->fleet->agent_count)
            return NULL;
        activate_one(activators, &activators->fleet->agents[i], text);
    }
}

/* All agents have one key, but certificates of their own: making keys is not what is measured. */
void load_activate(struct fleet *fleet)
{
    struct activators activators = {.fleet = fleet};
    if (key_new_p256(&activators.key) < 0 || csr_new(activators.key, &activators.csr) < 0)
        load_fail("cannot make a key");
    pthread_t threads[ACTIVATORS];
    for (size_t i = 0; i < ACTIVATORS; i++)
        if (pthread_create(&threads[i], NULL, activate_some, &activators) != 0)
            load_fail("cannot start a thread");
    for (size_t i = 0; i < ACTIVATORS; i++)
        (void)pthread_join(threads[i], NULL);
    free(activators.csr);
    /* Shown by every agent with its own certificate. */
    if (SSL_CTX_use_certificate(fleet->context, fleet->agents[0].certificate) != 1 ||
        SSL_CTX_use_PrivateKey(fleet->context, activators.key) != 1)
        load_fail("the certificate does not fit");
    EVP_PKEY_free(activators.key);
}
