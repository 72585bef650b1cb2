/* The operators: what a rule looks for in a form of a value. */
#include "application/detection/rule_run.h"

#include "application/detection/address.h"
#include "application/detection/libinjection.h"
#include "application/detection/phrases.h"
#include "application/detection/transformations.h"
#include "application/detection/transformations_decode.h"

static bool match_sql(const struct value_form *form, struct span *captures)
{
    char fingerprint[8] = "";
    if (form->text.length == 0 ||
        libinjection_sqli(form->text.data, form->text.length, fingerprint) != 1)
        return false;
    captures[0] = form->text;
    return true;
}

static bool match_script(const struct value_form *form, struct span *captures)
{
    if (form->text.length == 0 || libinjection_xss(form->text.data, form->text.length) != 1)
        return false;
    captures[0] = form->text;
    return true;
}

static bool is_word_byte(char byte)
{
    return byte_is_letter(byte) || byte_is_digit(byte) || byte == '_';
}

static bool contains_word(struct span text, struct span word)
{
    for (size_t i = 0; word.length > 0 && i + word.length <= text.length; i++) {
        if (memcmp(text.data + i, word.data, word.length) == 0 &&
            (i == 0 || !is_word_byte(text.data[i - 1])) &&
            (i + word.length == text.length || !is_word_byte(text.data[i + word.length])))
            return true;
    }
    return word.length == 0;
}

/* Bytes outside of the allowed class. */
static bool out_of_range(const struct value_form *form, const struct table_class *allowed)
{
    for (size_t i = 0; i < 4; i++) {
        if ((form->bytes[i] & ~allowed->bytes[i]) != 0)
            return true;
    }
    return false;
}

/* A '%' without two hexadecimal digits behind it. */
static bool bad_url_encoding(struct span text)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] != '%')
            continue;
        if (text.length - i < 3 || byte_hex(text.data[i + 1]) < 0 || byte_hex(text.data[i + 2]) < 0)
            return true;
        i += 2;
    }
    return false;
}

static bool bad_utf8(struct span text)
{
    while (text.length > 0) {
        size_t used = 0;
        (void)utf8_read(text, &used);
        if (used == 0)
            return true;
        text = span_from(text, used);
    }
    return false;
}

static bool match_address(struct span text, struct span list)
{
    struct policy_address address, network;
    struct span piece;
    if (address_parse(span_trim(text), &address) < 0)
        return false;
    while (span_next(&list, ',', &piece)) {
        if (address_parse(span_trim(piece), &network) == 0 && address_within(&address, &network))
            return true;
    }
    return false;
}

static bool match_text(enum rule_operator operation, struct span text, struct span argument)
{
    switch (operation) {
    case OPERATOR_EQUAL_TEXT:
        return span_equal(text, argument);
    case OPERATOR_CONTAINS:
        return span_contains(text, argument);
    case OPERATOR_CONTAINS_WORD:
        return contains_word(text, argument);
    case OPERATOR_WITHIN:
        return span_contains(argument, text);
    case OPERATOR_BEGINS:
        return text.length >= argument.length &&
               span_equal(span_first(text, argument.length), argument);
    case OPERATOR_ENDS:
        return text.length >= argument.length &&
               span_equal(span_from(text, text.length - argument.length), argument);
    default:
        return match_address(text, argument);
    }
}

static bool match_number(enum rule_operator operation, int64_t number, int64_t argument)
{
    switch (operation) {
    case OPERATOR_EQUAL:
        return number == argument;
    case OPERATOR_GREATER_EQUAL:
        return number >= argument;
    case OPERATOR_GREATER:
        return number > argument;
    case OPERATOR_LESS_EQUAL:
        return number <= argument;
    default:
        return number < argument;
    }
}

bool rule_operator_match(struct rule_run *run, const struct table_rule *rule,
                         const struct value_form *form, struct span *captures)
{
    const struct rule_table *table = run->table;
    enum rule_operator operation = (enum rule_operator)rule->operation;
    bool macro = (rule->flags & RULE_MACRO) != 0;
    struct span argument = table_span(table, rule->argument);
    if (macro)
        argument = macro_expand(run, argument);
    switch (operation) {
    case OPERATOR_ALWAYS:
        return true;
    case OPERATOR_NEVER:
        return false;
    case OPERATOR_REGEX:
        return macro ? regex_cache_match_once(run->engine->regexes, argument, form->text, captures)
                     : regex_cache_match(run->engine->regexes, (size_t)(rule - table->rules),
                                         argument, form->text, captures);
    case OPERATOR_PHRASES:
        return phrases_find(table, &table->sets[rule->operand], form->text, &captures[0]);
    case OPERATOR_SQL:
        return match_sql(form, captures);
    case OPERATOR_SCRIPT:
        return match_script(form, captures);
    case OPERATOR_BYTE_RANGE:
        return out_of_range(form, &table->classes[rule->operand]);
    case OPERATOR_URL_ENCODING:
        return bad_url_encoding(form->text);
    case OPERATOR_UTF8:
        return bad_utf8(form->text);
    case OPERATOR_EQUAL:
    case OPERATOR_GREATER_EQUAL:
    case OPERATOR_GREATER:
    case OPERATOR_LESS_EQUAL:
    case OPERATOR_LESS:
        return match_number(operation, number_of(form->text), number_of(argument));
    default:
        return match_text(operation, form->text, argument);
    }
}
