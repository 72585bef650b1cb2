#include "application/detection/transformations.h"

#include "application/detection/transformations_decode.h"
#include "application/events/request.h"

static const char blanks[] = " \t\n\v\f\r";

static struct span hex_encode(struct arena *arena, struct span text)
{
    static const char digits[] = "0123456789abcdef";
    char *to = arena_take(arena, 2 * text.length);
    for (size_t i = 0; to != NULL && i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        to[2 * i] = digits[byte >> 4];
        to[2 * i + 1] = digits[byte & 15];
    }
    return to == NULL ? SPAN_NONE : (struct span){to, 2 * text.length};
}

static struct span length_of(struct arena *arena, struct span text)
{
    char digits[24];
    size_t at = sizeof(digits);
    size_t length = text.length;
    do {
        digits[--at] = (char)('0' + length % 10);
        length /= 10;
    } while (length > 0);
    return arena_copy(arena, (struct span){digits + at, sizeof(digits) - at});
}

static size_t fold(struct span text, char *to, bool lower)
{
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (lower)
            to[i] = byte_lower(byte);
        else
            to[i] = byte >= 'a' && byte <= 'z' ? (char)(byte - ('a' - 'A')) : byte;
    }
    return text.length;
}

static size_t compress_whitespace(struct span text, char *to)
{
    size_t length = 0;
    bool blank = false;
    for (size_t i = 0; i < text.length; i++) {
        bool is_blank = byte_is_space(text.data[i]);
        if (!is_blank)
            to[length++] = text.data[i];
        else if (!blank)
            to[length++] = ' ';
        blank = is_blank;
    }
    return length;
}

static size_t remove_whitespace(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (!byte_is_space(text.data[i]) && (unsigned char)text.data[i] != 0xa0)
            to[length++] = text.data[i];
    }
    return length;
}

static size_t remove_nulls(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '\0')
            to[length++] = text.data[i];
    }
    return length;
}

static size_t replace_nulls(struct span text, char *to)
{
    for (size_t i = 0; i < text.length; i++)
        to[i] = text.data[i] == '\0' ? ' ' : text.data[i];
    return text.length;
}

/* Quotes, carets and backslashes away, separators one blank, none before '/' and '(': what a shell
 * makes the same looks the same. */
static size_t command_line(struct span text, char *to)
{
    size_t length = 0;
    bool blank = false;
    for (size_t i = 0; i < text.length; i++) {
        char byte = text.data[i];
        if (byte == '"' || byte == '\'' || byte == '\\' || byte == '^')
            continue;
        if (byte == ' ' || byte == ',' || byte == ';' || byte == '\t' || byte == '\r' ||
            byte == '\n') {
            if (!blank)
                to[length++] = ' ';
            blank = true;
            continue;
        }
        if ((byte == '/' || byte == '(') && blank)
            length--;
        blank = false;
        to[length++] = byte_lower(byte);
    }
    return length;
}

static size_t replace_comments(struct span text, char *to)
{
    size_t length = 0;
    size_t i = 0;
    while (i < text.length) {
        if (text.data[i] == '/' && i + 1 < text.length && text.data[i + 1] == '*') {
            const char *end = memmem(text.data + i + 2, text.length - i - 2, "*/", 2);
            to[length++] = ' ';
            i = end == NULL ? text.length : (size_t)(end - text.data) + 2;
        } else {
            to[length++] = text.data[i++];
        }
    }
    return length;
}

static size_t remove_comment_marks(struct span text, char *to)
{
    static const char *const marks[] = {"<!--", "-->", "/*", "*/", "--", "#"};
    size_t length = 0;
    size_t i = 0;
    while (i < text.length) {
        size_t skipped = 0;
        for (size_t j = 0; j < ARRAY_LENGTH(marks) && skipped == 0; j++) {
            if (span_begins(span_from(text, i), marks[j]))
                skipped = strlen(marks[j]);
        }
        if (skipped == 0)
            to[length++] = text.data[i++];
        i += skipped;
    }
    return length;
}

/* One segment of a path is put behind what is there; "." vanishes, ".." takes one back. */
static size_t put_segment(char *to, size_t length, struct span segment, bool absolute)
{
    if (segment.length == 0 || span_is(segment, "."))
        return length;
    if (span_is(segment, "..")) {
        size_t from = length;
        while (from > 0 && to[from - 1] != '/')
            from--;
        bool kept = length == 0 || span_is((struct span){to + from, length - from}, "..");
        if (!kept || absolute)
            return from > 0 ? from - 1 : 0;
    }
    if (length > 0 || absolute)
        to[length++] = '/';
    memcpy(to + length, segment.data, segment.length);
    return length + segment.length;
}

