/* HTTPS by libcurl. Owns: the easy handle and whom to trust. Must not own: when to try again. */
#include "common/http_client/http_client.h"

#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#define CONNECT_TIMEOUT_MS 15000L
#define PIN_DIGITS         44 /* base64 of 32 bytes */

struct http_client {
    CURL *easy;
    char pin[KEY_PIN_BYTES];
    X509 *authority;
    X509 *certificate;
    EVP_PKEY *key;
    int verify_error; /* X509_V_ERR_* of the last handshake */
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

/* ---- whom to trust ---- */

static bool has_pin(X509 *certificate, const char *pin)
{
    char own_pin[KEY_PIN_BYTES];

    return key_pin(X509_get0_pubkey(certificate), own_pin) == 0 && text_equal(own_pin, pin);
}

/* The pinned CA among those the server sent becomes the only anchor. */
static int verify_pinned(X509_STORE_CTX *context, const struct http_client *client)
{
    STACK_OF(X509) *sent = X509_STORE_CTX_get0_untrusted(context);
    STACK_OF(X509) *anchors = sk_X509_new_null();

    for (int i = 0; anchors != NULL && i < sk_X509_num(sent); i++) {
        X509 *certificate = sk_X509_value(sent, i);
        if (X509_check_ca(certificate) != 0 && has_pin(certificate, client->pin))
            (void)sk_X509_push(anchors, certificate);
    }
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
    if (client->pin[0] == '\0' && client->authority != NULL &&
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client->authority) != 1)
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
    int r = read_certificate(trust->authority, &client->authority);
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

static void set_options(struct http_client *client)
{
    CURL *easy = client->easy;

#if LIBCURL_VERSION_NUM >= 0x075500
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
#else
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTPS);
#endif
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, "yagura/" YAGURA_VERSION);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, client->curl_text);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, set_trust);
    (void)curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, client);
    if (client->pin[0] != '\0') {
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
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

struct http_client *http_client_free(struct http_client *client)
{
    if (client == NULL)
        return NULL;
    curl_easy_cleanup(client->easy);
    X509_free(client->authority);
    X509_free(client->certificate);
    EVP_PKEY_free(client->key);
    free(client);
    return NULL;
}

/* ---- an exchange ---- */

static size_t take_body(char *bytes, size_t size, size_t count, void *user)
{
    struct http_answer *answer = user;

    /* Anything but the full size makes curl give up. */
    return buffer_append(&answer->body, bytes, size * count) == 0 ? size * count : 0;
}

static size_t take_header(char *line, size_t size, size_t count, void *user)
{
    static const char name[] = "retry-after:";
    struct http_answer *answer = user;
    size_t length = size * count, skip = sizeof name - 1;
    char value[64];
    uint64_t seconds;

    if (length <= skip || strncasecmp(line, name, skip) != 0)
        return length;
    while (skip < length && (line[skip] == ' ' || line[skip] == '\t'))
        skip++;
    size_t end = skip;
    while (end < length && line[end] != '\r' && line[end] != '\n')
        end++;
    if (text_format(value, sizeof value, "%.*s", (int)(end - skip), line + skip) < 0)
        return length;
    if (text_parse_u64(value, &seconds) == 0) {
        answer->retry_after_s = seconds;
        return length;
    }
    time_t at = curl_getdate(value, NULL);
    uint64_t now = clock_realtime_ns() / NS_PER_SECOND;
    if (at > 0 && (uint64_t)at > now)
        answer->retry_after_s = (uint64_t)at - now;
    return length;
}

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
        return buffer_failed(&answer->body) == -EMSGSIZE ? -EFBIG : -ENOMEM;
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    default:
        return -EPROTO;
    }
}

int http_client_perform(struct http_client *client, const struct http_request *request,
                        struct http_answer *ret_answer)
{
    CURL *easy = client->easy;
    char type[128];

    *ret_answer = (struct http_answer){.body = BUFFER_WITH_MAXIMUM(request->maximum_answer)};
    client->curl_text[0] = '\0';
    client->verify_error = X509_V_OK;
    (void)text_format(type, sizeof type, "Content-Type: %s",
                      request->content_type != NULL ? request->content_type : "application/json");
    struct curl_slist *headers = curl_slist_append(NULL, type);
    struct curl_slist *longer = headers != NULL ? curl_slist_append(headers, "Expect:") : NULL;
    if (longer == NULL) {
        curl_slist_free_all(headers);
        return -ENOMEM;
    }
    (void)curl_easy_setopt(easy, CURLOPT_URL, request->url);
    (void)curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(request->timeout_ns / NS_PER_MS));
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, ret_answer);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, ret_answer);
    if (text_equal(request->method, "POST")) {
        (void)curl_easy_setopt(easy, CURLOPT_POST, 1L);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        (void)curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                               request->body != NULL ? request->body : "");
    } else {
        (void)curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    }
    CURLcode code = curl_easy_perform(easy);
    curl_slist_free_all(headers);
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &ret_answer->status);
    int r = errno_of(code, ret_answer);
    if (r < 0 && client->verify_error != X509_V_OK) {
        (void)text_copy(ret_answer->problem, sizeof ret_answer->problem,
                        X509_verify_cert_error_string(client->verify_error));
        return -EKEYREJECTED;
    }
    if (r < 0)
        (void)text_copy(ret_answer->problem, sizeof ret_answer->problem,
                        client->curl_text[0] != '\0' ? client->curl_text
                                                     : curl_easy_strerror(code));
    return r;
}

void http_answer_done(struct http_answer *answer)
{
    buffer_done(&answer->body);
}
