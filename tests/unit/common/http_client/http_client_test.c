/* Whom the client trusts, and what it makes of answers; against a TLS server of our own. */
#include "common/http_client/http_client.h"

#include "common/crypto/keys.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#define DAY_S  86400L
#define SAN    "DNS:localhost,IP:127.0.0.1"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"

struct party {
    EVP_PKEY *key;
    X509 *certificate;
};

/* ---- certificates ---- */

static void add_extension(X509 *certificate, int what, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, what, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

/* san NULL: a CA. issuer NULL: by itself. */
static struct party make(const char *name, const char *san, const struct party *issuer,
                         long expires_s)
{
    struct party party = {.certificate = X509_new()};
    static long serial;

    assert_int_equal(key_new_p256(&party.key), 0);
    X509 *certificate = party.certificate;
    (void)X509_set_version(certificate, 2);
    (void)ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    (void)X509_gmtime_adj(X509_getm_notBefore(certificate), -2 * DAY_S);
    (void)X509_gmtime_adj(X509_getm_notAfter(certificate), expires_s);
    (void)X509_set_pubkey(certificate, party.key);
    (void)X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                     (const unsigned char *)name, -1, -1, 0);
    (void)X509_set_issuer_name(
        certificate, X509_get_subject_name(issuer != NULL ? issuer->certificate : certificate));
    add_extension(certificate, NID_basic_constraints,
                  san == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (san != NULL)
        add_extension(certificate, NID_subject_alt_name, san);
    assert_true(X509_sign(certificate, issuer != NULL ? issuer->key : party.key, EVP_sha256()) > 0);
    return party;
}

static void done(struct party *party)
{
    X509_free(party->certificate);
    EVP_PKEY_free(party->key);
}

static void write_pem(const struct party *party, char text[static 4096])
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, party->certificate), 1);
    int length = BIO_read(bio, text, 4095);
    assert_true(length > 0);
    text[length] = '\0';
    BIO_free(bio);
}

/* ---- the server ---- */

struct server {
    SSL_CTX *tls;
    int listener;
    uint16_t port;
    const char *answer;
    pthread_t thread;
};

static void answer_one(struct server *server, int fd)
{
    SSL *connection = SSL_new(server->tls);
    char request[8192] = "";
    size_t length = 0;

    (void)SSL_set_fd(connection, fd);
    if (SSL_accept(connection) == 1) {
        while (strstr(request, "\r\n\r\n") == NULL && length < sizeof request - 1) {
            int got = SSL_read(connection, request + length, (int)(sizeof request - 1 - length));
            if (got <= 0)
                break;
            length += (size_t)got;
            request[length] = '\0';
        }
        if (length > 0)
            (void)SSL_write(connection, server->answer, (int)strlen(server->answer));
        (void)SSL_shutdown(connection);
    }
    SSL_free(connection);
}

static void *serve(void *user)
{
    struct server *server = user;

    for (;;) {
        int fd = accept(server->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        answer_one(server, fd);
        (void)close(fd);
    }
}

/* extra: sent along, may be NULL. */
static void start(struct server *server, const struct party *leaf, const struct party *extra,
                  const char *answer)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;

    server->answer = answer;
    server->tls = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate(server->tls, leaf->certificate), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(server->tls, leaf->key), 1);
    if (extra != NULL)
        assert_int_equal(SSL_CTX_add1_chain_cert(server->tls, extra->certificate), 1);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&address, length), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
    server->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
}

static void stop(struct server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    SSL_CTX_free(server->tls);
}

/* Every test runs twice: waiting for the answer, and polling for it. */
static bool polled;

static int perform(struct http_client *client, const struct http_request *request,
                   struct http_answer *answer)
{
    struct pollfd polls[8];
    uint64_t wait_ns;
    int r;

    if (!polled)
        return http_client_perform(client, request, answer);
    assert_int_equal(http_client_polls(client, polls, ARRAY_LENGTH(polls), &wait_ns), 0);
    assert_true(wait_ns == UINT64_MAX);
    assert_false(http_client_advance(client, &r, answer));
    assert_int_equal(http_client_begin(client, request), 0);
    assert_int_equal(http_client_begin(client, request), -EINVAL); /* one at a time */
    while (!http_client_advance(client, &r, answer)) {
        size_t count = http_client_polls(client, polls, ARRAY_LENGTH(polls), &wait_ns);
        const struct timespec timeout = timespec_from_ns(wait_ns);
        assert_true(ppoll(polls, count, wait_ns == UINT64_MAX ? NULL : &timeout, NULL) >= 0);
    }
    return r;
}

