/* A load of agents: speaks the real protocol over mutual TLS, by common/wire, one thread a
 * connection. Activates its own agents with a token.
 *
 *     heartbeat_load PORT AUTHORITY TOKEN CONNECTIONS SECONDS PATH EVENTS
 *
 * PATH is /agent/v1/heartbeat, or /health for the bare cost of a request. Prints one line:
 * requests a second, errors, and latencies in ms at 50, 99 and 100 %. */
#include "common/attributes.h"
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"
#include "common/crypto/random.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

#define ANSWER_BYTES        65536
#define LATENCIES_KEPT      2000000
#define CONNECTIONS_MAXIMUM 512

struct load {
    uint16_t port;
    const char *authority, *token, *path;
    uint64_t seconds, events;
    atomic_bool go, stop;
    atomic_uint_fast64_t requests, errors, latency_count;
    uint32_t *latencies; /* us */
};

struct agent {
    struct load *load;
    pthread_t thread;
    SSL_CTX *context;
    SSL *tls;
    int fd;
    uint64_t number;
    char session[UUID_TEXT_BYTES], epoch[UUID_TEXT_BYTES], machine[UUID_TEXT_BYTES];
};

static _Noreturn void fail(const char *what)
{
    (void)fprintf(stderr, "heartbeat_load: %s\n", what);
    exit(1);
}

