/* The container's credential service. Owns: which hosts may be asked without TLS. */
#include "common/aws/container_credentials.h"

#include "common/aws/credential_document.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define ECS_HOST   "http://169.254.170.2"
#define TIMEOUT_NS (2 * NS_PER_SECOND)
#define TRIES      3

/* ---- which hosts ---- */

static bool is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (text_equal(host, "localhost"))
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* The host of an authority without a user: "127.0.0.1:80", "[::1]:80". */
static int read_host(const char *authority, char *host, size_t size)
{
    size_t length = strcspn(authority, "/?#");
    const char *end = authority + length;

    if (memchr(authority, '@', length) != NULL)
        return -EINVAL;
    if (authority[0] == '[') {
        const char *bracket = memchr(authority, ']', length);
        if (bracket == NULL)
            return -EINVAL;
        end = bracket;
        authority++;
    } else if (memchr(authority, ':', length) != NULL) {
        end = memchr(authority, ':', length);
    }
    int r = text_format(host, size, "%.*s", (int)(end - authority), authority);
    return r < 0 ? r : 0;
}

bool container_credentials_uri_is_safe(const char *uri)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23"};
    char host[256];

    if (text_starts_with(uri, "https://"))
        return true;
    if (!text_starts_with(uri, "http://") ||
        read_host(uri + strlen("http://"), host, sizeof host) < 0)
        return false;
    for (size_t i = 0; i < ARRAY_LENGTH(hosts); i++)
        if (strcasecmp(host, hosts[i]) == 0)
            return true;
    return is_loopback(host);
}

static enum aws_outcome find_uri(const struct aws_settings *settings, char *uri, size_t uri_size,
                                 char *problem, size_t size)
{
    const char *relative = settings->container_relative_uri, *full = settings->container_full_uri;

    if (relative[0] != '\0' && relative[0] != '/') {
        (void)text_copy(problem, size,
                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with a slash");
        return AWS_NOT_CONFIGURED;
    }
    if (relative[0] == '\0' && !container_credentials_uri_is_safe(full)) {
        (void)text_format(problem, size,
                          "AWS_CONTAINER_CREDENTIALS_FULL_URI \"%.200s\" may be asked by https "
                          "only: plain http goes to loopback, 169.254.170.2, 169.254.170.23 and "
                          "fd00:ec2::23 alone",
                          full);
        return AWS_NOT_CONFIGURED;
    }
    int r = relative[0] != '\0' ? text_format(uri, uri_size, ECS_HOST "%s", relative)
                                : text_copy(uri, uri_size, full);
    return r < 0 ? AWS_NOT_CONFIGURED : AWS_OK;
}

/* ---- the request ---- */

/* The token's file is read each time: its content changes. "" when there is none. */
static int find_token(const struct aws_settings *settings, const struct aws_file_opener *opener,
                      struct buffer *token)
{
    AUTO_CLOSE int fd = -1;

    if (settings->container_token_file[0] == '\0')
        return buffer_append_text(token, settings->container_token);
    int r = opener->open(opener->user, AWS_FILE_CONTAINER_TOKEN, &fd);
    if (r == 0)
        r = file_read_all_fd(fd, token);
    if (r < 0)
        return r;
    while (token->length > 0 && strchr(" \t\r\n", token->data[token->length - 1]) != NULL)
        token->data[--token->length] = '\0';
    return 0;
}

static int ask(struct http_client *http, const char *uri, const char *token,
               struct http_answer *ret_answer)
{
    const struct http_header authorization = {"Authorization", token};
    const struct http_request request = {
        .method = "GET",
        .url = uri,
        .headers = &authorization,
        .header_count = token[0] != '\0',
        .connect_timeout_ns = TIMEOUT_NS,
        .timeout_ns = TIMEOUT_NS,
        .maximum_answer = CREDENTIAL_DOCUMENT_MOST_BYTES,
    };
    int r;

    for (unsigned try = 0;; try++) {
        r = http_client_perform(http, &request, ret_answer);
        if ((r == 0 && ret_answer->status < 500) || r == -EINVAL || try + 1 == TRIES)
            return r;
        http_answer_done(ret_answer);
    }
}

static enum aws_outcome take_answer(int error, const struct http_answer *answer,
                                    struct buffer *document, char *problem, size_t size)
{
    if (error == 0 && answer->status == 200)
        return buffer_append(document, buffer_text(&answer->body), answer->body.length) == 0
                   ? AWS_OK
                   : AWS_UNAVAILABLE;
    if (error < 0)
        (void)text_format(problem, size, "the container's credential service cannot be reached: %s",
                          error == -EINVAL ? "its token has line breaks" : answer->problem);
    else
        (void)text_format(problem, size,
                          "the container's credential service answered %ld: look at the task's or "
                          "pod's role",
                          answer->status);
    return error < 0 || answer->status >= 500 ? AWS_UNREACHABLE : AWS_NO_CREDENTIALS;
}

static enum aws_outcome ask_service(const char *uri, const char *token, struct buffer *document,
                                    char *problem, size_t size)
{
    const struct http_trust system = {.pin = NULL};
    struct http_client *http = NULL;
    struct http_answer answer = {.status = 0};

    int r = http_client_new(&system, &http);
    if (r == 0)
        r = http_client_set_proxy(http, "", "*");
    if (r < 0) {
        (void)http_client_free(http);
        (void)text_copy(problem, size, log_error_text(r));
        return AWS_UNREACHABLE;
    }
    http_client_allow_plain(http);
    r = ask(http, uri, token, &answer);
    enum aws_outcome outcome = take_answer(r, &answer, document, problem, size);
    http_answer_done(&answer);
    (void)http_client_free(http);
    return outcome;
}

enum aws_outcome container_credentials_get(const struct aws_settings *settings,
                                           const struct aws_file_opener *opener,
                                           struct buffer *document, char *problem,
                                           size_t problem_size)
{
    struct buffer token = BUFFER_WITH_MAXIMUM(AWS_TOKEN_BYTES);
    char uri[AWS_TEXT_BYTES * 2];

    enum aws_outcome outcome = find_uri(settings, uri, sizeof uri, problem, problem_size);
    if (outcome != AWS_OK)
        return outcome;
    int r = find_token(settings, opener, &token);
    if (r < 0) {
        (void)text_format(problem, problem_size,
                          "the container's token cannot be read from %.200s: %s",
                          settings->container_token_file, log_error_text(r));
        outcome = AWS_NOT_CONFIGURED;
    } else {
        outcome = ask_service(uri, buffer_text(&token), document, problem, problem_size);
    }
    if (token.data != NULL)
        explicit_bzero(token.data, token.capacity);
    buffer_done(&token);
    return outcome;
}