static int ask(const struct server *server, const struct http_trust *trust,
               struct http_answer *answer)
{
    struct http_client *client = NULL;
    char url[64];

    assert_true(text_format(url, sizeof url, "https://127.0.0.1:%u/", server->port) > 0);
    assert_int_equal(http_client_new(trust, &client), 0);
    const struct http_request request = {
        .method = "GET", .url = url, .timeout_ns = 20 * NS_PER_SECOND, .maximum_answer = 1000};
    int r = perform(client, &request, answer);
    (void)http_client_free(client);
    return r;
}

static int trusts(const struct server *server, const struct http_trust *trust)
{
    struct http_answer answer;

    int r = ask(server, trust, &answer);
    if (r == 0)
        assert_int_equal(answer.status, 200);
    else
        assert_string_not_equal(answer.problem, "");
    http_answer_done(&answer);
    return r;
}

/* ---- trust ---- */

struct world {
    struct party root, leaf, foreign, foreign_leaf, misnamed, expired;
    char root_pem[4096], foreign_pem[4096];
    char root_pin[KEY_PIN_BYTES], leaf_pin[KEY_PIN_BYTES], foreign_pin[KEY_PIN_BYTES];
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    world->root = make("Test CA", NULL, NULL, DAY_S);
    world->foreign = make("Test CA", NULL, NULL, DAY_S); /* of the same name */
    world->leaf = make("server", SAN, &world->root, DAY_S);
    world->foreign_leaf = make("server", SAN, &world->foreign, DAY_S);
    world->misnamed = make("server", "DNS:other.test", &world->root, DAY_S);
    world->expired = make("server", SAN, &world->root, -DAY_S);
    write_pem(&world->root, world->root_pem);
    write_pem(&world->foreign, world->foreign_pem);
    assert_int_equal(key_pin(world->root.key, world->root_pin), 0);
    assert_int_equal(key_pin(world->leaf.key, world->leaf_pin), 0);
    assert_int_equal(key_pin(world->foreign.key, world->foreign_pin), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    done(&world->root);
    done(&world->leaf);
    done(&world->foreign);
    done(&world->foreign_leaf);
    done(&world->misnamed);
    done(&world->expired);
    free(world);
    return 0;
}

static void test_an_authority_is_trusted(void **state)
{
    struct world *world = *state;
    struct server server;

    start(&server, &world->leaf, NULL, ANSWER);
    assert_int_equal(trusts(&server, &(struct http_trust){.authority = world->root_pem}), 0);
    assert_int_equal(trusts(&server, &(struct http_trust){.authority = world->foreign_pem}),
                     -EKEYREJECTED);
    assert_int_equal(trusts(&server, &(struct http_trust){.pin = ""}), -EKEYREJECTED);
    stop(&server);
}

static void test_one_of_several_authorities_is_enough(void **state)
{
    struct world *world = *state;
    struct server server;
    char other[4096], both[8192];

    write_pem(&world->misnamed, other);
    assert_true(text_format(both, sizeof both, "%s%s", other, world->root_pem) > 0);
    start(&server, &world->leaf, NULL, ANSWER);
    assert_int_equal(trusts(&server, &(struct http_trust){.authority = both}), 0);
    stop(&server);
}

static void test_a_pinned_ca_must_be_sent(void **state)
{
    struct world *world = *state;
    struct server with, without;

    start(&with, &world->leaf, &world->root, ANSWER);
    start(&without, &world->leaf, NULL, ANSWER);
    const struct http_trust pinned = {.pin = world->root_pin};
    assert_int_equal(trusts(&with, &pinned), 0);
    assert_int_equal(trusts(&without, &pinned), -EKEYREJECTED);
    assert_int_equal(trusts(&with, &(struct http_trust){.pin = world->foreign_pin}), -EKEYREJECTED);
    /* A pin stands above an authority. */
    assert_int_equal(trusts(&with, &(struct http_trust){.pin = world->foreign_pin,
                                                        .authority = world->root_pem}),
                     -EKEYREJECTED);
    stop(&with);
    stop(&without);
}

static void test_a_pinned_leaf_is_no_ca(void **state)
{
    struct world *world = *state;
    struct server server;

    start(&server, &world->leaf, &world->root, ANSWER);
    assert_int_equal(trusts(&server, &(struct http_trust){.pin = world->leaf_pin}), -EKEYREJECTED);
    stop(&server);
}

/* The pinned CA is public: anybody can send it along. It must have signed the leaf. */
static void test_a_pinned_ca_beside_the_chain_is_worth_nothing(void **state)
{
    struct world *world = *state;
    struct server server;

    start(&server, &world->foreign_leaf, &world->root, ANSWER);
    assert_int_equal(trusts(&server, &(struct http_trust){.pin = world->root_pin}), -EKEYREJECTED);
    stop(&server);
}

static void test_name_and_time_count_with_a_pin_too(void **state)
{
    struct world *world = *state;
    struct server misnamed, expired;

    start(&misnamed, &world->misnamed, &world->root, ANSWER);
    start(&expired, &world->expired, &world->root, ANSWER);
    const struct http_trust pinned = {.pin = world->root_pin};
    const struct http_trust known = {.authority = world->root_pem};
    assert_int_equal(trusts(&misnamed, &pinned), -EKEYREJECTED);
    assert_int_equal(trusts(&misnamed, &known), -EKEYREJECTED);
    assert_int_equal(trusts(&expired, &pinned), -EKEYREJECTED);
    assert_int_equal(trusts(&expired, &known), -EKEYREJECTED);
    stop(&misnamed);
    stop(&expired);
}

static void test_what_cannot_be_read_is_told(void **state UNUSED)
{
    static const char *const pins[] = {"sha256//", "sha256//short", "sha1//AAAA",
                                       "0123456789012345678901234567890123456789012345678901",
                                       "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=A"};
    struct http_client *client = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(pins); i++)
        assert_int_equal(http_client_new(&(struct http_trust){.pin = pins[i]}, &client), -EBADMSG);
    assert_int_equal(http_client_new(&(struct http_trust){.authority = "nothing"}, &client),
                     -EBADMSG);
    assert_null(client);
}

