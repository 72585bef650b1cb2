/* Correlation of paths and commands with the values of a request. */
#include "application/preload/request_values.h"

#include "application/runtime_area.h"

#include <string.h>
#include <strings.h>

/* Shorter ends of paths say nothing. */
#define SHORTEST_END      4
#define SHORTEST_ABSOLUTE 6

static bool is_separator(char byte)
{
    return byte == '/' || byte == '\\';
}

/* Behind the last ".." between separators; length when there is none. */
static size_t behind_climb(struct request_text value)
{
    size_t behind = value.length;

    for (size_t i = 0; i + 2 <= value.length; i++) {
        bool begins = i == 0 || is_separator(value.data[i - 1]);
        bool ends = i + 2 == value.length || is_separator(value.data[i + 2]);
        if (begins && ends && value.data[i] == '.' && value.data[i + 1] == '.')
            behind = i + 2;
    }
    return behind;
}

static bool stands_at(const char *path, struct request_text part)
{
    for (size_t i = 0; i < part.length; i++) {
        if (path[i] != part.data[i] && !(is_separator(path[i]) && is_separator(part.data[i])))
            return false;
    }
    return true;
}

/* Separators of either kind are one. Functions add endings to what they are given, so the part may
 * stand anywhere. */
static bool contains(const char *path, size_t length, struct request_text part)
{
    for (size_t at = 0; part.length >= SHORTEST_END && at + part.length <= length; at++) {
        if (stands_at(path + at, part))
            return true;
    }
    return false;
}

/* Some look no further than a NUL. */
static struct request_text before_nul(struct request_text value)
{
    const char *nul = value.length == 0 ? NULL : memchr(value.data, '\0', value.length);

    return (struct request_text){value.data,
                                 nul == NULL ? value.length : (size_t)(nul - value.data)};
}

/* Without "file:" and all but one of the separators behind it. */
static struct request_text without_scheme(struct request_text value)
{
    static const char scheme[] = "file:";

    if (value.length < sizeof scheme || strncasecmp(value.data, scheme, sizeof scheme - 1) != 0)
        return value;
    value.data += sizeof scheme - 1;
    value.length -= sizeof scheme - 1;
    while (value.length > 1 && value.data[0] == '/' && value.data[1] == '/') {
        value.data++;
        value.length--;
    }
    return value;
}

bool request_value_leads(struct request_text value, const char *path)
{
    size_t length = strlen(path);

    value = before_nul(value);
    size_t behind = behind_climb(value);
    if (behind < value.length)
        return contains(path, length,
                        (struct request_text){value.data + behind, value.length - behind});
    value = without_scheme(value);
    return value.length >= SHORTEST_ABSOLUTE && value.data[0] == '/' && length == value.length &&
           stands_at(path, value);
}

/* Reads a command as a shell does, as far as quotes go. */
struct shell_walk {
    char quote; /* '\'', '"', or 0 */
    bool escaped;
};

/* True when the byte does more than stand for itself. */
static bool acts(struct shell_walk *walk, char byte)
{
    if (walk->escaped) {
        walk->escaped = false;
        return false;
    }
    if (walk->quote == '\'') {
        walk->quote = byte == '\'' ? 0 : walk->quote;
        return byte == '\'';
    }
    if (byte == '\\') {
        walk->escaped = true;
        return false;
    }
    if (walk->quote == '"') {
        walk->quote = byte == '"' ? 0 : walk->quote;
        return byte == '"' || byte == '$' || byte == '`';
    }
    if (byte == '\'' || byte == '"')
        walk->quote = byte;
    return byte != '\0' && strchr("'\";|&$`<>\n(){}", byte) != NULL;
}

bool request_value_commands(struct request_text value, const char *command)
{
    struct shell_walk walk = {0};
    size_t length = strlen(command), left = 0; /* of the value that the walk is inside of */

    if (length == value.length && memcmp(command, value.data, length) == 0 &&
        memchr(command, ' ', length) != NULL)
        return true;
    for (size_t i = 0; i < length; i++) {
        if (length - i >= value.length && memcmp(command + i, value.data, value.length) == 0)
            left = value.length;
        if (acts(&walk, command[i]) && left > 0)
            return true;
        left -= left > 0;
    }
    return false;
}

bool request_values_find(const char *records, size_t length, request_test test, const char *text,
                         struct request_text *ret_value)
{
    size_t at = 0;

    while (at + 2 <= length) {
        struct request_text value = {records + at + 2,
                                     (unsigned char)records[at] |
                                         (size_t)(unsigned char)records[at + 1] << 8};
        if (value.length > length - at - 2)
            return false;
        if (value.length >= RUNTIME_AREA_SHORTEST && test(value, text)) {
            *ret_value = value;
            return true;
        }
        at += 2 + value.length;
    }
    return false;
}
