#include "application/events/json_scan.h"

void json_blanks(struct json_cursor *cursor)
{
    while (cursor->at < cursor->end && (*cursor->at == ' ' || *cursor->at == '\n' ||
                                        *cursor->at == '\t' || *cursor->at == '\r'))
        cursor->at++;
}

static struct json_item fail(struct json_cursor *cursor)
{
    cursor->failed = true;
    return (struct json_item){.kind = JSON_NOTHING};
}

/* From behind the opening quote; leaves the cursor behind the closing one. */
static struct json_item scan_text(struct json_cursor *cursor)
{
    const char *first = cursor->at;
    const char *from = first;
    bool escaped = false;
    while (from < cursor->end) {
        const char *quote = memchr(from, '"', (size_t)(cursor->end - from));
        if (quote == NULL)
            break;
        const char *slash = quote;
        while (slash > first && slash[-1] == '\\')
            slash--;
        if ((quote - slash) % 2 == 0) {
            escaped = escaped || memchr(from, '\\', (size_t)(quote - from)) != NULL;
            cursor->at = quote + 1;
            return (struct json_item){JSON_TEXT, escaped, {first, (size_t)(quote - first)}};
        }
        escaped = true;
        from = quote + 1;
    }
    return fail(cursor);
}

static struct json_item scan_word(struct json_cursor *cursor)
{
    const char *first = cursor->at;
    while (cursor->at < cursor->end &&
           (byte_is_letter(*cursor->at) || byte_is_digit(*cursor->at) || *cursor->at == '-' ||
            *cursor->at == '+' || *cursor->at == '.'))
        cursor->at++;
    if (cursor->at == first)
        return fail(cursor);
    return (struct json_item){JSON_WORD, false, {first, (size_t)(cursor->at - first)}};
}

struct json_item json_scalar(struct json_cursor *cursor)
{
    if (cursor->at >= cursor->end)
        return fail(cursor);
    if (*cursor->at != '"')
        return scan_word(cursor);
    cursor->at++;
    return scan_text(cursor);
}

/* Passes over a whole container by counting brackets outside of texts; whether the brackets are of
 * the right kind shows when somebody enters. */
static struct json_item scan_container(struct json_cursor *cursor)
{
    const char *first = cursor->at;
    size_t depth = 0;
    while (cursor->at < cursor->end) {
        char byte = *cursor->at++;
        if (byte == '"') {
            if (scan_text(cursor).kind == JSON_NOTHING)
                return fail(cursor);
        } else if (byte == '{' || byte == '[') {
            depth++;
        } else if ((byte == '}' || byte == ']') && --depth == 0) {
            enum json_kind kind = *first == '{' ? JSON_MAP : JSON_LIST;
            if (byte != (kind == JSON_MAP ? '}' : ']'))
                return fail(cursor);
            return (struct json_item){kind, false, {first, (size_t)(cursor->at - first)}};
        }
    }
    return fail(cursor);
}

static struct json_item scan_value(struct json_cursor *cursor)
{
    json_blanks(cursor);
    if (cursor->at < cursor->end && (*cursor->at == '{' || *cursor->at == '['))
        return scan_container(cursor);
    return json_scalar(cursor);
}

struct json_item json_whole(struct span text)
{
    if (text.length == 0)
        return (struct json_item){.kind = JSON_NOTHING};
    struct json_cursor cursor = {text.data, text.data + text.length, false};
    struct json_item item = scan_value(&cursor);
    json_blanks(&cursor);
    if (cursor.at != cursor.end)
        item.kind = JSON_NOTHING;
    return item;
}

struct json_cursor json_enter(const struct json_item *container)
{
    if (container->kind != JSON_MAP && container->kind != JSON_LIST)
        return (struct json_cursor){NULL, NULL, false};
    const char *first = container->span.data;
    return (struct json_cursor){first + 1, first + container->span.length - 1, false};
}

/* Between two values, or before the first: true when a value follows. */
static bool begin_next(struct json_cursor *cursor)
{
    if (cursor->at == NULL || cursor->failed)
        return false;
    json_blanks(cursor);
    return cursor->at < cursor->end;
}

static bool end_value(struct json_cursor *cursor)
{
    json_blanks(cursor);
    if (cursor->at == cursor->end)
        return true;
    if (*cursor->at++ == ',') {
        json_blanks(cursor);
        if (cursor->at < cursor->end)
            return true;
    }
    cursor->failed = true;
    return false;
}

bool json_element(struct json_cursor *cursor, struct json_item *ret_value)
{
    if (!begin_next(cursor))
        return false;
    *ret_value = scan_value(cursor);
    return ret_value->kind != JSON_NOTHING && end_value(cursor);
}

bool json_member(struct json_cursor *cursor, struct span *ret_key, struct json_item *ret_value)
{
    if (!begin_next(cursor))
        return false;
    struct json_item key = json_scalar(cursor);
    json_blanks(cursor);
    if (key.kind != JSON_TEXT || cursor->at >= cursor->end || *cursor->at++ != ':') {
        cursor->failed = true;
        return false;
    }
    *ret_key = key.span;
    *ret_value = scan_value(cursor);
    return ret_value->kind != JSON_NOTHING && end_value(cursor);
}

/* The four digits at `at`, or -1. */
static int read_unit(const char *at, const char *end)
{
    int unit = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = byte_hex(at[i]);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* Behind "\u": writes the character, at most as long as its escape, and returns where to go on. */
static const char *undo_unicode(const char *at, const char *end, char **to)
{
    int unit = read_unit(at, end);
    if (unit < 0)
        return at;
    at += 4;
    uint32_t code = (uint32_t)unit;
    if (unit >= 0xd800 && unit < 0xe000) {
        int low = unit < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u'
                      ? read_unit(at + 2, end)
                      : -1;
        code = 0xfffd;
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + (((uint32_t)unit & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
            at += 6;
        }
    }
    *to = put_utf8(*to, code);
    return at;
}

static char undo_letter(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

struct span json_unescape(struct arena *arena, const struct json_item *text)
{
    if (!text->escaped)
        return text->span;
    char *plain = arena_take(arena, text->span.length);
    if (plain == NULL)
        return SPAN_NONE;
    char *to = plain;
    const char *at = text->span.data;
    const char *end = at + text->span.length;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t length = (size_t)((slash == NULL ? end : slash) - at);
        memcpy(to, at, length);
        to += length;
        at += length;
        if (end - at < 2)
            break;
        char letter = at[1];
        at += 2;
        if (letter == 'u')
            at = undo_unicode(at, end, &to);
        else
            *to++ = undo_letter(letter);
    }
    arena_trim(arena, plain, (size_t)(to - plain));
    return (struct span){plain, (size_t)(to - plain)};
}
