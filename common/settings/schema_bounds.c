/* Owns: whether one text is a value that a rule allows, and its normal form. Must not own: where it
 * stands (schema.c). */
#include <ctype.h>
#include <errno.h>

#include "common/limits.h"
#include "common/settings/schema_private.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/time/schedule.h"

#define BOUND_BYTES  64
#define SHA256_CHARS 64

int schema_parse_scalar(enum settings_type type, const char *text, uint64_t *ret_number)
{
    if (type == SETTINGS_SIZE)
        return text_parse_size(text, ret_number);
    if (type == SETTINGS_DURATION)
        return text_parse_duration(text, ret_number);
    return text_parse_u64(text, ret_number);
}

/* 0 inside, -ERANGE outside, -EINVAL when the rule's own bounds are wrong. */
int schema_check_range(const struct settings_rule *rule, uint64_t number)
{
    const char *dots = strstr(rule->bounds, "..");
    if (dots == NULL)
        return rule->bounds[0] == '\0' ? 0 : -EINVAL;
    char least[BOUND_BYTES];
    int r = text_format(least, sizeof(least), "%.*s", (int)(dots - rule->bounds), rule->bounds);
    if (r < 0)
        return -EINVAL;
    uint64_t low = 0, high = 0;
    if (schema_parse_scalar(rule->type, least, &low) < 0 ||
        schema_parse_scalar(rule->type, dots + strlen(".."), &high) < 0)
        return -EINVAL;
    return number >= low && number <= high ? 0 : -ERANGE;
}

bool schema_is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; *at != '\0';) {
        size_t size = strcspn(at, "|");
        if (size == length && memcmp(at, text, size) == 0)
            return true;
        at += size + (at[size] == '|');
    }
    return false;
}

/* --- texts: what is wrong with one, or NULL ----------------------------------------------------
 */

static const char *problem_of_path(const char *text)
{
    if (text[0] != '/')
        return "must be an absolute path, beginning with /";
    if (strlen(text) >= LIMIT_PATH_BYTES)
        return "is longer than a path may be";
    if (strstr(text, "${") != NULL)
        return "holds ${...}, which is not expanded; write the path";
    for (const char *at = text; *at != '\0'; at += strcspn(at + 1, "/") + 1) {
        size_t size = strcspn(at + 1, "/");
        if (size == 0 && at[1] != '\0')
            return "holds // ; write one slash";
        if ((size == 1 && at[1] == '.') || (size == 2 && at[1] == '.' && at[2] == '.'))
            return "holds a . or .. part; write the path without it";
    }
    return NULL;
}

static const char *problem_of_pattern(const char *text)
{
    if (strstr(text, "**") != NULL)
        return "holds ** ; * stands for anything within one level, and a directory covers all below";
    return NULL;
}

/* A name without a slash stands for every directory of that name. */
static const char *problem_of_directory(const char *text)
{
    if (text[0] != '\0' && strchr(text, '/') == NULL)
        return strspn(text, "*.") == strlen(text)
                   ? "would leave everything unprotected; name the directories that need it"
                   : problem_of_pattern(text);
    const char *problem = problem_of_path(text);
    if (problem != NULL)
        return problem;
    if (text_equal(text, "/") || text_equal(text, "/*") || text_equal(text, "/*/"))
        return "would leave everything unprotected; name the directories that need it";
    return problem_of_pattern(text);
}

static const char *problem_of_file(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strchr(text, '/') == NULL)
        return strspn(text, "*") == strlen(text)
                   ? "would leave every file unprotected; write part of the name"
                   : problem_of_pattern(text);
    const char *problem = problem_of_path(text);
    if (problem != NULL)
        return problem;
    if (text_ends_with(text, "/"))
        return "is a directory; put it into the list of excluded directories";
    return problem_of_pattern(text);
}

static const char *problem_of_extension(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (text[0] == '.')
        return "begins with a dot; write the extension without it";
    if (strpbrk(text, "/*") != NULL)
        return "must be a plain extension such as \"log\", without / and *";
    return NULL;
}

static const char *problem_of_sha256(const char *text)
{
    return strlen(text) == SHA256_CHARS && strspn(text, "0123456789abcdefABCDEF") == SHA256_CHARS
               ? NULL
               : "is not a SHA-256 of 64 hexadecimal digits";
}

static const char *problem_of_name(const char *text)
{
    if (text[0] == '\0' || text[0] == '.' || text[0] == '-')
        return "must begin with a letter, digit or _";
    for (const char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("._-", *at) == NULL)
            return "may hold letters, digits, '.', '_' and '-' only";
    }
    return NULL;
}

static const char *problem_of_window(const char *text)
{
    unsigned begin, end;

    return schedule_parse_window(text, &begin, &end) == 0
               ? NULL
               : "is not a daily time span such as 22:00-05:00";
}

const char *schema_problem_of_text(const char *bounds, const char *text)
{
    static const struct {
        const char *bounds;
        const char *(*problem)(const char *text);
    } checks[] = {
        {"absolute", problem_of_path}, {"directory", problem_of_directory},
        {"file", problem_of_file},     {"extension", problem_of_extension},
        {"sha256", problem_of_sha256}, {"name", problem_of_name},
        {"window", problem_of_window},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(checks); i++) {
        if (text_equal(bounds, checks[i].bounds))
            return checks[i].problem(text);
    }
    if (text_equal(bounds, "text") && text[0] == '\0')
        return "is empty";
    return NULL;
}

/* The one spelling that is kept: directories by their bounds with or without the last slash, digits
 * of hashes in lower case. */
char *schema_normal_text(const char *bounds, const char *text)
{
    bool directory = text_equal(bounds, "directory") && text[0] == '/';
    char *copy = text_format_new("%s%s", text, directory ? "/" : "");
    if (copy == NULL)
        return NULL;
    size_t length = strlen(copy);
    if (directory && length > 1 && copy[length - 2] == '/')
        copy[length - 1] = '\0';
    else if (text_equal(bounds, "absolute") && length > 1 && copy[length - 1] == '/')
        copy[length - 1] = '\0';
    if (text_equal(bounds, "sha256")) {
        for (char *at = copy; *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
    }
    return copy;
}
