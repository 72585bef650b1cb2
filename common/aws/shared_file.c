/* INI as AWS's tools write it. Owns: the syntax. */
#include "common/aws/shared_file.h"

#include "common/text/text.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

struct setting {
    const char *key;
    size_t offset, size;
};
#define SETTING(key, field)                                                                      \
    {                                                                                            \
        key, offsetof(struct shared_profile, field), sizeof(((struct shared_profile *)0)->field) \
    }

static const struct setting settings[] = {
    SETTING("aws_access_key_id", access_key_id),
    SETTING("aws_secret_access_key", secret_access_key),
    SETTING("aws_session_token", session_token),
    SETTING("region", region),
    SETTING("endpoint_url", endpoint),
    SETTING("use_fips_endpoint", fips),
    SETTING("use_dualstack_endpoint", dual_stack),
};

static const char *const other_sources[] = {"role_arn", "credential_process", "sso_session",
                                            "sso_start_url", "web_identity_token_file"};

struct span {
    const char *text;
    size_t length;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trim(struct span span)
{
    while (span.length > 0 && is_blank(span.text[0])) {
        span.text++;
        span.length--;
    }
    while (span.length > 0 && is_blank(span.text[span.length - 1]))
        span.length--;
    return span;
}

static bool equals(struct span span, const char *text)
{
    return strlen(text) == span.length && memcmp(span.text, text, span.length) == 0;
}

/* A comment within a line begins after a blank. */
static struct span without_comment(struct span span)
{
    for (size_t i = 1; i < span.length; i++)
        if ((span.text[i] == '#' || span.text[i] == ';') && is_blank(span.text[i - 1]))
            span.length = i;
    return trim(span);
}

/* "[default]", "[NAME]", "[profile NAME]". */
static bool is_section_of(struct span line, const char *profile, bool in_config)
{
    static const char word[] = "profile";
    const char *end = memchr(line.text, ']', line.length);

    if (end == NULL)
        return false;
    struct span name = trim((struct span){line.text + 1, (size_t)(end - line.text) - 1});
    if (equals(name, profile) && (!in_config || text_equal(profile, "default")))
        return true;
    if (!in_config || name.length <= strlen(word) || memcmp(name.text, word, strlen(word)) != 0 ||
        !is_blank(name.text[strlen(word)]))
        return false;
    return equals(trim((struct span){name.text + strlen(word), name.length - strlen(word)}),
                  profile);
}

static int take_value(struct shared_profile *found, struct span key, struct span value)
{
    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++)
        if (equals(key, settings[i].key)) {
            int r = text_format((char *)found + settings[i].offset, settings[i].size, "%.*s",
                                (int)value.length, value.text);
            return r < 0 ? r : 0;
        }
    for (size_t i = 0; i < ARRAY_LENGTH(other_sources); i++)
        if (equals(key, other_sources[i]))
            (void)text_copy(found->other_source, sizeof found->other_source, other_sources[i]);
    return 0;
}

static int take_line(struct shared_profile *found, struct span line)
{
    const char *sign = memchr(line.text, '=', line.length);

    /* Indented lines belong to the value above (nested settings); none that we use has them. */
    if (sign == NULL || is_blank(line.text[0]))
        return 0;
    struct span key = trim((struct span){line.text, (size_t)(sign - line.text)});
    struct span value = {sign + 1, line.length - (size_t)(sign - line.text) - 1};
    return take_value(found, key, without_comment(value));
}

static struct span next_line(const char **text, size_t *left)
{
    const char *end = memchr(*text, '\n', *left);
    struct span line = {*text, end != NULL ? (size_t)(end - *text) : *left};
    size_t consumed = line.length + (end != NULL);

    *text += consumed;
    *left -= consumed;
    return line;
}

/* Keys go together: none is mixed from two files. */
static void merge(struct shared_profile *profile, const struct shared_profile *found)
{
    bool has_keys = profile->access_key_id[0] != '\0';

    for (size_t i = 0; i < ARRAY_LENGTH(settings); i++) {
        char *field = (char *)profile + settings[i].offset;
        if (field[0] == '\0' && !(has_keys && text_starts_with(settings[i].key, "aws_")))
            (void)text_copy(field, settings[i].size, (const char *)found + settings[i].offset);
    }
    if (profile->other_source[0] == '\0')
        (void)text_copy(profile->other_source, sizeof profile->other_source, found->other_source);
}

int shared_file_read(const char *text, size_t length, const char *profile, bool in_config,
                     struct shared_profile *ret_profile)
{
    struct shared_profile found = {.region = ""};
    bool inside = false, seen = false;
    int r = length == 0 || memchr(text, '\0', length) == NULL ? 0 : -EBADMSG;

    while (r == 0 && length > 0) {
        struct span line = next_line(&text, &length);
        if (line.length == 0 || line.text[0] == '#' || line.text[0] == ';')
            continue;
        if (line.text[0] == '[') {
            inside = is_section_of(line, profile, in_config);
            seen |= inside;
        } else if (inside) {
            r = take_line(&found, line);
        }
    }
    if (r == 0)
        merge(ret_profile, &found);
    explicit_bzero(&found, sizeof found);
    return r < 0 ? r : seen ? 0 : -ENOENT;
}
