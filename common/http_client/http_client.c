/* HTTPS by libcurl. Owns: the easy handle and whom to trust. Must not own: when to try again. */
#include "common/http_client/http_client.h"

#include "common/crypto/keys.h"
#include "common/http_client/trust_store.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>
#include <sys/select.h>
#include <sys/socket.h>

#define CONNECT_TIMEOUT_NS (15 * NS_PER_SECOND)
#define MOST_HEAD_BYTES    16384
#define BLIND_WAIT_MS      100
#define PIN_DIGITS         44 /* base64 of 32 bytes */

struct http_client {
    CURL *easy;
    CURLM *multi;            /* of exchanges that are polled for; NULL: there were none */
    struct pending *pending; /* one that has begun */
    bool (*allowed)(const struct sockaddr *address);
    char pin[KEY_PIN_BYTES];
    STACK_OF(X509) * authorities;
    X509 *certificate;
    EVP_PKEY *key;
    int verify_error; /* X509_V_ERR_* of the last handshake */
    bool pin_unmet;   /* then: nothing that was sent has the pinned key */
    bool (*cancel)(void *user);
    void *cancel_user;
    char curl_text[CURL_ERROR_SIZE];
};

static int read_certificate(const char *pem, X509 **ret_certificate)
{
    if (pem == NULL || pem[0] == '\0')
        return 0;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    *ret_certificate = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    BIO_free(bio);
    return *ret_certificate != NULL ? 0 : -EBADMSG;
}

/* All that the text holds, at least one. */
static int read_authorities(const char *pem, STACK_OF(X509) * *ret_authorities)
{
    X509 *certificate;

    if (pem == NULL || pem[0] == '\0')
        return 0;
    BIO *bio = BIO_new_mem_buf(pem, -1);
    *ret_authorities = sk_X509_new_null();
    while (bio != NULL && *ret_authorities != NULL &&
           (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL)
        if (sk_X509_push(*ret_authorities, certificate) == 0)
            X509_free(certificate);
    ERR_clear_error(); /* the end of the text is an error, too */
    BIO_free(bio);
    return sk_X509_num(*ret_authorities) > 0 ? 0 : -EBADMSG;
}

/* ---- whom to trust ---- */

static bool has_pin(X509 *certificate, const char *pin)
{
    char own_pin[KEY_PIN_BYTES];

    return key_pin(X509_get0_pubkey(certificate), own_pin) == 0 && text_equal(own_pin, pin);
}

/* The pinned CA among those the server sent becomes the only anchor. */
static int verify_pinned(X509_STORE_CTX *context, struct http_client *client)
{
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(context);
    STACK_OF(X509) *anchors = sk_X509_new_null();

    for (int i = 0; anchors != NULL && i < sk_X509_num(sent); i++) {
        X509 *certificate = sk_X509_value(sent, i);
        if (X509_check_ca(certificate) != 0 && has_pin(certificate, client->pin))
            (void)sk_X509_push(anchors, certificate);
    }
    client->pin_unmet = sk_X509_num(anchors) <= 0;
    X509_STORE_CTX_set0_trusted_stack(context, anchors);
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN);
    int good = X509_verify_cert(context);
    sk_X509_free(anchors);
    return good;
}

/* In OpenSSL's place, because curl takes some refusals for a broken connection. */
static int verify(X509_STORE_CTX *context, void *user)
{
    struct http_client *client = user;

    int good = client->pin[0] != '\0' ? verify_pinned(context, client) : X509_verify_cert(context);
    client->verify_error = good == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    return good;
}

/* curl has filled the context with its defaults; ours stand above them. */
static CURLcode set_trust(CURL *easy UNUSED, void *tls, void *user)
{
    struct http_client *client = user;
    SSL_CTX *context = tls;

    SSL_CTX_set_cert_verify_callback(context, verify, client);
    for (int i = 0; client->pin[0] == '\0' && i < sk_X509_num(client->authorities); i++)
        if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context),
                                sk_X509_value(client->authorities, i)) != 1)
            return CURLE_SSL_CERTPROBLEM;
    if (client->certificate != NULL &&
        (SSL_CTX_use_certificate(context, client->certificate) != 1 ||
         SSL_CTX_use_PrivateKey(context, client->key) != 1))
        return CURLE_SSL_CERTPROBLEM;
    return CURLE_OK;
}

