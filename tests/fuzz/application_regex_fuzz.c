/* What the compiler says a match needs, every match has: an expression, a newline, a text. */
#include "application/compiler/regex_needs.h"
#include "application/detection/transformations.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static bool matches(struct span expression, struct span text)
{
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)expression.data, expression.length,
                                     PCRE2_DOTALL | PCRE2_MULTILINE, &error, &offset, NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *context = pcre2_match_context_create(NULL);
    require(data != NULL && context != NULL);
    (void)pcre2_set_match_limit(context, 2000);
    (void)pcre2_set_heap_limit(context, 1024);
    bool matched = code != NULL &&
                   pcre2_match(code, (PCRE2_SPTR)text.data, text.length, 0, 0, data, context) >= 0;
    pcre2_match_context_free(context);
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return matched;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct regex_needs needs;
    uint64_t bytes[4] = {0};
    struct span whole = {(const char *)data, size > 512 ? 512 : size};
    struct span expression = span_first(whole, span_find(whole, '\n'));
    struct span text = span_from(whole, expression.length + 1);
    if (expression.length == 0 || text.length == 0 || text.data == NULL)
        return 0;
    regex_needs_read(expression, &needs);
    if (!matches(expression, text))
        return 0;
    for (size_t i = 0; i < text.length; i++)
        bytes[(unsigned char)text.data[i] >> 6] |= 1ULL << ((unsigned char)text.data[i] & 63);
    require(needs.least_length <= text.length && needs.count <= REGEX_NEEDS_MOST);
    for (size_t i = 0; i < needs.count; i++)
        require(bytes_meet(needs.classes[i].bytes, bytes));
    return 0;
}
