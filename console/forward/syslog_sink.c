/* Owns syslog: RFC 5424 messages over TLS with octet counting (RFC 5425). The protocol has no
 * acknowledgement: a batch counts as sent when the peer's TCP has all of it and has not closed. */
#include "common/buffers/buffer.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/forward/address_guard.h"
#include "console/forward/sink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECT_NS    (5 * NS_PER_SECOND)
#define SEND_NS       (8 * NS_PER_SECOND)
#define SETTLE_MS     5
#define FACILITY      16 /* local0 */
#define BATCH_MAXIMUM (8 * 1024 * 1024)

struct syslog {
    struct sink sink;
    SSL_CTX *context;
    SSL *tls; /* NULL: not connected */
    int fd;
    char host[256];
    uint16_t port;
};

/* --- TLS */

static int add_authorities(SSL_CTX *context, const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    int added = 0;
    for (X509 *authority; bio && (authority = PEM_read_bio_X509(bio, NULL, NULL, NULL));) {
        added += X509_STORE_add_cert(store, authority);
        X509_free(authority);
    }
    BIO_free(bio);
    ERR_clear_error(); /* the end of the text */
    return added > 0 ? 0 : -EBADMSG;
}

static int use_certificate(SSL_CTX *context, const char *certificate_pem, const char *key_pem)
{
    BIO *certificate_bio = BIO_new_mem_buf(certificate_pem, -1);
    BIO *key_bio = BIO_new_mem_buf(key_pem, -1);
    X509 *certificate =
        certificate_bio ? PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, NULL) : NULL;
    bool good = certificate && key && SSL_CTX_use_certificate(context, certificate) == 1 &&
                SSL_CTX_use_PrivateKey(context, key) == 1 &&
                SSL_CTX_check_private_key(context) == 1;
    for (X509 *next; good && (next = PEM_read_bio_X509(certificate_bio, NULL, NULL, NULL));)
        if (SSL_CTX_add0_chain_cert(context, next) != 1)
            X509_free(next);
    X509_free(certificate);
    EVP_PKEY_free(key);
    BIO_free(certificate_bio);
    BIO_free(key_bio);
    ERR_clear_error();
    return good ? 0 : -EBADMSG;
}

static int make_context(const struct destination *destination, SSL_CTX **ret_context,
                        char problem[static SINK_PROBLEM_BYTES])
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return -ENOMEM;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    int r = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 ? 0 : -EIO;
    if (r == 0 && destination->authority) {
        r = add_authorities(context, destination->authority);
        (void)text_copy(problem, SINK_PROBLEM_BYTES, r < 0 ? "authority cannot be read" : "");
    } else if (r == 0) {
        r = SSL_CTX_set_default_verify_paths(context) == 1 ? 0 : -EIO;
    }
    if (r == 0 && destination->certificate) {
        r = use_certificate(context, destination->certificate, destination->key);
        (void)text_copy(problem, SINK_PROBLEM_BYTES,
                        r < 0 ? "certificate and key cannot be read, or do not fit" : "");
    }
    if (r < 0)
        SSL_CTX_free(context);
    else
        *ret_context = context;
    return r;
}

static void disconnect(struct syslog *syslog)
{
    if (syslog->tls)
        (void)SSL_shutdown(syslog->tls);
    SSL_free(syslog->tls);
    syslog->tls = NULL;
    if (syslog->fd >= 0)
        (void)close(syslog->fd);
    syslog->fd = -1;
}

static void close_syslog(struct sink *sink)
{
    struct syslog *syslog = (struct syslog *)sink;
    disconnect(syslog);
    SSL_CTX_free(syslog->context);
    free(syslog);
}

static int open_syslog(const struct destination *destination, struct sink **ret_sink,
                       char problem[static SINK_PROBLEM_BYTES])
{
    struct syslog *syslog = calloc(1, sizeof(*syslog));
    if (!syslog)
        return -ENOMEM;
    syslog->fd = -1;
    syslog->port = destination->port;
    (void)text_copy(syslog->host, sizeof(syslog->host), destination->host);
    int r = make_context(destination, &syslog->context, problem);
    if (r < 0) {
        free(syslog);
        return r;
    }
    *ret_sink = &syslog->sink;
    return 0;
}