static size_t normalize_path(struct span text, char *to, bool windows)
{
    char *plain = to; /* read and written in place: writing never overtakes reading */
    size_t length = 0;
    if (text.length > 0)
        memcpy(plain, text.data, text.length);
    for (size_t i = 0; windows && i < text.length; i++) {
        if (plain[i] == '\\')
            plain[i] = '/';
    }
    bool absolute = text.length > 0 && plain[0] == '/';
    bool slash = text.length > 0 && plain[text.length - 1] == '/';
    struct span rest = {plain, text.length};
    for (size_t from = 0; from < text.length;) {
        rest = (struct span){plain + from, text.length - from};
        size_t end = span_find(rest, '/');
        char segment[3] = "";
        struct span piece = span_first(rest, end);
        if (piece.length < sizeof(segment) && piece.length > 0) {
            memcpy(segment, piece.data, piece.length);
            piece.data = segment;
            length = put_segment(to, length, piece, absolute);
        } else if (piece.length > 0) {
            if (length > 0 || absolute)
                to[length++] = '/';
            memmove(to + length, piece.data, piece.length);
            length += piece.length;
        }
        from += end + 1;
    }
    if (slash && (length > 0 || absolute))
        to[length++] = '/';
    return length;
}

static size_t utf8_to_unicode(struct span text, char *to)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        size_t used = 0;
        uint32_t code = utf8_read(span_from(text, i), &used);
        if (used < 2) {
            to[length++] = text.data[i++];
            continue;
        }
        to[length++] = '%';
        to[length++] = 'u';
        unsigned shown = code > 0xffff ? 20 : 16;
        for (unsigned shift = shown; shift > 0; shift -= 4)
            to[length++] = digits[code >> (shift - 4) & 15];
        i += used;
    }
    return length;
}

static size_t apply(enum transformation transformation, struct span text, char *to)
{
    switch (transformation) {
    case TRANSFORM_COMMAND_LINE:
        return command_line(text, to);
    case TRANSFORM_COMPRESS_WHITESPACE:
        return compress_whitespace(text, to);
    case TRANSFORM_CSS_DECODE:
        return css_decode(text, to);
    case TRANSFORM_ESCAPE_SEQUENCE_DECODE:
        return escape_sequence_decode(text, to);
    case TRANSFORM_HEX_DECODE:
        return hex_decode(text, to);
    case TRANSFORM_HTML_ENTITY_DECODE:
        return html_entity_decode(text, to);
    case TRANSFORM_JS_DECODE:
        return js_decode(text, to);
    case TRANSFORM_LOWERCASE:
    case TRANSFORM_UPPERCASE:
        return fold(text, to, transformation == TRANSFORM_LOWERCASE);
    case TRANSFORM_NORMALIZE_PATH:
    case TRANSFORM_NORMALIZE_PATH_WINDOWS:
        return normalize_path(text, to, transformation == TRANSFORM_NORMALIZE_PATH_WINDOWS);
    case TRANSFORM_REMOVE_COMMENTS_MARKS:
        return remove_comment_marks(text, to);
    case TRANSFORM_REMOVE_NULLS:
        return remove_nulls(text, to);
    case TRANSFORM_REMOVE_WHITESPACE:
        return remove_whitespace(text, to);
    case TRANSFORM_REPLACE_COMMENTS:
        return replace_comments(text, to);
    case TRANSFORM_REPLACE_NULLS:
        return replace_nulls(text, to);
    case TRANSFORM_URL_DECODE:
    case TRANSFORM_URL_DECODE_UNICODE:
        return url_decode(text, to, transformation == TRANSFORM_URL_DECODE_UNICODE);
    default:
        return utf8_to_unicode(text, to);
    }
}

struct span transform(enum transformation transformation, struct arena *arena, struct span text)
{
    if (text.length == 0 && transformation != TRANSFORM_LENGTH)
        return text;
    switch (transformation) {
    case TRANSFORM_NONE:
    case TRANSFORM_COUNT:
        return text;
    case TRANSFORM_BASE64_DECODE:
        return base64_read(arena, text);
    case TRANSFORM_HEX_ENCODE:
        return hex_encode(arena, text);
    case TRANSFORM_LENGTH:
        return length_of(arena, text);
    case TRANSFORM_TRIM:
        return span_trim(text);
    default:
        break;
    }
    /* Two bytes are the shortest character that becomes "%uXXXX". */
    size_t room = transformation == TRANSFORM_UTF8_TO_UNICODE ? 3 * text.length : text.length + 1;
    char *to = arena_take(arena, room);
    if (to == NULL)
        return SPAN_NONE;
    size_t length = apply(transformation, text, to);
    if (length == text.length && memcmp(to, text.data, length) == 0) {
        arena_trim(arena, to, 0);
        return text;
    }
    arena_trim(arena, to, length);
    return (struct span){to, length};
}

