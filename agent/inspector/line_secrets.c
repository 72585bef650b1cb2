/* Owns: what is taken for a secret. Rather too much than too little: the line's name and place
 * stay.
 */
#include "agent/inspector/line_secrets.h"

#include "common/attributes.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { RUN_BYTES = 24 }; /* letters and digits in one piece, both of them: a key, a hash, a token */

static void hide(char *line, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (line[i] != ' ' && line[i] != '\t')
            line[i] = '*';
}

static size_t find_name(const char *line, size_t length)
{
    static const char *const names[] = {"password",   "passwd",    "passphrase", "secret",
                                        "token",      "apikey",    "api_key",    "api-key",
                                        "credential", "private",   "access_key", "accesskey",
                                        "auth",       "community", "pwd",        "psk",
                                        "salt"};

    for (size_t at = 0; at < length; at++)
        for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
            size_t size = strlen(names[i]);
            if (length - at >= size && strncasecmp(line + at, names[i], size) == 0)
                return at + size;
        }
    return length;
}

/* Everything behind the name and what separates it from its value. */
static void hide_named(char *line, size_t length)
{
    size_t at = find_name(line, length);

    while (at < length && (isalnum((unsigned char)line[at]) || strchr("_-\"'", line[at]) != NULL))
        at++;
    while (at < length && strchr(" \t:=>", line[at]) != NULL)
        at++;
    hide(line, at, length);
}

/* user:password@ of an address. */
static void hide_address(char *line, size_t length)
{
    for (size_t at = 0; at + 3 < length; at++) {
        if (memcmp(line + at, "://", 3) != 0)
            continue;
        size_t from = at + 3, end = from;
        while (end < length && strchr("/ \t\"'", line[end]) == NULL)
            end++;
        const char *sign = memrchr(line + from, '@', end - from);
        if (sign != NULL)
            hide(line, from, (size_t)(sign - line));
    }
}

static bool is_run_byte(char byte)
{
    return isalnum((unsigned char)byte) || byte == '+' || byte == '/' || byte == '=' ||
           byte == '_' || byte == '-' || byte == '$' || byte == '.';
}

static bool looks_made(const char *run, size_t length)
{
    size_t digits = 0, letters = 0, parts = 0;

    for (size_t i = 0; i < length; i++) {
        digits += isdigit((unsigned char)run[i]) != 0;
        letters += isalpha((unsigned char)run[i]) != 0;
        parts += run[i] == '/' || run[i] == '.' || run[i] == '-' || run[i] == '_';
    }
    /* Paths, names of hosts and options have more parts and fewer digits. */
    return length >= RUN_BYTES && letters > 0 && digits >= 4 && parts * 6 < length;
}

static void hide_runs(char *line, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t end = at;
        while (end < length && is_run_byte(line[end]))
            end++;
        if (looks_made(line + at, end - at))
            hide(line, at, end);
        at = end + 1;
    }
}

/* The word behind a name and = or :, or behind a name that is an option. */
static void hide_assigned(char *line, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t name = find_name(line + at, length - at) + at, end = name;
        if (name >= length)
            return;
        at = name;
        while (end < length && (isalnum((unsigned char)line[end]) || line[end] == '_'))
            end++;
        size_t start = end;
        while (start > 0 &&
               (isalnum((unsigned char)line[start - 1]) || strchr("_-", line[start - 1]) != NULL))
            start--;
        bool option = length - start > 2 && line[start] == '-' && line[start + 1] == '-';
        while (end < length && strchr("\"'", line[end]) != NULL)
            end++;
        if (end >= length ||
            !(line[end] == '=' || line[end] == ':' || (option && line[end] == ' ')))
            continue;
        end++;
        while (end < length && strchr(" \"'", line[end]) != NULL)
            end++;
        size_t to = end;
        while (to < length && strchr(" \t\"';,", line[to]) == NULL)
            to++;
        hide(line, end, to);
        at = to;
    }
}

void line_secrets_hide_said(char *line, size_t length)
{
    hide_assigned(line, length);
    hide_address(line, length);
    hide_runs(line, length);
}

void line_secrets_hide(char *line, size_t length)
{
    hide_named(line, length);
    hide_address(line, length);
    hide_runs(line, length);
}
