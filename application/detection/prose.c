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

/* Code has more of these than text for people: one byte of twenty. */
static bool is_dense(struct span text)
{
    size_t symbols = 0;
    for (size_t i = 0; i < text.length; i++)
        symbols += text.data[i] != '\0' && strchr("=()<>|&${}[]%*+;#\\", text.data[i]) != NULL;
    return symbols * 20 > text.length;
}

bool prose_like(struct span text)
{
    unsigned pairs = 0;
    bool after_word = false;
    text = span_first(text, LOOKED_AT);
    if (is_dense(text))
        return false;
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
