/* What looks like a secret. Owns the list. Rather one word too many than one too few. */
#include "agent/control/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define REMOVED       "(removed)"
#define TOKEN_LEAST   16  /* characters after y?1 that make a token of ours */
#define USERINFO_MOST 512 /* bytes between :// and @ */

struct scan {
    const char *text;
    size_t length, at;
    struct buffer *redacted;
};

static bool is_at(const struct scan *scan, size_t at, const char *word)
{
    size_t length = strlen(word);

    return scan->length - at >= length && memcmp(scan->text + at, word, length) == 0;
}

static bool is_word(char character)
{
    return isalnum((unsigned char)character) || character == '_' || character == '-';
}

static void copy(struct scan *scan, size_t count)
{
    (void)buffer_append(scan->redacted, scan->text + scan->at, count);
    scan->at += count;
}

static void remove_to(struct scan *scan, size_t end)
{
    (void)buffer_append_text(scan->redacted, REMOVED);
    scan->at = end;
}

/* ---- private keys ---- */

static bool take_private_key(struct scan *scan)
{
    static const char begin[] = "-----BEGIN ", last[] = "PRIVATE KEY-----", end[] = "-----END ";
    size_t at = scan->at + strlen(begin);

    if (!is_at(scan, scan->at, begin))
        return false;
    while (at < scan->length && (isupper((unsigned char)scan->text[at]) || scan->text[at] == ' ') &&
           !is_at(scan, at, last))
        at++;
    if (at >= scan->length || !is_at(scan, at, last))
        return false;
    copy(scan, at + strlen(last) - scan->at);
    const char *found = memmem(scan->text + scan->at, scan->length - scan->at, end, strlen(end));
    remove_to(scan, found != NULL ? (size_t)(found - scan->text) : scan->length);
    return true;
}

/* ---- our own ---- */

static bool take_token(struct scan *scan)
{
    const char *text = scan->text + scan->at;
    size_t left = scan->length - scan->at, count = 3;

    if ((scan->at > 0 && is_word(text[-1])) || left < 3 || text[0] != 'y' ||
        !islower((unsigned char)text[1]) || text[2] != '1')
        return false;
    while (count < left && (is_word(text[count]) || text[count] == '.'))
        count++;
    if (count < 3 + TOKEN_LEAST)
        return false;
    copy(scan, 3);
    remove_to(scan, scan->at + count - 3);
    return true;
}

/* ---- URLs ---- */

static bool take_userinfo(struct scan *scan)
{
    size_t at = scan->at + 3;

    if (!is_at(scan, scan->at, "://"))
        return false;
    while (at < scan->length && at - scan->at < USERINFO_MOST &&
           strchr("@/ \t\r\n\"'<>?#", scan->text[at]) == NULL)
        at++;
    if (at >= scan->length || scan->text[at] != '@')
        return false;
    copy(scan, 3);
    remove_to(scan, at);
    return true;
}

/* ---- names that say what stands beside them ---- */

static size_t secret_name(const struct scan *scan)
{
    static const char *const names[] = {"password",    "passphrase", "passwd",     "secret",
                                        "token",       "api_key",    "apikey",     "secret_key",
                                        "private_key", "access_key", "credential", "authorization"};

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        size_t length = strlen(names[i]);
        if (scan->length - scan->at >= length &&
            strncasecmp(scan->text + scan->at, names[i], length) == 0)
            return length;
    }
    return 0;
}

/* Where the value begins behind the name: after an optional quote, = or :, spaces, and a quote that
 * is told. 0: no value follows. */
static size_t value_begin(const struct scan *scan, size_t at, char *ret_quote)
{
    *ret_quote = '\0';
    while (at < scan->length && strchr("\\\"'", scan->text[at]) != NULL && scan->text[at] != '\0')
        at++;
    while (at < scan->length && (scan->text[at] == ' ' || scan->text[at] == '\t'))
        at++;
    if (at >= scan->length || (scan->text[at] != '=' && scan->text[at] != ':'))
        return 0;
    at++;
    while (at < scan->length && (scan->text[at] == ' ' || scan->text[at] == '\t'))
        at++;
    /* Inside another text a quote has a backslash, which then ends the value, too. */
    if (at + 1 < scan->length && scan->text[at] == '\\' && scan->text[at + 1] == '"') {
        *ret_quote = '\\';
        return at + 2;
    }
    if (at < scan->length && (scan->text[at] == '"' || scan->text[at] == '\''))
        *ret_quote = scan->text[at++];
    return at;
}

static size_t value_end(const struct scan *scan, size_t at, char quote)
{
    for (; at < scan->length; at++) {
        char character = scan->text[at];
        if (quote != '\0' ? character == quote
                          : character != '\0' && strchr("\r\n\"',;{}[]", character) != NULL)
            return at;
        if (quote != '\0' && character == '\\' && at + 1 < scan->length)
            at++;
        else if (quote != '\0' && character == '\n')
            return at;
    }
    return at;
}

static bool take_named(struct scan *scan)
{
    size_t name = secret_name(scan);
    char quote;

    if (name == 0)
        return false;
    size_t begin = value_begin(scan, scan->at + name, &quote);
    if (begin == 0)
        return false;
    size_t end = value_end(scan, begin, quote);
    copy(scan, begin - scan->at);
    if (end > begin)
        remove_to(scan, end);
    return true;
}

/* How many bytes follow with which nothing that is looked for begins. */
static size_t plain_bytes(const struct scan *scan)
{
    size_t at = scan->at;

    while (at < scan->length &&
           (scan->text[at] == '\0' || strchr("-:ypstacPSTAC", scan->text[at]) == NULL))
        at++;
    return at - scan->at;
}

int redact(const char *text, size_t length, struct buffer *redacted)
{
    struct scan scan = {.text = text, .length = length, .redacted = redacted};

    while (scan.at < scan.length && buffer_failed(redacted) == 0) {
        copy(&scan, plain_bytes(&scan));
        if (scan.at < scan.length && !take_private_key(&scan) && !take_token(&scan) &&
            !take_userinfo(&scan) && !take_named(&scan))
            copy(&scan, 1);
    }
    return buffer_failed(redacted);
}
