/* Owns the deployment script: installer/deployment.sh, which the program carries, with the address
 * agents are to use, the pin of the authority, policy and group filled in. It holds no secret: the
 * token is given on the machine, by a file or standard input. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define MOST_SCRIPT_BYTES 65536
#define MOST_NAME_BYTES   256
#define MOST_URL_BYTES    512

extern const char deployment_begin[], deployment_end[];

struct values {
    char url[MOST_URL_BYTES];
    char policy[MOST_NAME_BYTES], group[MOST_NAME_BYTES];
    const char *pin;
};

/* A word for the shell, whatever is in it. */
static void append_quoted(struct buffer *script, const char *text)
{
    (void)buffer_append(script, "'", 1);
    for (const char *at = text; *at; at++)
        (void)(*at == '\'' ? buffer_append(script, "'\\''", 4) : buffer_append(script, at, 1));
    (void)buffer_append(script, "'", 1);
}

static void fill_in(struct buffer *script, const struct values *values)
{
    const struct {
        const char *mark, *value;
    } marks[] = {
        {"@URL@", values->url},
        {"@PIN@", values->pin},
        {"@POLICY@", values->policy},
        {"@GROUP@", values->group},
    };
    for (const char *at = deployment_begin; at < deployment_end;) {
        size_t i = 0;
        while (i < ARRAY_LENGTH(marks) && !text_starts_with(at, marks[i].mark))
            i++;
        if (i < ARRAY_LENGTH(marks)) {
            append_quoted(script, marks[i].value);
            at += strlen(marks[i].mark);
        } else {
            (void)buffer_append(script, at++, 1);
        }
    }
}

static bool is_url(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                ".:-_[]/";
    return text_starts_with(text, "https://") && text[strlen("https://")] != '\0' &&
           strspn(text, plain) == strlen(text);
}

/* The name this page was asked by, and the agents' port beside it. */
static int default_url(const struct http_request *request, unsigned port,
                       char url[static MOST_URL_BYTES])
{
    const char *host = http_request_header(request, "Host");
    if (!host)
        return -EINVAL;
    const char *end = strrchr(host, ':');
    const char *bracket = strrchr(host, ']');
    if (!end || (bracket && end < bracket))
        end = host + strlen(host);
    return text_format(url, MOST_URL_BYTES, "https://%.*s:%u", (int)(end - host), host, port);
}

static bool known_parameter(void *user UNUSED, const char *name)
{
    return text_equal(name, "url") || text_equal(name, "policy") || text_equal(name, "group");
}

static int read_values(const struct http_request *request, const struct api_service *service,
                       struct values *values)
{
    if (!http_request_query_names(request, known_parameter, NULL))
        return -EINVAL;
    values->pin = service->identity->pin;
    int url = http_request_query(request, "url", values->url, sizeof(values->url));
    int policy = http_request_query(request, "policy", values->policy, sizeof(values->policy));
    int group = http_request_query(request, "group", values->group, sizeof(values->group));
    if (url == 0)
        url = default_url(request, service->agents_port, values->url);
    if (url < 0 || policy < 0 || group < 0 || !is_url(values->url))
        return -EINVAL;
    if ((policy == 1 && !api_is_policy_name(values->policy)) ||
        (group == 1 && !api_is_name(values->group)))
        return -EINVAL;
    return 0;
}

void api_deployment_script(struct http_request *request, void *user)
{
    const struct api_service *service = user;
    struct values values = {.url = ""};
    if (read_values(request, service, &values) < 0) {
        http_respond_problem(request, 400, "bad_filter",
                             "url must be https://HOST[:PORT], policy and group must be names, and "
                             "there are no other parameters");
        return;
    }
    AUTO_BUFFER struct buffer script = BUFFER_WITH_MAXIMUM(MOST_SCRIPT_BYTES);
    fill_in(&script, &values);
    http_response_header(request, "Content-Disposition",
                         "attachment; filename=\"yagura-deployment.sh\"");
    http_respond_buffer(request, 200, "text/x-shellscript; charset=utf-8", &script);
}
