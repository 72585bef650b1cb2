/* Sets of phrases: each is hashed where its bytes are rarest in the set, so that text which only
 * begins like many phrases is not compared with all of them. */
#include "application/compiler/seclang_internal.h"

#include "application/detection/phrases.h"

/* "a|0d 0a|b": bytes between bars. Returns the length; text has room for that of the phrase. */
static size_t undo_bars(struct span phrase, char *text)
{
    size_t length = 0;
    bool bytes = false;
    for (size_t i = 0; i < phrase.length; i++) {
        if (phrase.data[i] == '|') {
            bytes = !bytes;
        } else if (!bytes) {
            text[length++] = byte_lower(phrase.data[i]);
        } else if (i + 1 < phrase.length && byte_hex(phrase.data[i]) >= 0 &&
                   byte_hex(phrase.data[i + 1]) >= 0) {
            text[length++] =
                byte_lower((char)(byte_hex(phrase.data[i]) * 16 + byte_hex(phrase.data[i + 1])));
            i++;
        }
    }
    return length;
}

static void add_phrase(struct seclang *seclang, struct span phrase, bool bars)
{
    AUTO_FREE char *lower = malloc(phrase.length + 1);
    if (lower == NULL) {
        seclang->no_memory = true;
        return;
    }
    size_t length = phrase.length;
    if (bars)
        length = undo_bars(phrase, lower);
    else
        for (size_t i = 0; i < length; i++)
            lower[i] = byte_lower(phrase.data[i]);
    if (length == 0)
        return;
    struct table_phrase record = {.text = table_builder_text(&seclang->builder,
                                                             (struct span){lower, length}),
                                  .next = RULE_TABLE_NONE};
    (void)table_builder_add(&seclang->builder, TABLE_PHRASES, &record);
}

static void split(struct seclang *seclang, struct span text, bool lines)
{
    struct span rest = text;
    struct span piece;
    while (rest.length > 0 && span_next(&rest, lines ? '\n' : ' ', &piece)) {
        piece = span_trim(piece);
        if (piece.length > 0 && !(lines && piece.data[0] == '#'))
            add_phrase(seclang, piece, !lines);
    }
}

static const char *phrase_text(struct seclang *seclang, const struct table_phrase *phrase)
{
    return seclang->builder.sections[TABLE_TEXTS].data + phrase->text.offset;
}

/* How many windows of the set fall into each bucket: what is fullest is avoided. */
static void count_windows(struct seclang *seclang, const struct table_phrase_set *set,
                          unsigned width, uint32_t bits, uint32_t *counts)
{
    for (uint32_t i = 0; i < set->phrase_count; i++) {
        const struct table_phrase *phrase =
            table_builder_at(&seclang->builder, TABLE_PHRASES, set->first_phrase + i);
        for (uint32_t j = 0; phrase->text.length >= width && j + width <= phrase->text.length; j++)
            counts[phrase_bucket(phrase_text(seclang, phrase) + j, width, bits)]++;
    }
}

static unsigned width_of(const struct table_phrase *phrase)
{
    return MIN(phrase->text.length, (uint32_t)PHRASE_WIDTHS);
}

/* Goes through the phrases backwards, so that each bucket's list runs forwards. */
static void fill_buckets(struct seclang *seclang, const struct table_phrase_set *set,
                         unsigned width, const uint32_t *counts, uint32_t *heads)
{
    uint32_t bits = set->bucket_bits[width - 1];
    for (uint32_t i = set->phrase_count; i > 0; i--) {
        uint32_t index = set->first_phrase + i - 1;
        struct table_phrase *phrase = table_builder_at(&seclang->builder, TABLE_PHRASES, index);
        if (width_of(phrase) != width)
            continue;
        const char *text = phrase_text(seclang, phrase);
        for (uint32_t j = 1; j + width <= phrase->text.length; j++) {
            if (counts[phrase_bucket(text + j, width, bits)] <
                counts[phrase_bucket(text + phrase->anchor, width, bits)])
                phrase->anchor = j;
        }
        uint32_t bucket = phrase_bucket(text + phrase->anchor, width, bits);
        phrase->next = heads[bucket];
        heads[bucket] = index;
    }
}

static void make_buckets(struct seclang *seclang, struct table_phrase_set *set, unsigned width)
{
    uint32_t wanted = 0;
    uint32_t bits = 4;
    for (uint32_t i = 0; i < set->phrase_count; i++) {
        const struct table_phrase *phrase =
            table_builder_at(&seclang->builder, TABLE_PHRASES, set->first_phrase + i);
        wanted += width_of(phrase) == width ? 1 : 0;
    }
    if (wanted == 0)
        return;
    while (bits < 20 && 1U << bits < 4 * wanted)
        bits++;
    AUTO_FREE uint32_t *counts = calloc((size_t)1 << bits, sizeof(*counts));
    AUTO_FREE uint32_t *heads = malloc(sizeof(*heads) << bits);
    if (counts == NULL || heads == NULL) {
        seclang->no_memory = true;
        return;
    }
    memset(heads, 0xff, sizeof(*heads) << bits);
    set->bucket_bits[width - 1] = bits;
    count_windows(seclang, set, width, bits, counts);
    fill_buckets(seclang, set, width, counts, heads);
    set->first_bucket[width - 1] = table_builder_count(&seclang->builder, TABLE_BUCKETS);
    for (uint32_t i = 0; i < 1U << bits; i++)
        (void)table_builder_add(&seclang->builder, TABLE_BUCKETS, &heads[i]);
}

/* Every match contains a whole phrase: of each the most telling byte, one of them must occur. */
static void read_needs(struct seclang *seclang, const struct table_phrase_set *set,
                       struct regex_needs *ret_needs)
{
    struct table_class class = {{0}};
    size_t least = SIZE_MAX;
    for (uint32_t i = 0; i < set->phrase_count; i++) {
        const struct table_phrase *phrase =
            table_builder_at(&seclang->builder, TABLE_PHRASES, set->first_phrase + i);
        const char *text = phrase_text(seclang, phrase);
        char rarest = text[0];
        for (uint32_t j = 0; j < phrase->text.length; j++) {
            if (!byte_is_letter(text[j]) && !byte_is_digit(text[j]) && text[j] != ' ')
                rarest = text[j];
        }
        class.bytes[(unsigned char)rarest >> 6] |= 1ULL << (rarest & 63);
        if (byte_is_letter(rarest)) {
            unsigned char upper = (unsigned char)rarest & 0xdf;
            class.bytes[upper >> 6] |= 1ULL << (upper & 63);
        }
        least = MIN(least, (size_t)phrase->text.length);
    }
    ret_needs->classes[0] = class;
    ret_needs->count = 1;
    ret_needs->least_length = set->phrase_count == 0 ? 0 : least;
}

uint32_t seclang_add_phrases(struct seclang *seclang, struct span text, bool lines,
                             struct regex_needs *ret_needs)
{
    struct table_phrase_set set = {.first_phrase =
                                       table_builder_count(&seclang->builder, TABLE_PHRASES)};
    split(seclang, text, lines);
    set.phrase_count = table_builder_count(&seclang->builder, TABLE_PHRASES) - set.first_phrase;
    if (buffer_failed(&seclang->builder.sections[TABLE_PHRASES]) == 0 &&
        buffer_failed(&seclang->builder.sections[TABLE_TEXTS]) == 0) {
        for (unsigned width = 1; width <= PHRASE_WIDTHS; width++)
            make_buckets(seclang, &set, width);
        read_needs(seclang, &set, ret_needs);
    }
    return table_builder_add(&seclang->builder, TABLE_SETS, &set);
}