static int read_trust(struct http_client *client, const struct http_trust *trust)
{
    if (trust->pin != NULL && trust->pin[0] != '\0') {
        if (!text_starts_with(trust->pin, "sha256//") ||
            strlen(trust->pin) != strlen("sha256//") + PIN_DIGITS ||
            text_copy(client->pin, sizeof client->pin, trust->pin) < 0)
            return -EBADMSG;
    }
    int r = read_authorities(trust->authority, &client->authorities);
    if (r == 0)
        r = read_certificate(trust->certificate, &client->certificate);
    if (r == 0 && client->certificate != NULL)
        r = trust->key != NULL ? key_from_pem(trust->key, strlen(trust->key), &client->key)
                               : -EBADMSG;
    return r;
}

/* ---- a client ---- */

static pthread_once_t started = PTHREAD_ONCE_INIT;
static CURLcode start_result;

static void start_curl(void)
{
    start_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void allow(CURL *easy, bool plain)
{
#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, plain ? "http,https" : "https");
#else
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS,
                           plain ? (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS) : CURLPROTO_HTTPS);
#endif
}

/* libcurl's own file where it is there, otherwise another distribution's. */
static void trust_system(CURL *easy)
{
    const char *own = curl_version_info(CURLVERSION_NOW)->cainfo;
    const char *found = trust_store_find(own, "");

    /* One that is not there would be an error of its own; nobody is trusted then. */
    if (found == NULL || own == NULL || !text_equal(found, own))
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, found);
}

static void set_options(struct http_client *client)
{
    CURL *easy = client->easy;

    allow(easy, false);
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "yagura/" YAGURA_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->curl_text);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, set_trust);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, client);
    if (client->pin[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    } else {
        trust_system(easy);
    }
}

int http_client_new(const struct http_trust *trust, struct http_client **ret_client)
{
    (void)pthread_once(&started, start_curl);
    if (start_result != CURLE_OK)
        return -ENOMEM;
    struct http_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return -ENOMEM;
    int r = read_trust(client, trust);
    if (r == 0) {
        client->easy = curl_easy_init();
        r = client->easy != NULL ? 0 : -ENOMEM;
    }
    if (r < 0) {
        (void)http_client_free(client);
        return r;
    }
    set_options(client);
    *ret_client = client;
    return 0;
}

/* Ends an exchange that has begun. */
static void give_up(struct http_client *client);

struct http_client *http_client_free(struct http_client *client)
{
    if (client == NULL)
        return NULL;
    give_up(client);
    curl_easy_cleanup(client->easy);
    (void)curl_multi_cleanup(client->multi);
    sk_X509_pop_free(client->authorities, X509_free);
    X509_free(client->certificate);
    EVP_PKEY_free(client->key);
    free(client);
    return NULL;
}

void http_client_allow_plain(struct http_client *client)
{
    allow(client->easy, true);
}

static curl_socket_t open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct http_client *client = user;

    if (purpose != CURLSOCKTYPE_IPCXN || !client->allowed(&address->addr))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void http_client_guard_addresses(struct http_client *client,
                                 bool (*allowed)(const struct sockaddr *address))
{
    client->allowed = allowed;
    (void)curl_easy_setopt(client->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    (void)curl_easy_setopt(client->easy, CURLOPT_OPENSOCKETDATA, client);
}

static int ask_cancel(void *user, curl_off_t a UNUSED, curl_off_t b UNUSED, curl_off_t c UNUSED,
                      curl_off_t d UNUSED)
{
    const struct http_client *client = user;

    return client->cancel(client->cancel_user) ? 1 : 0;
}

void http_client_set_cancel(struct http_client *client, bool (*asked)(void *user), void *user)
{
    client->cancel = asked;
    client->cancel_user = user;
    (void)curl_easy_setopt(client->easy, CURLOPT_XFERINFOFUNCTION, ask_cancel);
    (void)curl_easy_setopt(client->easy, CURLOPT_XFERINFODATA, client);
    (void)curl_easy_setopt(client->easy, CURLOPT_NOPROGRESS, asked != NULL ? 0L : 1L);
}

bool http_client_has_sent(const struct http_client *client)
{
    curl_off_t sending_us = 0;

    (void)curl_easy_getinfo(client->easy, CURLINFO_PRETRANSFER_TIME_T, &sending_us);
    return sending_us > 0;
}

int http_client_set_proxy(struct http_client *client, const char *proxy, const char *no_proxy)
{
    return curl_easy_setopt(client->easy, CURLOPT_PROXY, proxy) == CURLE_OK &&
                   curl_easy_setopt(client->easy, CURLOPT_NOPROXY, no_proxy) == CURLE_OK
               ? 0
               : -ENOMEM;
}

/* ---- an answer ---- */

/* One exchange, for curl's callbacks. */
struct exchange {
    struct http_client *client;
    const struct http_request *request;
    struct http_answer *answer;
    struct curl_slist *headers;
    bool begun;
    uint64_t sent;
    int error; /* of sink or source */
};

static bool for_the_sink(struct exchange *exchange)
{
    long status = 0;

    if (exchange->request->sink == NULL)
        return false;
    (void)curl_easy_getinfo(exchange->client->easy, CURLINFO_RESPONSE_CODE, &status);
    exchange->answer->status = status;
    return status >= 200 && status < 300;
}

/* Anything but the full size makes curl give up. */
static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;
    const struct http_sink *sink = exchange->request->sink;

    if (!for_the_sink(exchange))
        return buffer_append(&exchange->answer->body, bytes, size * count) == 0 ? size * count : 0;
    if (!exchange->begun)
        exchange->error = sink->begin(sink->user, exchange->answer);
    exchange->begun = true;
    if (exchange->error == 0)
        exchange->error = sink->write(sink->user, bytes, size * count);
    return exchange->error == 0 ? size * count : 0;
}