static bool connect_agent(struct agent *agent)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(agent->load->port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int on = 1;
    agent->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (agent->fd < 0 || connect(agent->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    (void)setsockopt(agent->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    agent->tls = SSL_new(agent->context);
    return agent->tls && SSL_set_fd(agent->tls, agent->fd) == 1 && SSL_connect(agent->tls) == 1;
}

static void disconnect_agent(struct agent *agent)
{
    SSL_free(agent->tls);
    (void)close(agent->fd);
    agent->tls = NULL;
}

/* The status and the body of one answer; 0 when the connection broke. */
static unsigned read_answer(SSL *tls, char *answer, const char **ret_body)
{
    size_t filled = 0;
    for (;;) {
        int got = SSL_read(tls, answer + filled, (int)(ANSWER_BYTES - 1 - filled));
        if (got <= 0)
            return 0;
        filled += (size_t)got;
        answer[filled] = '\0';
        char *end = strstr(answer, "\r\n\r\n");
        char *length = strcasestr(answer, "\r\nContent-Length: ");
        if (!end || !length)
            continue;
        size_t wanted = strtoul(length + strlen("\r\nContent-Length: "), NULL, 10);
        if (filled < (size_t)(end - answer) + 4 + wanted)
            continue;
        *ret_body = end + 4;
        return (unsigned)strtoul(answer + strlen("HTTP/1.1 "), NULL, 10);
    }
}

static unsigned request(struct agent *agent, const char *path, const struct buffer *body,
                        char *answer, const char **ret_body)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(1 << 20);
    if (body->length > 0)
        (void)buffer_append_format(&text,
                                   "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                   "application/json\r\nContent-Length: %zu\r\n\r\n",
                                   path, body->length);
    else
        (void)buffer_append_format(&text, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);
    (void)buffer_append(&text, body->data ? body->data : "", body->length);
    if (buffer_failed(&text) < 0 || SSL_write(agent->tls, text.data, (int)text.length) <= 0)
        return 0;
    return read_answer(agent->tls, answer, ret_body);
}

static struct wire_host host_of(const struct agent *agent)
{
    return (struct wire_host){.hostname = "load",
                              .machine_id = agent->machine,
                              .boot_id = "boot",
                              .os = "Linux",
                              .agent_version = "0.1.0",
                              .instance_id = "",
                              .display_name = ""};
}

static void activate(struct agent *agent, char *answer)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    AUTO_FREE char *csr = NULL;
    if (key_new_p256(&key) < 0 || csr_new(key, &csr) < 0 || uuid_new(agent->session) < 0 ||
        uuid_new(agent->epoch) < 0 || uuid_new(agent->machine) < 0 || !connect_agent(agent))
        fail("cannot connect");
    struct wire_activation_request wire = {.token = agent->load->token,
                                           .csr = csr,
                                           .tenant_id = "",
                                           .policy = "",
                                           .group = "",
                                           .session = agent->session,
                                           .host = host_of(agent)};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    const char *text = NULL;
    (void)wire_activation_request_encode(&wire, &body);
    if (request(agent, "/agent/v1/activate", &body, answer, &text) != 201)
        fail("activation was refused");
    struct wire_activation_reply reply;
    struct wire_problem problem;
    if (wire_activation_reply_decode(text, strlen(text), &reply, &problem) < 0)
        fail(problem.text);
    BIO *pem = BIO_new_mem_buf(reply.certificate, -1);
    X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    if (!certificate || SSL_CTX_use_certificate(agent->context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(agent->context, key) != 1)
        fail("the certificate does not fit");
    X509_free(certificate);
    BIO_free(pem);
    wire_activation_reply_done(&reply);
    disconnect_agent(agent);
}

static void encode_heartbeat(struct agent *agent, struct buffer *body)
{
    struct wire_event events[16];
    char id[UUID_TEXT_BYTES];
    if (uuid_new(id) < 0)
        fail("no randomness");
    for (size_t i = 0; i < agent->load->events; i++)
        events[i] = (struct wire_event){.number = agent->number + i + 1,
                                        .time_ms = clock_realtime_ns() / NS_PER_MS,
                                        .severity = 4,
                                        .id = id,
                                        .module = "malware",
                                        .kind = "malware_found",
                                        .subject = "/srv/www/upload/invoice.pdf",
                                        .detail = "{\"signature\":\"Eicar-Test\",\"size\":68}"};
    struct wire_heartbeat heartbeat = {.host = host_of(agent),
                                       .session = agent->session,
                                       .policy_digest = "",
                                       .policy_problem = "",
                                       .epoch = agent->epoch,
                                       .facts = "{}",
                                       .events = events,
                                       .event_count = agent->load->events};
    buffer_clear(body);
    (void)wire_heartbeat_encode(&heartbeat, body);
}

static void note_latency(struct load *load, uint64_t since_ns)
{
    uint64_t at = atomic_fetch_add(&load->latency_count, 1);
    if (at < LATENCIES_KEPT)
        load->latencies[at] = (uint32_t)((clock_monotonic_ns() - since_ns) / NS_PER_US);
}

static void *run_agent(void *user)
{
    struct agent *agent = user;
    struct load *load = agent->load;
    char *answer = malloc(ANSWER_BYTES);
    struct buffer body = BUFFER_WITH_MAXIMUM(1 << 20);
    const char *text;
    if (!answer || !connect_agent(agent))
        fail("cannot connect");
    bool heartbeat = text_equal(load->path, "/agent/v1/heartbeat");
    while (!atomic_load(&load->go))
        (void)sched_yield();
    while (!atomic_load(&load->stop)) {
        if (heartbeat)
            encode_heartbeat(agent, &body);
        uint64_t begun = clock_monotonic_ns();
        unsigned status = request(agent, load->path, &body, answer, &text);
        if (status != 200) {
            atomic_fetch_add(&load->errors, 1);
            disconnect_agent(agent);
            if (!connect_agent(agent))
                fail("cannot connect again");
            continue;
        }
        agent->number += load->events;
        atomic_fetch_add(&load->requests, 1);
        note_latency(load, begun);
    }
    disconnect_agent(agent);
    buffer_done(&body);
    free(answer);
    return NULL;
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static void print(struct load *load, double seconds)
{
    size_t count = MIN(atomic_load(&load->latency_count), LATENCIES_KEPT);
    if (count == 0)
        fail("no request was answered");
    qsort(load->latencies, count, sizeof(*load->latencies), compare);
    uint32_t median = load->latencies[count / 2];
    uint32_t late = load->latencies[count * 99 / 100];
    (void)printf("%.0f %llu %.2f %.2f %.2f\n", (double)atomic_load(&load->requests) / seconds,
                 (unsigned long long)atomic_load(&load->errors), median / 1000.0, late / 1000.0,
                 load->latencies[count - 1] / 1000.0);
}

int main(int argc, char **argv)
{
    static struct load load;
    static struct agent agents[CONNECTIONS_MAXIMUM];
    uint64_t port, connections;
    if (argc != 8 || text_parse_u64(argv[1], &port) < 0 || port > 65535 ||
        text_parse_u64(argv[4], &connections) < 0 || connections > CONNECTIONS_MAXIMUM ||
        text_parse_u64(argv[5], &load.seconds) < 0 || text_parse_u64(argv[7], &load.events) < 0 ||
        load.events > 16)
        fail("usage: PORT AUTHORITY TOKEN CONNECTIONS SECONDS PATH EVENTS");
    load.port = (uint16_t)port;
    load.authority = argv[2];
    load.token = argv[3];
    load.path = argv[6];
    load.latencies = calloc(LATENCIES_KEPT, sizeof(*load.latencies));
    char *answer = malloc(ANSWER_BYTES);
    for (uint64_t i = 0; i < connections; i++) {
        agents[i].load = &load;
        agents[i].context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(agents[i].context, SSL_VERIFY_PEER, NULL);
        if (SSL_CTX_load_verify_locations(agents[i].context, load.authority, NULL) != 1)
            fail("cannot read the authority");
        activate(&agents[i], answer);
        if (pthread_create(&agents[i].thread, NULL, run_agent, &agents[i]) != 0)
            fail("cannot start a thread");
    }
    uint64_t begun = clock_monotonic_ns();
    atomic_store(&load.go, true);
    (void)sleep((unsigned)load.seconds);
    atomic_store(&load.stop, true);
    for (uint64_t i = 0; i < connections; i++) {
        (void)pthread_join(agents[i].thread, NULL);
        SSL_CTX_free(agents[i].context);
    }
    print(&load, (double)(clock_monotonic_ns() - begun) / (double)NS_PER_SECOND);
    free(answer);
    free(load.latencies);
    return 0;
}