/* ---- answers ---- */

static int answered(struct world *world, const char *text, struct http_answer *answer)
{
    struct server server;

    start(&server, &world->leaf, NULL, text);
    int r = ask(&server, &(struct http_trust){.authority = world->root_pem}, answer);
    stop(&server);
    return r;
}

static void test_a_cut_answer_is_none(void **state)
{
    struct http_answer answer;

    assert_int_equal(
        answered(*state, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", &answer), -EPROTO);
    http_answer_done(&answer);
    assert_int_equal(answered(*state, "nonsense\r\n\r\n", &answer), -EPROTO);
    http_answer_done(&answer);
}

static void test_a_long_answer_is_refused(void **state)
{
    static char text[4096];
    struct http_answer answer;

    assert_true(text_format(text, sizeof text,
                            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n%01001d", 0) > 0);
    assert_int_equal(answered(*state, text, &answer), -EFBIG);
    http_answer_done(&answer);
}

static void test_a_redirect_is_not_followed(void **state)
{
    struct http_answer answer;

    assert_int_equal(answered(*state,
                              "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n"
                              "Content-Length: 0\r\n\r\n",
                              &answer),
                     0);
    assert_int_equal(answer.status, 302);
    http_answer_done(&answer);
}

static uint64_t retry_after(struct world *world, const char *value)
{
    struct http_answer answer;
    char text[256];

    assert_true(text_format(text, sizeof text,
                            "HTTP/1.1 503 Busy\r\nretry-AFTER: %s\r\nContent-Length: 0\r\n\r\n",
                            value) > 0);
    assert_int_equal(answered(world, text, &answer), 0);
    assert_int_equal(answer.status, 503);
    uint64_t seconds = answer.retry_after_s;
    http_answer_done(&answer);
    return seconds;
}

static void test_retry_after_in_all_its_forms(void **state)
{
    struct world *world = *state;
    time_t later = (time_t)(clock_realtime_ns() / NS_PER_SECOND) + 600;
    struct tm parts;
    char date[64];

    assert_int_equal(retry_after(world, "7"), 7);
    assert_int_equal(retry_after(world, "  120"), 120);
    assert_int_equal(retry_after(world, ""), 0);
    assert_int_equal(retry_after(world, "-5"), 0);
    assert_int_equal(retry_after(world, "soon"), 0);
    assert_int_equal(retry_after(world, "99999999999999999999999"), 0);
    assert_int_equal(retry_after(world, "Mon, 01 Jan 2001 00:00:00 GMT"), 0);
    assert_true(strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&later, &parts)) >
                0);
    assert_in_range(retry_after(world, date), 570, 600);
}

static void test_headers_cannot_be_smuggled(void **state)
{
    static const struct http_header broken[] = {{"X-One", "a\r\nX-Two: b"},
                                                {"X-One\r\nX-Two", "b"},
                                                {"X-One: a\n", "b"}};
    struct http_client *client = NULL;
    struct http_answer answer;

    (void)state;
    assert_int_equal(http_client_new(&(struct http_trust){.pin = ""}, &client), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        const struct http_request request = {.method = "GET",
                                             .url = "https://127.0.0.1:1/",
                                             .headers = &broken[i],
                                             .header_count = 1,
                                             .timeout_ns = NS_PER_SECOND};
        assert_int_equal(http_client_perform(client, &request, &answer), -EINVAL);
        http_answer_done(&answer);
    }
    (void)http_client_free(client);
}

static void test_headers_of_the_answer(void **state)
{
    struct http_answer answer;
    char value[32];

    assert_int_equal(answered(*state,
                              "HTTP/1.1 100 Continue\r\nETag: wrong\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 03:04:05 GMT\r\n"
                              "eTAG:  \"right\"\r\nContent-Length: 0\r\n\r\n",
                              &answer),
                     0);
    assert_int_equal(http_answer_header(&answer, "ETag", value, sizeof value), 0);
    assert_string_equal(value, "\"right\"");
    assert_int_equal(http_answer_header(&answer, "ETa", value, sizeof value), -ENOENT);
    assert_int_equal(http_answer_header(&answer, "Date", value, 8), -ENAMETOOLONG);
    assert_int_equal(answer.date_s, 1795316645);
    http_answer_done(&answer);
}

static void test_only_https(void **state UNUSED)
{
    struct http_client *client = NULL;
    struct http_answer answer;
    static const char *const urls[] = {"http://127.0.0.1:1/", "file:///etc/passwd", "ftp://x/",
                                       "https://", "https://host:99999/"};

    assert_int_equal(http_client_new(&(struct http_trust){.pin = NULL}, &client), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        const struct http_request request = {
            .method = "GET", .url = urls[i], .timeout_ns = NS_PER_SECOND, .maximum_answer = 10};
        assert_int_equal(perform(client, &request, &answer), -EPROTO);
        http_answer_done(&answer);
    }
    (void)http_client_free(client);
}

static void test_one_that_has_begun_is_given_up(void **state)
{
    struct world *world = *state;
    const struct http_trust trust = {.authority = world->root_pem};
    struct http_client *client = NULL;
    struct http_answer answer;
    struct server server;
    char url[64];
    int r;

    start(&server, &world->leaf, NULL, ANSWER);
    assert_true(text_format(url, sizeof url, "https://127.0.0.1:%u/", server.port) > 0);
    struct http_request request = {.method = "GET", .url = url, .maximum_answer = 10};
    assert_int_equal(http_client_new(&trust, &client), 0);
    assert_int_equal(http_client_begin(client, &request), 0);
    assert_false(http_client_advance(client, &r, &answer));
    (void)http_client_free(client);
    const struct http_sink sink = {NULL, NULL, NULL};
    request.sink = &sink;
    assert_int_equal(http_client_new(&trust, &client), 0);
    assert_int_equal(http_client_begin(client, &request), -EINVAL);
    (void)http_client_free(client);
    stop(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_authority_is_trusted),
        cmocka_unit_test(test_one_of_several_authorities_is_enough),
        cmocka_unit_test(test_a_pinned_ca_must_be_sent),
        cmocka_unit_test(test_a_pinned_leaf_is_no_ca),
        cmocka_unit_test(test_a_pinned_ca_beside_the_chain_is_worth_nothing),
        cmocka_unit_test(test_name_and_time_count_with_a_pin_too),
        cmocka_unit_test(test_what_cannot_be_read_is_told),
        cmocka_unit_test(test_a_cut_answer_is_none),
        cmocka_unit_test(test_a_long_answer_is_refused),
        cmocka_unit_test(test_a_redirect_is_not_followed),
        cmocka_unit_test(test_retry_after_in_all_its_forms),
        cmocka_unit_test(test_headers_cannot_be_smuggled),
        cmocka_unit_test(test_headers_of_the_answer),
        cmocka_unit_test(test_only_https),
        cmocka_unit_test(test_one_that_has_begun_is_given_up),
    };
    (void)signal(SIGPIPE, SIG_IGN);
    int failed = cmocka_run_group_tests(tests, set_up, tear_down);
    polled = true;
    return failed + cmocka_run_group_tests(tests, set_up, tear_down);
}