static size_t give_body(char *bytes, size_t size, size_t count, void *user)
{
    struct exchange *exchange = user;
    const struct http_source *source = exchange->request->source;
    uint64_t left = source->length - exchange->sent;

    ssize_t got = source->read(source->user, bytes, (size_t)MIN(left, (uint64_t)(size * count)));
    if (got < 0) {
        exchange->error = (int)got;
        return CURL_READFUNC_ABORT;
    }
    exchange->sent += (uint64_t)got;
    return (size_t)got;
}

/* An answer may follow a preliminary one: only the last one's lines are kept. */
static size_t take_header(char *line, size_t size, size_t count, void *user)
{
    static const char status[] = "HTTP/";
    struct http_answer *answer = ((struct exchange *)user)->answer;
    size_t length = size * count;

    if (length >= strlen(status) && memcmp(line, status, strlen(status)) == 0)
        buffer_clear(&answer->head);
    return buffer_append(&answer->head, line, length) == 0 ? length : 0;
}

/* The value of a line that is the header name, or NULL. */
static const char *value_of(const char *line, const char *name)
{
    size_t length = strlen(name);

    if (strncasecmp(line, name, length) != 0 || line[length] != ':')
        return NULL;
    line += length + 1;
    return line + strspn(line, " \t");
}

int http_answer_header(const struct http_answer *answer, const char *name, char *text, size_t size)
{
    const char *line = buffer_text(&answer->head);

    while (*line != '\0') {
        const char *value = value_of(line, name);
        if (value != NULL) {
            int r = text_format(text, size, "%.*s", (int)strcspn(value, "\r\n"), value);
            return r < 0 ? r : 0;
        }
        line += strcspn(line, "\n");
        line += *line == '\n';
    }
    return -ENOENT;
}

static uint64_t read_date(const char *text)
{
    time_t at = curl_getdate(text, NULL);

    return at > 0 ? (uint64_t)at : 0;
}

static void read_clocks(struct http_answer *answer)
{
    uint64_t now = clock_realtime_ns() / NS_PER_SECOND, seconds;
    char value[64];

    if (http_answer_header(answer, "Date", value, sizeof value) == 0)
        answer->date_s = read_date(value);
    if (http_answer_header(answer, "Retry-After", value, sizeof value) < 0)
        return;
    if (text_parse_u64(value, &seconds) == 0) {
        answer->retry_after_s = seconds;
        return;
    }
    uint64_t at = read_date(value);
    answer->retry_after_s = at > now ? at - now : 0;
}

void http_answer_done(struct http_answer *answer)
{
    if (answer->body.data != NULL)
        explicit_bzero(answer->body.data, answer->body.capacity); /* it may hold credentials */
    buffer_done(&answer->body);
    buffer_done(&answer->head);
}

/* ---- an exchange ---- */

