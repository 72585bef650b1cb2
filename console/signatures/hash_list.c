/* Owns the form of such a list. Must not know what being on it means. */
#include "console/signatures/hash_list.h"

#include "common/text/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define BLANKS " \t\r"
#define DIGITS "0123456789abcdefABCDEF"

static bool is_hash_length(size_t digits)
{
    return digits == 32 || digits == 40 || digits == 64;
}

/* The size of ClamAV's form says nothing that the hash does not. */
static const char *skip_size(const char *at, const char *end)
{
    const char *colon = memchr(at, ':', (size_t)(end - at));

    if (colon == NULL)
        return at;
    for (const char *digit = at; digit < colon; digit++)
        if (strchr("0123456789*", *digit) == NULL)
            return at;
    return colon + 1;
}

/* What is no letter of a signature's name becomes "_". */
static void take_name(const char *at, const char *end, struct hash_entry *entry)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = 0;

    while (at < end && (strchr(BLANKS "*", *at) != NULL || *at == ':'))
        at++;
    for (; at < end && length + 1 < sizeof entry->name; at++) {
        if (*at == ':') /* ClamAV's levels of its engine */
            break;
        entry->name[length++] = strchr(letters, *at) != NULL ? *at : '_';
    }
    entry->name[length] = '\0';
}

/* 1 an entry, 0 nothing but blanks, -EINVAL. */
static int read_line(const char *at, const char *end, struct hash_entry *ret_entry)
{
    const char *comment = memchr(at, '#', (size_t)(end - at));

    if (comment != NULL)
        end = comment;
    while (at < end && strchr(BLANKS, *at) != NULL)
        at++;
    while (end > at && strchr(BLANKS, end[-1]) != NULL)
        end--;
    if (at == end)
        return 0;
    size_t digits = MIN(strspn(at, DIGITS), (size_t)(end - at));
    bool ends = at + digits == end || strchr(BLANKS ":,", at[digits]) != NULL;
    if (!is_hash_length(digits) || !ends)
        return -EINVAL;
    *ret_entry = (struct hash_entry){.digits = digits};
    for (size_t i = 0; i < digits; i++)
        ret_entry->hash[i] = at[i] >= 'A' && at[i] <= 'F' ? (char)(at[i] - 'A' + 'a') : at[i];
    at += digits;
    if (at < end && (*at == ':' || *at == ','))
        at = skip_size(at + 1, end);
    take_name(at, end, ret_entry);
    return 1;
}

int hash_list_read(const char *text, size_t most,
                   int (*each)(void *user, const struct hash_entry *entry), void *user,
                   size_t *ret_count, struct hash_list_problem *ret_problem)
{
    struct hash_entry entry;
    size_t number = 0, count = 0;

    ret_problem->text[0] = '\0';
    for (const char *at = text; *at != '\0';) {
        const char *end = at + strcspn(at, "\n");
        number++;
        int r = read_line(at, end, &entry);
        if (r < 0) {
            (void)text_format(ret_problem->text, sizeof ret_problem->text,
                              "line %zu: write an MD5, SHA-1 or SHA-256 in hexadecimal, then a "
                              "name if you like",
                              number);
            return -EINVAL;
        }
        if (r == 1 && ++count > most) {
            (void)text_format(ret_problem->text, sizeof ret_problem->text,
                              "line %zu: more than %zu hashes", number, most);
            return -E2BIG;
        }
        if (r == 1 && each != NULL && (r = each(user, &entry)) != 0)
            return r;
        at = *end == '\n' ? end + 1 : end;
    }
    *ret_count = count;
    return 0;
}
