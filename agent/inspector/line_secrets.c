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

static bool is_one_of(char byte, const char *set)
{
    return byte != '\0' && strchr(set, byte) != NULL;
}

static size_t skip_blanks(const char *line, size_t at, size_t length)
{
    while (at < length && is_one_of(line[at], " \t"))
        at++;
    return at;
}

/* Of a word: a blank behind a backslash does not end it. */
static size_t word_end(const char *line, size_t at, size_t length)
{
    for (; at < length && !is_one_of(line[at], " \t"); at++)
        if (line[at] == '\\' && length - at > 1)
            at++;
    return at;
}

/* Of what stands in the quotes of the byte quote. */
static size_t quoted_end(const char *line, size_t at, size_t length, char quote)
{
    const char *end = memchr(line + at, quote, length - at);

    return end != NULL ? (size_t)(end - line) : length;
}

static bool is_scheme(const char *word, size_t length)
{
    static const char *const schemes[] = {"basic", "bearer", "digest", "token"};

    for (size_t i = 0; i < ARRAY_LENGTH(schemes); i++)
        if (length == strlen(schemes[i]) && strncasecmp(word, schemes[i], length) == 0)
            return true;
    return false;
}

static bool is_header(const char *name, size_t length)
{
    static const char authorization[] = "authorization";
    const size_t size = sizeof authorization - 1;

    return length >= size && strncasecmp(name + length - size, authorization, size) == 0;
}

/* Of the value that begins at: a header's goes on to the end of its quotes or line. */
static size_t value_end(const char *line, size_t at, size_t length, bool header)
{
    size_t end = at;

    if (at > 0 && is_one_of(line[at - 1], "\"'"))
        return quoted_end(line, at, length, line[at - 1]);
    while (end < length && !is_one_of(line[end], header ? "\"'" : " \t\"';,"))
        end++;
    if (is_scheme(line + at, end - at))
        end = word_end(line, skip_blanks(line, end, length), length);
    return end;
}

/* The value behind a name and = or :, or behind a name that is an option. */
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
               (isalnum((unsigned char)line[start - 1]) || is_one_of(line[start - 1], "_-")))
            start--;
        bool option = line[start] == '-', header = is_header(line + start, end - start);
        while (end < length && is_one_of(line[end], "\"'"))
            end++;
        if (end >= length ||
            !(line[end] == '=' || line[end] == ':' || (option && line[end] == ' ')))
            continue;
        end++;
        while (end < length && is_one_of(line[end], " \"'"))
            end++;
        at = value_end(line, end, length, header);
        hide(line, end, at);
    }
}

/* ---- what commands are given ---- */

/* The letter of the option by which commands of this name (its beginning) take a password. */
static char password_option(const char *name, size_t length)
{
    static const struct {
        const char *name;
        char option;
    } commands[] = {{"7z", 'p'},      {"ldap", 'w'},  {"login", 'p'},   {"mariadb", 'p'},
                    {"mongo", 'p'},   {"mysql", 'p'}, {"redis", 'a'},   {"snmp", 'c'},
                    {"sshpass", 'p'}, {"unzip", 'P'}, {"useradd", 'p'}, {"usermod", 'p'},
                    {"zip", 'P'}};

    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        size_t size = strlen(commands[i].name);
        if (length >= size && memcmp(name, commands[i].name, size) == 0)
            return commands[i].option;
    }
    return '\0';
}

/* "/usr/bin/mysql", "COMMAND=/usr/bin/mysql", "(mysql": mysql. */
static char command_option(const char *word, size_t length)
{
    size_t at = length;

    while (at > 0 && !is_one_of(word[at - 1], "/=\"'("))
        at--;
    return password_option(word + at, length - at);
}

static bool holds_pass(const char *word, size_t length)
{
    for (size_t at = 0; length - at >= 4; at++)
        if (strncasecmp(word + at, "pass", 4) == 0)
            return true;
    return false;
}

static bool takes_user(const char *word, size_t length)
{
    return (length >= 2 && (word[1] == 'u' || word[1] == 'U')) ||
           (length >= 5 && memmem(word, length, "user", 4) != NULL);
}

/* Where the word's own value begins: behind = or behind the letter; else in the next word. */
static size_t option_value(const char *line, size_t at, size_t end, size_t length)
{
    const char *sign = memchr(line + at, '=', end - at);
    bool letter = end - at > 1 && line[at + 1] != '-';

    if (letter && end - at > 2)
        return at + 2;
    return !letter && sign != NULL ? (size_t)(sign - line) + 1 : skip_blanks(line, end, length);
}

/* Of what an option is given, with its quotes. */
static size_t given_end(const char *line, size_t at, size_t length)
{
    if (at < length && is_one_of(line[at], "\"'"))
        at = quoted_end(line, at + 1, length, line[at]);
    return word_end(line, at, length);
}

static bool holds_pair(const char *value, size_t length)
{
    return memchr(value, ':', length) != NULL || memchr(value, '%', length) != NULL;
}

/* Hides what the option at..end is given, when that is secret. Returns where to go on. */
static size_t hide_option(char *line, size_t at, size_t end, size_t length, char password)
{
    const char *word = line + at;
    size_t value = option_value(line, at, end, length), to = given_end(line, value, length);

    if (end - at < 2)
        return end;
    bool secret = (password != '\0' && word[1] == password) ||
                  (takes_user(word, end - at) && holds_pair(line + value, to - value));
    if (!secret && holds_pass(word, end - at)) { /* -storepass x */
        const char *sign = memchr(word, '=', end - at);
        secret = true;
        value = sign != NULL ? (size_t)(sign - line) + 1 : skip_blanks(line, end, length);
        to = given_end(line, value, length);
    }
    if (!secret)
        return end;
    hide(line, value, to);
    return MAX(to, end);
}

static void hide_options(char *line, size_t length)
{
    char password = '\0';

    for (size_t at = skip_blanks(line, 0, length), end; at < length;
         at = skip_blanks(line, end, length)) {
        end = word_end(line, at, length);
        if (line[at] == '-') {
            end = hide_option(line, at, end, length, password);
            continue;
        }
        char option = command_option(line + at, end - at);
        if (option != '\0')
            password = option;
    }
}

/* "Basic dXNlcjp4", not "Basic authentication". */
static bool looks_encoded(const char *word, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (isdigit((unsigned char)word[i]) || is_one_of(word[i], "+=") ||
            (i > 0 && isupper((unsigned char)word[i])))
            return true;
    return false;
}

static void hide_schemes(char *line, size_t length)
{
    for (size_t at = skip_blanks(line, 0, length); at < length;) {
        size_t end = word_end(line, at, length), next = skip_blanks(line, end, length);
        size_t to = word_end(line, next, length);
        while (at < end && is_one_of(line[at], "\"'(["))
            at++;
        if (is_scheme(line + at, end - at) &&
            (tolower((unsigned char)line[at + 1]) == 'e' || looks_encoded(line + next, to - next)))
            hide(line, next, to);
        at = next;
    }
}

void line_secrets_hide_said(char *line, size_t length)
{
    hide_assigned(line, length);
    hide_options(line, length);
    hide_schemes(line, length);
    hide_address(line, length);
    hide_runs(line, length);
}

void line_secrets_hide(char *line, size_t length)
{
    hide_named(line, length);
    hide_address(line, length);
    hide_runs(line, length);
}