static int errno_of(CURLcode code, const struct http_answer *answer)
{
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ISSUER_ERROR:
        return -EKEYREJECTED;
    case CURLE_WRITE_ERROR:
        return buffer_failed(&answer->body) == -EMSGSIZE ||
                       buffer_failed(&answer->head) == -EMSGSIZE
                   ? -EFBIG
                   : -ENOMEM;
    case CURLE_ABORTED_BY_CALLBACK:
        return -ECANCELED;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EPROTO;
    }
}

/* The list is freed when memory runs out. */
static int add_line(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = line != NULL ? curl_slist_append(*list, line) : NULL;

    if (longer == NULL)
        curl_slist_free_all(*list);
    *list = longer;
    return longer != NULL ? 0 : -ENOMEM;
}

static int add_header(struct curl_slist **list, const char *name, const char *value)
{
    if (strpbrk(name, "\r\n:") != NULL || strpbrk(value, "\r\n") != NULL) {
        curl_slist_free_all(*list);
        *list = NULL;
        return -EINVAL;
    }
    /* An empty value in curl's own notation: "Name:" would remove the header. */
    AUTO_FREE char *line =
        value[0] != '\0' ? text_format_new("%s: %s", name, value) : text_format_new("%s;", name);
    return add_line(list, line);
}

static bool has_body(const struct http_request *request)
{
    return text_equal(request->method, "POST") || text_equal(request->method, "PUT");
}

static int make_headers(const struct http_request *request, struct curl_slist **ret_list)
{
    const char *type = request->content_type;

    *ret_list = NULL;
    int r = add_line(ret_list, "Expect:"); /* none: it costs a round trip */
    if (type == NULL && has_body(request))
        type = "application/json";
    if (r == 0 && type != NULL)
        r = add_header(ret_list, "Content-Type", type);
    for (size_t i = 0; r == 0 && i < request->header_count; i++)
        r = add_header(ret_list, request->headers[i].name, request->headers[i].value);
    return r;
}

static void set_method(CURL *easy, const struct http_request *request)
{
    (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, NULL);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L); /* whatever the last one was */
    if (request->source != NULL) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS, NULL);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                               (curl_off_t)request->source->length);
    } else if (has_body(request)) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                               request->body != NULL ? request->body : "");
    } else if (text_equal(request->method, "HEAD")) {
        (void)curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (text_equal(request->method, "PUT") || text_equal(request->method, "DELETE"))
        (void)curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_request(struct http_client *client, const struct http_request *request,
                        struct exchange *exchange)
{
    CURL *easy = client->easy;
    uint64_t connect_ns =
        request->connect_timeout_ns > 0 ? request->connect_timeout_ns : CONNECT_TIMEOUT_NS;

    (void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ns / NS_PER_MS));
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(request->timeout_ns / NS_PER_MS));
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
    (void)curl_easy_setopt(easy, CURLOPT_READFUNCTION, give_body);
    (void)curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
    /* Less than a byte a second is a stall. */
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME,
                           (long)((request->stall_timeout_ns + NS_PER_SECOND - 1) / NS_PER_SECOND));
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
    set_method(easy, request);
}

/* What came of it. */
static int conclude(const struct exchange *exchange, CURLcode code)
{
    struct http_client *client = exchange->client;
    struct http_answer *answer = exchange->answer;
    curl_off_t connect_us = 0;

    (void)curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    (void)curl_easy_getinfo(client->easy, CURLINFO_CONNECT_TIME_T, &connect_us);
    answer->connected = code == CURLE_OK || connect_us > 0;
    read_clocks(answer);
    answer->taker_failed = exchange->error < 0;
    int r = exchange->error < 0 ? exchange->error : errno_of(code, answer);
    if (r == 0)
        return 0;
    if (client->verify_error != X509_V_OK) {
        (void)text_copy(answer->problem, sizeof answer->problem,
                        client->pin_unmet ? "no CA in it has the pinned key"
                                          : X509_verify_cert_error_string(client->verify_error));
        return -EKEYREJECTED;
    }
    (void)text_copy(answer->problem, sizeof answer->problem,
                    client->curl_text[0] != '\0' ? client->curl_text : curl_easy_strerror(code));
    return r;
}

