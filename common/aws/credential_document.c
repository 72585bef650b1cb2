/* Temporary credentials as JSON. Owns: the names of its members. */
#include "common/aws/credential_document.h"

#include "common/text/text.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>
#include <time.h>

/* "2026-11-22T03:04:05Z", also with a fraction. 0 when it is something else. */
static uint64_t read_time(const char *text)
{
    struct tm utc = {.tm_year = 0};

    const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
    if (end == NULL || (*end != 'Z' && *end != '.'))
        return 0;
    time_t seconds = timegm(&utc);
    return seconds > 0 ? (uint64_t)seconds : 0;
}

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}

/* An outsider's words, made fit to be shown. */
static int refuse(const json_t *object, char *problem, size_t size)
{
    char code[64], message[256];
    const char *given_code = member(object, "Code"), *given = member(object, "Message");

    if (given_code[0] == '\0' || text_equal(given_code, "Success"))
        given_code = member(object, "code");
    if (given[0] == '\0')
        given = member(object, "message");
    (void)text_escape(code, sizeof code, given_code, strlen(given_code));
    (void)text_escape(message, sizeof message, given, strlen(given));
    if (code[0] == '\0' && message[0] == '\0')
        (void)text_copy(problem, size, "the answer holds no credentials");
    else
        (void)text_format(problem, size, "%s: %s", code, message);
    return -EBADMSG;
}

static int read_object(const json_t *object, struct aws_keys *keys, uint64_t *ret_expires_s,
                       char *problem, size_t problem_size)
{
    const char *code = member(object, "Code");

    if ((code[0] != '\0' && !text_equal(code, "Success")) ||
        member(object, "AccessKeyId")[0] == '\0' || member(object, "SecretAccessKey")[0] == '\0')
        return refuse(object, problem, problem_size);
    if (text_copy(keys->access_key_id, sizeof keys->access_key_id, member(object, "AccessKeyId")) <
            0 ||
        text_copy(keys->secret_access_key, sizeof keys->secret_access_key,
                  member(object, "SecretAccessKey")) < 0 ||
        text_copy(keys->session_token, sizeof keys->session_token, member(object, "Token")) < 0) {
        explicit_bzero(keys, sizeof *keys);
        (void)text_copy(problem, problem_size, "the credentials are longer than any known ones");
        return -EBADMSG;
    }
    *ret_expires_s = read_time(json_string_value(json_object_get(object, "Expiration")));
    return 0;
}

int credential_document_read(const char *text, size_t length, struct aws_keys *ret_keys,
                             uint64_t *ret_expires_s, char *problem, size_t problem_size)
{
    json_t *object =
        length <= CREDENTIAL_DOCUMENT_MOST_BYTES ? json_loadb(text, length, 0, NULL) : NULL;

    if (!json_is_object(object)) {
        json_decref(object);
        (void)text_copy(problem, problem_size, "the answer is no JSON");
        return -EBADMSG;
    }
    int r = read_object(object, ret_keys, ret_expires_s, problem, problem_size);
    json_decref(object);
    return r;
}