/* --- connecting */

static int wait_for(int fd, short events, uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();
    if (now >= deadline_ns)
        return -ETIMEDOUT;
    struct pollfd poller = {.fd = fd, .events = events};
    int ready = poll(&poller, 1, (int)((deadline_ns - now) / NS_PER_MS) + 1);
    if (ready < 0)
        return errno == EINTR ? 0 : -errno;
    return ready == 0 ? -ETIMEDOUT : 0;
}

static int connect_to(const struct addrinfo *address, int *ret_fd)
{
    uint64_t deadline = clock_monotonic_ns() + CONNECT_NS;
    if (!address_is_allowed(address->ai_addr))
        return -EACCES;
    AUTO_CLOSE int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) < 0) {
        if (errno != EINPROGRESS)
            return -errno;
        int r = wait_for(fd, POLLOUT, deadline);
        if (r < 0)
            return r;
        int error = 0;
        socklen_t length = sizeof(error);
        if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
            return -errno;
        if (error)
            return -error;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

static int connect_host(struct syslog *syslog)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[8];
    (void)text_format(port, sizeof(port), "%u", syslog->port);
    if (getaddrinfo(syslog->host, port, &hints, &found) != 0)
        return -EHOSTUNREACH;
    int r = -EHOSTUNREACH;
    for (const struct addrinfo *at = found; at && r < 0; at = at->ai_next)
        r = connect_to(at, &syslog->fd);
    freeaddrinfo(found);
    return r;
}

/* What a call on the connection came to: 1 to repeat it, 0 done, or an error. */
static int settle(struct syslog *syslog, int result, uint64_t deadline)
{
    int r;
    if (result > 0)
        return 0;
    switch (SSL_get_error(syslog->tls, result)) {
    case SSL_ERROR_WANT_READ:
        r = wait_for(syslog->fd, POLLIN, deadline);
        return r < 0 ? r : 1;
    case SSL_ERROR_WANT_WRITE:
        r = wait_for(syslog->fd, POLLOUT, deadline);
        return r < 0 ? r : 1;
    case SSL_ERROR_SSL:
        return SSL_get_verify_result(syslog->tls) != X509_V_OK ? -EKEYREJECTED : -EPROTO;
    default:
        return -ECONNRESET;
    }
}

static int name_peer(struct syslog *syslog)
{
    struct in6_addr address;
    bool numeric = inet_pton(AF_INET, syslog->host, &address) == 1 ||
                   inet_pton(AF_INET6, syslog->host, &address) == 1;
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(syslog->tls), syslog->host);
    return SSL_set1_host(syslog->tls, syslog->host) == 1 &&
           SSL_set_tlsext_host_name(syslog->tls, syslog->host) == 1;
}

static int connect_syslog(struct syslog *syslog)
{
    uint64_t deadline = clock_monotonic_ns() + SEND_NS;
    int r = connect_host(syslog);
    if (r < 0)
        return r;
    ERR_clear_error();
    syslog->tls = SSL_new(syslog->context);
    if (!syslog->tls || SSL_set_fd(syslog->tls, syslog->fd) != 1 || name_peer(syslog) != 1)
        return -ENOMEM;
    do
        r = settle(syslog, SSL_connect(syslog->tls), deadline);
    while (r == 1);
    return r;
}

/* --- sending */

static unsigned syslog_severity(unsigned severity)
{
    static const unsigned levels[] = {6, 5, 4, 3, 2}; /* info .. critical */
    return severity < ARRAY_LENGTH(levels) ? levels[severity] : 6;
}

