#include "application/detection/prose.h"

/* Commands put their words between options, paths and separators: four times in a row, a bare word
 * beside a bare word is rare there, and no sentence is without it. */
#define PAIRS_OF_WORDS 4
#define LOOKED_AT      4096

static bool is_letter(char byte)
{
    return byte_is_letter(byte) || (unsigned char)byte >= 0x80;
}

/* A run of letters, with one apostrophe or hyphen in it at most; 0 when none begins here. */
static size_t word_length(struct span text)
{
    size_t length = 0;
    while (length < text.length && is_letter(text.data[length]))
        length++;
    if (length > 0 && length + 1 < text.length &&
        (text.data[length] == '\'' || text.data[length] == '-') && is_letter(text.data[length + 1]))
        for (length++; length < text.length && is_letter(text.data[length]);)
            length++;
    return length;
}

/* What stands between two words of a sentence: a punctuation mark or none, then blanks. */
static size_t gap_length(struct span text)
{
    size_t at = text.length > 0 && strchr(",.!?:", text.data[0]) != NULL && text.data[0] != '\0';
    size_t mark = at;
    while (at < text.length && byte_is_space(text.data[at]))
        at++;
    return at == mark ? 0 : at;
}

/* Code has more of these than text for people: one byte of fourteen. */
static bool is_dense(struct span text)
{
    size_t symbols = 0;
    for (size_t i = 0; i < text.length; i++)
        symbols += text.data[i] != '\0' && strchr("=()<>|&${}[]%*+;#\\", text.data[i]) != NULL;
    return symbols * 14 > text.length;
}

/* Bytes of the character that begins here; 0: it is none of UTF-8 (RFC 3629). */
static size_t character_length(struct span text)
{
    unsigned char lead = (unsigned char)text.data[0];
    size_t length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if (length == 0 || lead > 0xf4 || length > text.length)
        return 0;
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text.data[i] & 0xc0) != 0x80)
            return 0;
    }
    return length;
}

/* ASCII in another width: what some undo, so no letters of a language. U+FF01 to U+FF5E. */
static bool is_wide_ascii(struct span text)
{
    return span_begins(text, "\xef\xbc") || span_begins(text, "\xef\xbd");
}

struct characters {
    size_t other; /* of other scripts than ASCII */
    size_t wide;
    bool whole;
};

static struct characters count_characters(struct span text)
{
    struct characters count = {.whole = true};
    while (text.length > 0) {
        size_t length = character_length(text);
        if (length == 0) {
            count.whole = text.length < 4; /* one that was cut off */
            break;
        }
        count.other += length > 1 && !is_wide_ascii(text) ? 1 : 0;
        count.wide += length > 1 && is_wide_ascii(text) ? 1 : 0;
        text = span_from(text, length);
    }
    return count;
}

/* Languages without blanks between words: their characters outnumber everything else. */
static bool is_of_another_script(struct span text)
{
    struct characters count = count_characters(text);
    return count.whole && count.other >= PAIRS_OF_WORDS && count.wide * 4 <= count.other &&
           count.other * 5 >= text.length; /* three bytes each, so three fifths */
}

bool utf8_like(struct span text)
{
    struct characters count = count_characters(text);
    return count.whole && count.other + count.wide > 0;
}

bool plain_words_like(struct span text)
{
    size_t letters = 0;
    for (size_t i = 0; i < text.length; i++) {
        if (is_letter(text.data[i]))
            letters++;
        else if (text.data[i] == '\0' || strchr(" (),.!?", text.data[i]) == NULL)
            return false;
    }
    return letters > 0;
}

static size_t host_length(struct span text)
{
    size_t length = 0;
    while (length < text.length &&
           (byte_is_letter(text.data[length]) || byte_is_digit(text.data[length]) ||
            strchr(".-:", text.data[length]) != NULL) &&
           text.data[length] != '\0')
        length++;
    return length;
}

/* "name=value&name=value", with nothing in it but blanks that an address would write with percent
 * signs: those may have been undone. */
static bool is_query(struct span text)
{
    struct span piece;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < ' ' || strchr("'\"<>`|;()$\\{}", text.data[i]) != NULL)
            return false;
    }
    while (text.length > 0 && span_next(&text, '&', &piece)) {
        if (span_find(piece, '=') == piece.length || span_find(piece, '=') == 0)
            return false;
    }
    return true;
}

static bool is_address(struct span text)
{
    if (!span_begins_alike(text, "http://") && !span_begins_alike(text, "https://"))
        return false;
    text = span_from(text, span_find(text, '/') + 2);
    size_t host = host_length(text);
    struct span path = span_first(span_from(text, host), span_find(span_from(text, host), '?'));
    for (size_t i = 0; i < path.length; i++) {
        if (path.data[i] <= ' ' || strchr("'\"<>`|;&()$\\{}", path.data[i]) != NULL)
            return false;
    }
    return host > 0 && (path.length == 0 || path.data[0] == '/' || path.data[0] == '#') &&
           is_query(span_from(text, host + path.length + 1));
}

/* An editor's: from a tag to the end of one. */
static bool is_markup(struct span text)
{
    return text.length > 4 && text.data[0] == '<' && byte_is_letter(text.data[1]) &&
           text.data[text.length - 1] == '>' && span_contains(text, SPAN("</"));
}

bool prose_like(struct span text)
{
    unsigned pairs = 0;
    bool after_word = false;
    text = span_first(text, LOOKED_AT);
    if (is_dense(text))
        return false;
    if (is_of_another_script(text))
        return true;
    while (text.length > 0 && pairs < PAIRS_OF_WORDS) {
        size_t word = word_length(text);
        if (word == 0) {
            after_word = false;
            text = span_from(text, 1);
            continue;
        }
        text = span_from(text, word);
        bool ends = text.length == 0 || byte_is_space(text.data[0]) ||
                    strchr(",.!?:;\")", text.data[0]) != NULL;
        pairs += after_word && ends ? 1 : 0;
        size_t gap = ends ? gap_length(text) : 0;
        after_word = gap > 0;
        text = span_from(text, gap);
    }
    return pairs >= PAIRS_OF_WORDS;
}

/* Whole characters: of one that is cut, the rest is left out. */
static struct span around(struct span text, size_t offset)
{
    size_t begin = offset > PROSE_AROUND ? offset - PROSE_AROUND : 0;
    size_t end = offset + PROSE_AROUND;
    while (begin < text.length && begin < offset &&
           ((unsigned char)text.data[begin] & 0xc0) == 0x80)
        begin++;
    return span_first(span_from(text, begin), end - begin);
}

bool prose_around(struct span text, size_t offset)
{
    return prose_like(around(text, offset));
}

bool ordinary_like(struct span text, size_t offset)
{
    struct span whole = span_trim(text);
    return prose_around(text, offset) || is_markup(whole) ||
           is_address(span_first(whole, LOOKED_AT));
}