/* Whatever comes of it, exchange_done follows. */
static int prepare(struct exchange *exchange)
{
    const struct http_request *request = exchange->request;
    struct http_client *client = exchange->client;

    *exchange->answer = (struct http_answer){.body = BUFFER_WITH_MAXIMUM(request->maximum_answer),
                                             .head = BUFFER_WITH_MAXIMUM(MOST_HEAD_BYTES)};
    client->curl_text[0] = '\0';
    client->verify_error = X509_V_OK;
    client->pin_unmet = false;
    int r = make_headers(request, &exchange->headers);
    if (r < 0)
        return r;
    set_request(client, request, exchange);
    (void)curl_easy_setopt(client->easy, CURLOPT_HTTPHEADER, exchange->headers);
    return 0;
}

static void exchange_done(struct exchange *exchange)
{
    (void)curl_easy_setopt(exchange->client->easy, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(exchange->headers);
}

int http_client_perform(struct http_client *client, const struct http_request *request,
                        struct http_answer *ret_answer)
{
    struct exchange exchange = {.client = client, .request = request, .answer = ret_answer};

    int r = prepare(&exchange);
    if (r == 0)
        r = conclude(&exchange, curl_easy_perform(client->easy));
    exchange_done(&exchange);
    return r;
}

/* ---- an exchange that is polled for ---- */

struct pending {
    struct exchange exchange;
    struct http_request request;
    struct http_answer answer;
};

static void give_up(struct http_client *client)
{
    struct pending *pending = client->pending;

    if (pending == NULL)
        return;
    client->pending = NULL;
    (void)curl_multi_remove_handle(client->multi, client->easy);
    exchange_done(&pending->exchange);
    http_answer_done(&pending->answer);
    free(pending);
}

int http_client_begin(struct http_client *client, const struct http_request *request)
{
    if (client->pending != NULL || request->sink != NULL || request->source != NULL)
        return -EINVAL;
    if (client->multi == NULL)
        client->multi = curl_multi_init();
    struct pending *pending = client->multi != NULL ? calloc(1, sizeof *pending) : NULL;
    if (pending == NULL)
        return -ENOMEM;
    pending->request = *request;
    pending->exchange = (struct exchange){.client = client,
                                          .request = &pending->request,
                                          .answer = &pending->answer};
    int r = prepare(&pending->exchange);
    if (r == 0 && curl_multi_add_handle(client->multi, client->easy) != CURLM_OK)
        r = -ENOMEM;
    if (r < 0) {
        exchange_done(&pending->exchange);
        free(pending);
        return r;
    }
    client->pending = pending;
    return 0;
}

size_t http_client_polls(struct http_client *client, struct pollfd *polls, size_t most,
                         uint64_t *ret_wait_ns)
{
    fd_set in, out, other;
    int last = -1;
    long wait_ms = -1;
    size_t count = 0;

    *ret_wait_ns = UINT64_MAX;
    if (client->pending == NULL)
        return 0;
    FD_ZERO(&in);
    FD_ZERO(&out);
    FD_ZERO(&other);
    (void)curl_multi_fdset(client->multi, &in, &out, &other, &last);
    (void)curl_multi_timeout(client->multi, &wait_ms);
    for (int fd = 0; fd <= last && count < most; fd++) {
        short events =
            (short)((FD_ISSET(fd, &in) ? POLLIN : 0) | (FD_ISSET(fd, &out) ? POLLOUT : 0));
        if (events != 0)
            polls[count++] = (struct pollfd){.fd = fd, .events = events};
    }
    if (count == 0 && (wait_ms < 0 || wait_ms > BLIND_WAIT_MS))
        wait_ms = BLIND_WAIT_MS; /* libcurl has nothing to show, as while it looks for a name */
    if (wait_ms >= 0)
        *ret_wait_ns = (uint64_t)wait_ms * NS_PER_MS;
    return count;
}

bool http_client_advance(struct http_client *client, int *ret_result,
                         struct http_answer *ret_answer)
{
    struct pending *pending = client->pending;
    int running = 0, left = 0;

    if (pending == NULL)
        return false;
    CURLMcode code = curl_multi_perform(client->multi, &running);
    if (code == CURLM_OK && running > 0)
        return false;
    const CURLMsg *message = curl_multi_info_read(client->multi, &left);
    *ret_result =
        conclude(&pending->exchange,
                 code != CURLM_OK || message == NULL ? CURLE_OUT_OF_MEMORY : message->data.result);
    *ret_answer = pending->answer;
    pending->answer = (struct http_answer){.body = BUFFER_WITH_MAXIMUM(0)};
    give_up(client);
    return true;
}