static const struct {
    const char *name;
    enum transformation transformation;
} names[] = {
    {"none", TRANSFORM_NONE},
    {"base64decode", TRANSFORM_BASE64_DECODE},
    {"base64decodeext", TRANSFORM_BASE64_DECODE},
    {"cmdline", TRANSFORM_COMMAND_LINE},
    {"compresswhitespace", TRANSFORM_COMPRESS_WHITESPACE},
    {"cssdecode", TRANSFORM_CSS_DECODE},
    {"escapeseqdecode", TRANSFORM_ESCAPE_SEQUENCE_DECODE},
    {"hexdecode", TRANSFORM_HEX_DECODE},
    {"hexencode", TRANSFORM_HEX_ENCODE},
    {"htmlentitydecode", TRANSFORM_HTML_ENTITY_DECODE},
    {"jsdecode", TRANSFORM_JS_DECODE},
    {"length", TRANSFORM_LENGTH},
    {"lowercase", TRANSFORM_LOWERCASE},
    {"normalisepath", TRANSFORM_NORMALIZE_PATH},
    {"normalizepath", TRANSFORM_NORMALIZE_PATH},
    {"normalisepathwin", TRANSFORM_NORMALIZE_PATH_WINDOWS},
    {"normalizepathwin", TRANSFORM_NORMALIZE_PATH_WINDOWS},
    {"removecommentschar", TRANSFORM_REMOVE_COMMENTS_MARKS},
    {"removenulls", TRANSFORM_REMOVE_NULLS},
    {"removewhitespace", TRANSFORM_REMOVE_WHITESPACE},
    {"replacecomments", TRANSFORM_REPLACE_COMMENTS},
    {"replacenulls", TRANSFORM_REPLACE_NULLS},
    {"trim", TRANSFORM_TRIM},
    {"uppercase", TRANSFORM_UPPERCASE},
    {"urldecode", TRANSFORM_URL_DECODE},
    {"urldecodeuni", TRANSFORM_URL_DECODE_UNICODE},
    {"utf8tounicode", TRANSFORM_UTF8_TO_UNICODE},
};

enum transformation transformation_of(struct span name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (span_alike(name, span_of(names[i].name)))
            return names[i].transformation;
    }
    return TRANSFORM_COUNT;
}

static void add_bytes(uint64_t bytes[4], const char *text)
{
    for (; *text != '\0'; text++)
        bytes[(unsigned char)*text >> 6] |= 1ULL << ((unsigned char)*text & 63);
}

static void add_range(uint64_t bytes[4], unsigned first, unsigned last)
{
    for (unsigned byte = first; byte <= last; byte++)
        bytes[byte >> 6] |= 1ULL << (byte & 63);
}

bool transformation_needs(enum transformation transformation, uint64_t ret_bytes[4])
{
    memset(ret_bytes, 0, 4 * sizeof(*ret_bytes));
    switch (transformation) {
    case TRANSFORM_NONE:
        return true;
    case TRANSFORM_COMMAND_LINE:
        add_bytes(ret_bytes, "\"'\\^ ,;\t\r\n");
        add_range(ret_bytes, 'A', 'Z');
        return true;
    case TRANSFORM_COMPRESS_WHITESPACE:
    case TRANSFORM_TRIM:
        add_bytes(ret_bytes, blanks);
        return true;
    case TRANSFORM_REMOVE_WHITESPACE:
        add_bytes(ret_bytes, blanks);
        add_range(ret_bytes, 0xa0, 0xa0);
        return true;
    case TRANSFORM_CSS_DECODE:
    case TRANSFORM_ESCAPE_SEQUENCE_DECODE:
    case TRANSFORM_JS_DECODE:
        add_bytes(ret_bytes, "\\");
        return true;
    case TRANSFORM_HTML_ENTITY_DECODE:
        add_bytes(ret_bytes, "&");
        return true;
    case TRANSFORM_LOWERCASE:
        add_range(ret_bytes, 'A', 'Z');
        return true;
    case TRANSFORM_UPPERCASE:
        add_range(ret_bytes, 'a', 'z');
        return true;
    case TRANSFORM_NORMALIZE_PATH:
        add_bytes(ret_bytes, "/.");
        return true;
    case TRANSFORM_NORMALIZE_PATH_WINDOWS:
        add_bytes(ret_bytes, "/.\\");
        return true;
    case TRANSFORM_REMOVE_COMMENTS_MARKS:
        add_bytes(ret_bytes, "/*-#<");
        return true;
    case TRANSFORM_REMOVE_NULLS:
    case TRANSFORM_REPLACE_NULLS:
        add_range(ret_bytes, 0, 0);
        return true;
    case TRANSFORM_REPLACE_COMMENTS:
        add_bytes(ret_bytes, "*");
        return true;
    case TRANSFORM_URL_DECODE:
    case TRANSFORM_URL_DECODE_UNICODE:
        add_bytes(ret_bytes, "%+");
        return true;
    case TRANSFORM_UTF8_TO_UNICODE:
        add_range(ret_bytes, 0x80, 0xff);
        return true;
    default:
        return false;
    }
}
