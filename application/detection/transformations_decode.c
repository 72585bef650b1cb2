#include "application/detection/transformations_decode.h"

static int hex_at(struct span text, size_t at)
{
    return at < text.length ? byte_hex(text.data[at]) : -1;
}

/* Two hexadecimal digits at `at`, or -1. */
static int pair_at(struct span text, size_t at)
{
    int high = hex_at(text, at);
    int low = hex_at(text, at + 1);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* Of a code of four digits only the last two count, but full-width forms (U+FF01 to U+FF5E) become
 * the ASCII they look like. */
static char narrow(int high, int low)
{
    return (char)(high == 0xff && low > 0 && low < 0x5f ? low + 0x20 : low);
}

size_t url_decode(struct span text, char *to, bool unicode)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        char byte = text.data[i];
        if (byte != '%') {
            to[length++] = byte == '+' ? ' ' : byte;
            i++;
            continue;
        }
        bool wide = unicode && i + 1 < text.length && byte_lower(text.data[i + 1]) == 'u';
        int first = pair_at(text, i + (wide ? 2 : 1));
        int second = wide ? pair_at(text, i + 4) : first;
        if (first < 0 || second < 0) {
            to[length++] = text.data[i++];
            if (wide)
                to[length++] = text.data[i++];
            continue;
        }
        to[length++] = wide ? narrow(first, second) : (char)first;
        i += wide ? 6 : 3;
    }
    return length;
}

size_t css_decode(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        if (text.data[i] != '\\') {
            to[length++] = text.data[i++];
            continue;
        }
        i++;
        size_t digits = 0;
        while (digits < 6 && hex_at(text, i + digits) >= 0)
            digits++;
        if (digits == 0) {
            if (i < text.length && text.data[i] != '\n')
                to[length++] = text.data[i];
            i++;
            continue;
        }
        int low = digits == 1 ? hex_at(text, i) : pair_at(text, i + digits - 2);
        int high = digits >= 4 ? pair_at(text, i + digits - 4) : 0;
        bool zeros = digits < 5 || hex_at(text, i) == 0;
        zeros = zeros && (digits < 6 || hex_at(text, i + 1) == 0);
        to[length++] = zeros ? narrow(high, low) : (char)low;
        i += digits;
        if (i < text.length && byte_is_space(text.data[i]))
            i++;
    }
    return length;
}

static bool is_octal(struct span text, size_t at)
{
    return at < text.length && text.data[at] >= '0' && text.data[at] <= '7';
}

/* Up to three digits, less when the number would not fit a byte. */
static size_t read_octal(struct span text, size_t at, char *ret_byte)
{
    size_t digits = 0;
    int value = 0;
    while (digits < 3 && is_octal(text, at + digits) && value * 8 + 7 < 0x100 + 7) {
        if (value * 8 + (text.data[at + digits] - '0') > 0xff)
            break;
        value = value * 8 + (text.data[at + digits] - '0');
        digits++;
    }
    *ret_byte = (char)value;
    return digits;
}

static char letter_escape(char letter)
{
    static const char letters[] = "abfnrtv";
    static const char bytes[] = "\a\b\f\n\r\t\v";
    const char *at = letter == '\0' ? NULL : strchr(letters, letter);
    return at == NULL ? letter : bytes[at - letters];
}

size_t js_decode(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        if (text.data[i] != '\\' || i + 1 == text.length) {
            to[length++] = text.data[i++];
            continue;
        }
        char kind = text.data[++i];
        int first = kind == 'u' || kind == 'x' ? pair_at(text, i + 1) : -1;
        int second = kind == 'u' ? pair_at(text, i + 3) : first;
        if (first >= 0 && second >= 0) {
            to[length++] = kind == 'u' ? narrow(first, second) : (char)first;
            i += kind == 'u' ? 5 : 3;
        } else if (is_octal(text, i)) {
            i += read_octal(text, i, &to[length]);
            length++;
        } else {
            to[length++] = letter_escape(kind);
            i++;
        }
    }
    return length;
}

size_t escape_sequence_decode(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        if (text.data[i] != '\\' || i + 1 == text.length) {
            to[length++] = text.data[i++];
            continue;
        }
        char kind = text.data[i + 1];
        int byte = kind == 'x' || kind == 'X' ? pair_at(text, i + 2) : -1;
        if (byte >= 0) {
            to[length++] = (char)byte;
            i += 4;
        } else if (is_octal(text, i + 1)) {
            i += 1 + read_octal(text, i + 1, &to[length]);
            length++;
        } else if (strchr("abfnrtv\\?'\"", kind) != NULL && kind != '\0') {
            to[length++] = letter_escape(kind);
            i += 2;
        } else {
            to[length++] = text.data[i++];
        }
    }
    return length;
}

size_t hex_decode(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i + 1 < text.length; i += 2) {
        int byte = pair_at(text, i);
        if (byte < 0)
            break;
        to[length++] = (char)byte;
    }
    return length;
}

/* Behind "&#": the number's low byte; the bytes used, 0 when it is none. */
static size_t read_number(struct span text, char *ret_byte)
{
    bool hex = text.length > 0 && byte_lower(text.data[0]) == 'x';
    size_t at = hex ? 1 : 0;
    size_t first = at;
    unsigned value = 0;
    for (; at < text.length; at++) {
        int digit = byte_hex(text.data[at]);
        if (digit < 0 || (!hex && digit > 9))
            break;
        value = value * (hex ? 16 : 10) + (unsigned)digit;
    }
    *ret_byte = (char)(value & 0xff);
    return at == first ? 0 : at;
}

/* Behind '&': what the name stands for; the bytes used, 0 when it is not known. */
static size_t read_name(struct span text, char *ret_byte)
{
    static const struct {
        const char *name;
        char byte;
    } known[] = {{"quot", '"'}, {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"nbsp", (char)0xa0}};
    size_t length = 0;
    while (length < text.length &&
           (byte_is_letter(text.data[length]) || byte_is_digit(text.data[length])))
        length++;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_alike(span_first(text, length), span_of(known[i].name))) {
            *ret_byte = known[i].byte;
            return length;
        }
    }
    return 0;
}

size_t html_entity_decode(struct span text, char *to)
{
    size_t length = 0;
    for (size_t i = 0; i < text.length;) {
        size_t used = 0;
        char byte = text.data[i];
        if (byte == '&') {
            struct span rest = span_from(text, i + 1);
            if (rest.length > 0 && rest.data[0] == '#') {
                used = read_number(span_from(rest, 1), &byte);
                used += used > 0 ? 1 : 0;
            } else {
                used = read_name(rest, &byte);
            }
        }
        to[length++] = byte;
        i += 1 + used;
        if (used > 0 && i < text.length && text.data[i] == ';')
            i++;
    }
    return length;
}

uint32_t utf8_read(struct span text, size_t *ret_used)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned char lead = text.length == 0 ? 0xff : (unsigned char)text.data[0];
    size_t length = lead < 0x80    ? 1
                    : lead < 0xc2  ? 0
                    : lead < 0xe0  ? 2
                    : lead < 0xf0  ? 3
                    : lead <= 0xf4 ? 4
                                   : 0;
    uint32_t code = length < 2 ? lead : lead & (0x7f >> length);
    *ret_used = 0;
    if (length == 0 || length > text.length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        if ((byte & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte & 0x3f);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    *ret_used = length;
    return code;
}
