/* The guard layer over any head: what passes has one Host, at most one length, no
 * Transfer-Encoding, no control byte, and the size it says. Input: lines; the first is the method,
 * target and version with tabs between, each other one a header's name, a tab and its value. */
#include "common/attributes.h"
#include "console/http/request_guard.h"

#define HEADERS 80

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static unsigned count(const struct request_head *head, const char *name)
{
    unsigned found = 0;
    for (size_t i = 0; i < head->header_count; i++)
        found += head->headers[i].name_length == strlen(name) &&
                 strncasecmp(head->headers[i].name, name, strlen(name)) == 0;
    return found;
}

static void check_passed(const struct request_head *head)
{
    require(count(head, "host") == 1 && count(head, "transfer-encoding") == 0);
    require(count(head, "content-length") <= 1);
    for (size_t i = 0; i < head->header_count; i++)
        for (size_t j = 0; j < head->headers[i].value_length; j++)
            require((unsigned char)head->headers[i].value[j] >= 0x20 ||
                    head->headers[i].value[j] == '\t');
}

static char *cut(char **at, char *end, char mark)
{
    char *text = *at;
    char *found = memchr(text, mark, (size_t)(end - text));
    *at = found ? found + 1 : end;
    if (found)
        *found = '\0';
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"localhost", "::1", NULL};
    AUTO_FREE char *text = calloc(1, size + 2);
    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    char *at = text;
    char *end = text + size;
    char *line = cut(&at, end, '\n');
    char *line_end = line + strlen(line);
    struct http_header headers[HEADERS];
    struct request_head head = {.headers = headers};
    head.method = cut(&line, line_end, '\t');
    head.target = cut(&line, line_end, '\t');
    head.version = line;
    while (at < end && head.header_count < HEADERS) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *stop = newline ? newline : end;
        char *tab = memchr(at, '\t', (size_t)(stop - at));
        char *name_end = tab ? tab : stop;
        char *value = tab ? tab + 1 : stop;
        headers[head.header_count++] =
            (struct http_header){at, value, (size_t)(name_end - at), (size_t)(stop - value)};
        at = newline ? newline + 1 : end;
    }
    struct request_guard_result result;
    if (request_guard_check(&head, hosts, &result) == 0)
        check_passed(&head);
    else
        require(result.status >= 400 && result.code && result.detail);
    char decoded[64];
    if (request_guard_decode_query((const char *)data, size, decoded, sizeof(decoded)) == 0)
        require(strlen(decoded) < sizeof(decoded));
    return 0;
}
