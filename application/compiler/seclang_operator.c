/* The second argument of a rule: what it looks for. */
#include "application/compiler/seclang_internal.h"

#include "application/limits.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>

static const struct {
    const char *name;
    enum rule_operator operation;
} known[] = {
    {"rx", OPERATOR_REGEX},
    {"pm", OPERATOR_PHRASES},
    {"pmf", OPERATOR_PHRASES},
    {"pmFromFile", OPERATOR_PHRASES},
    {"detectSQLi", OPERATOR_SQL},
    {"detectXSS", OPERATOR_SCRIPT},
    {"streq", OPERATOR_EQUAL_TEXT},
    {"contains", OPERATOR_CONTAINS},
    {"containsWord", OPERATOR_CONTAINS_WORD},
    {"within", OPERATOR_WITHIN},
    {"beginsWith", OPERATOR_BEGINS},
    {"endsWith", OPERATOR_ENDS},
    {"eq", OPERATOR_EQUAL},
    {"ge", OPERATOR_GREATER_EQUAL},
    {"gt", OPERATOR_GREATER},
    {"le", OPERATOR_LESS_EQUAL},
    {"lt", OPERATOR_LESS},
    {"validateByteRange", OPERATOR_BYTE_RANGE},
    {"validateUrlEncoding", OPERATOR_URL_ENCODING},
    {"validateUtf8Encoding", OPERATOR_UTF8},
    {"ipMatch", OPERATOR_ADDRESS},
    {"unconditionalMatch", OPERATOR_ALWAYS},
    {"noMatch", OPERATOR_NEVER},
    {"rbl", OPERATOR_NEVER},
    {"geoLookup", OPERATOR_NEVER},
    {"ipMatchFromFile", OPERATOR_NEVER},
};

static enum rule_operator find_operator(struct seclang *seclang, struct span name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++) {
        if (span_alike(name, span_of(known[i].name)))
            return known[i].operation;
    }
    seclang->counts.unknown++;
    return OPERATOR_NEVER;
}

static void add_needs(struct seclang *seclang, const struct regex_needs *needs,
                      struct table_rule *rule)
{
    if ((rule->flags & RULE_NEGATED) != 0)
        return; /* matches where the expression does not */
    rule->first_class = table_builder_count(&seclang->builder, TABLE_CLASSES);
    for (size_t i = 0; i < needs->count; i++)
        (void)table_builder_add(&seclang->builder, TABLE_CLASSES, &needs->classes[i]);
    rule->class_count = (uint32_t)needs->count;
    rule->least_length = (uint32_t)MIN(needs->least_length, (size_t)UINT32_MAX);
}

/* To libinjection a text of letters, digits, '.' and '_' is a single word or number, and that is no
 * injection; without '<' and '=' there is no markup and no attribute. */
static void add_injection_needs(struct seclang *seclang, struct table_rule *rule)
{
    struct regex_needs needs = {.count = 1};
    static const struct table_class between_words = {
        {~0x03ff400000000000ULL, ~0x07fffffe87fffffeULL, ~0ULL, ~0ULL}};
    static const struct table_class markup = {{0x3000000000000000ULL, 0, 0, 0}};
    needs.classes[0] = rule->operation == OPERATOR_SQL ? between_words : markup;
    add_needs(seclang, &needs, rule);
}

/* "32-36,38-126": the bytes that may be. */
static int read_byte_range(struct seclang *seclang, struct span text, struct table_rule *rule,
                           struct seclang_error *error)
{
    struct table_class class = {{0}};
    struct span rest = text;
    struct span piece;
    while (span_next(&rest, ',', &piece)) {
        char range[16] = "";
        uint64_t first = 0, last = 0;
        piece = span_trim(piece);
        if (piece.length == 0 || piece.length >= sizeof(range))
            return seclang_fail(seclang, error, "not a range of bytes", text);
        memcpy(range, piece.data, piece.length);
        char *dash = strchr(range, '-');
        if (dash != NULL)
            *dash = '\0';
        if (text_parse_u64(range, &first) < 0 ||
            text_parse_u64(dash == NULL ? range : dash + 1, &last) < 0 || last > 255)
            return seclang_fail(seclang, error, "not a range of bytes", text);
        for (uint64_t byte = first; byte <= last; byte++)
            class.bytes[byte >> 6] |= 1ULL << (byte & 63);
    }
    rule->operand = table_builder_add(&seclang->builder, TABLE_CLASSES, &class);
    return 0;
}

/* Appends the content of the files named in text, which stand beside the rules. */
static int read_phrase_files(struct seclang *seclang, struct span text, struct buffer *phrases,
                             struct seclang_error *error)
{
    struct span rest = text;
    struct span name;
    while (span_next(&rest, ' ', &name)) {
        if (name.length == 0)
            continue;
        if (seclang->directory == NULL || memchr(name.data, '/', name.length) != NULL)
            return seclang_fail(seclang, error, "a data file that does not stand beside the rules",
                                name);
        AUTO_FREE char *path =
            text_format_new("%s/%.*s", seclang->directory, (int)name.length, name.data);
        if (path == NULL)
            return -ENOMEM;
        if (file_read_all(path, phrases) < 0)
            return seclang_fail(seclang, error, "a data file that cannot be read", name);
        (void)buffer_append(phrases, "\n", 1);
    }
    return buffer_failed(phrases);
}

static int read_phrases(struct seclang *seclang, struct span text, bool from_files,
                        struct table_rule *rule, struct seclang_error *error)
{
    AUTO_BUFFER struct buffer phrases = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_SOURCE);
    struct regex_needs needs = {.count = 0};
    if (from_files) {
        int r = read_phrase_files(seclang, text, &phrases, error);
        if (r < 0)
            return r;
        text = (struct span){phrases.data, phrases.length};
    }
    rule->operand = seclang_add_phrases(seclang, text, from_files, &needs);
    add_needs(seclang, &needs, rule);
    return 0;
}

int seclang_read_operator(struct seclang *seclang, struct span text, struct table_rule *rule,
                          struct seclang_error *error)
{
    struct span name = SPAN("rx");
    text = span_trim(text);
    if (span_begins(text, "!")) {
        rule->flags |= RULE_NEGATED;
        text = span_trim(span_from(text, 1));
    }
    if (span_begins(text, "@")) {
        size_t blank = span_find(text, ' ');
        name = span_from(span_first(text, blank), 1);
        text = span_trim(span_from(text, blank + 1));
    }
    rule->operation = (uint8_t)find_operator(seclang, name);
    rule->argument = table_builder_text(&seclang->builder, text);
    if (span_contains(text, SPAN("%{")))
        rule->flags |= RULE_MACRO;
    if (rule->operation == OPERATOR_PHRASES)
        return read_phrases(seclang, text, !span_alike(name, SPAN("pm")), rule, error);
    if (rule->operation == OPERATOR_BYTE_RANGE)
        return read_byte_range(seclang, text, rule, error);
    if (rule->operation == OPERATOR_SQL || rule->operation == OPERATOR_SCRIPT)
        add_injection_needs(seclang, rule);
    if (rule->operation == OPERATOR_REGEX && (rule->flags & RULE_MACRO) == 0) {
        struct regex_needs needs;
        regex_needs_read(text, &needs);
        add_needs(seclang, &needs, rule);
    }
    return 0;
}