/* PRINTUSASCII without blanks, bounded; "-" for none. */
static void append_word(struct buffer *line, const char *word, size_t maximum)
{
    char text[256];
    size_t length = 0;
    for (; length < maximum && length < sizeof(text) - 1 && word[length]; length++)
        text[length] = word[length] > ' ' && word[length] < 0x7f ? word[length] : '?';
    text[length] = '\0';
    (void)buffer_append_text(line, length ? text : "-");
}

static int append_message(struct buffer *batch, const struct sink_event *event)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(BATCH_MAXIMUM);
    char time[CLOCK_TEXT_BYTES];
    clock_format(time, (uint64_t)event->time_ms * NS_PER_MS);
    (void)buffer_append_format(&line, "<%u>1 %s ", FACILITY * 8 + syslog_severity(event->severity),
                               time);
    append_word(&line, event->hostname, 255);
    (void)buffer_append_text(&line, " yagura - ");
    append_word(&line, event->kind, 32);
    (void)buffer_append_format(&line, " - %s", event->json);
    int r = buffer_failed(&line);
    if (r == 0)
        r = buffer_append_format(batch, "%zu ", line.length);
    return r < 0 ? r : buffer_append(batch, line.data, line.length);
}

/* Reads away what the peer says (it has nothing to say but the end). */
static int check_peer(struct syslog *syslog)
{
    char ignored[512];
    int length;
    ERR_clear_error();
    while ((length = SSL_read(syslog->tls, ignored, sizeof(ignored))) > 0)
        ;
    return SSL_get_error(syslog->tls, length) == SSL_ERROR_WANT_READ ? 0 : -ECONNRESET;
}

static int wait_until_taken(struct syslog *syslog, uint64_t deadline)
{
    for (;;) {
        int unacknowledged = 0;
        int r = check_peer(syslog);
        if (r < 0)
            return r;
        if (ioctl(syslog->fd, SIOCOUTQ, &unacknowledged) < 0)
            return -errno;
        if (unacknowledged == 0)
            return 0;
        if (clock_monotonic_ns() >= deadline)
            return -ETIMEDOUT;
        struct pollfd poller = {.fd = syslog->fd, .events = POLLRDHUP};
        (void)poll(&poller, 1, SETTLE_MS);
    }
}

static int write_batch(struct syslog *syslog, const struct buffer *batch)
{
    uint64_t deadline = clock_monotonic_ns() + SEND_NS;
    for (size_t sent = 0; sent < batch->length;) {
        ERR_clear_error();
        size_t length = 0;
        int written = SSL_write_ex(syslog->tls, batch->data + sent, batch->length - sent, &length);
        int r = settle(syslog, written, deadline);
        if (r < 0)
            return r;
        sent += written == 1 ? length : 0;
    }
    return wait_until_taken(syslog, deadline);
}

static const char *describe(int error)
{
    switch (error) {
    case -EKEYREJECTED:
        return "its certificate is not trusted, or not for this host";
    case -EACCES:
        return "its address may not be sent to (link-local, multicast, metadata)";
    case -EPROTO:
        return "it does not speak TLS with us; perhaps it wants a client certificate";
    case -EHOSTUNREACH:
        return "the host is not found";
    default:
        return strerrordesc_np(-error);
    }
}

static void send_syslog(struct sink *sink, const struct sink_event *events, size_t count,
                        struct sink_outcome *outcome)
{
    struct syslog *syslog = (struct syslog *)sink;
    AUTO_BUFFER struct buffer batch = BUFFER_WITH_MAXIMUM(BATCH_MAXIMUM);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = append_message(&batch, &events[i]);
    if (r == 0 && syslog->tls && check_peer(syslog) < 0)
        disconnect(syslog);
    if (r == 0 && !syslog->tls)
        r = connect_syslog(syslog);
    if (r == 0)
        r = write_batch(syslog, &batch);
    if (r < 0) {
        disconnect(syslog);
        outcome->error = r == -EBADMSG ? -EIO : r;
        (void)text_format(outcome->problem, sizeof(outcome->problem), "%s", describe(r));
        return;
    }
    outcome->sent = count;
}

const struct sink_kind SYSLOG_SINK = {open_syslog, send_syslog, close_syslog};
