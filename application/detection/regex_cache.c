#include "application/detection/regex_cache.h"

#include "application/limits.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Machine code is made at this use: it costs as much as some hundred matches save. */
#define USES_BEFORE_JIT 12

struct regex {
    pcre2_code *code;
    unsigned uses;
    bool failed; /* not an expression PCRE2 takes: never matches */
};

struct regex_cache {
    pcre2_compile_context *compile_context;
    pcre2_match_context *match_context;
    pcre2_match_data *match_data;
    pcre2_jit_stack *jit_stack;
    struct regex once;
    char once_text[1024];
    size_t once_length;
    size_t count;
    struct regex regexes[];
};

struct regex_cache *regex_cache_new(size_t count)
{
    struct regex_cache *cache = calloc(1, sizeof(*cache) + count * sizeof(cache->regexes[0]));
    if (cache == NULL)
        return NULL;
    cache->count = count;
    cache->compile_context = pcre2_compile_context_create(NULL);
    cache->match_context = pcre2_match_context_create(NULL);
    cache->match_data = pcre2_match_data_create(REGEX_CAPTURES, NULL);
    cache->jit_stack = pcre2_jit_stack_create((size_t)32 << 10, (size_t)512 << 10, NULL);
    if (cache->compile_context == NULL || cache->match_context == NULL || cache->match_data == NULL)
        return regex_cache_free(cache);
    (void)pcre2_set_match_limit(cache->match_context, APPLICATION_LIMIT_PCRE_MATCH);
    (void)pcre2_set_heap_limit(cache->match_context, APPLICATION_LIMIT_PCRE_HEAP_KIB);
    if (cache->jit_stack != NULL)
        pcre2_jit_stack_assign(cache->match_context, NULL, cache->jit_stack);
    return cache;
}

struct regex_cache *regex_cache_free(struct regex_cache *cache)
{
    if (cache == NULL)
        return NULL;
    for (size_t i = 0; i < cache->count; i++)
        pcre2_code_free(cache->regexes[i].code);
    pcre2_code_free(cache->once.code);
    pcre2_jit_stack_free(cache->jit_stack);
    pcre2_match_data_free(cache->match_data);
    pcre2_match_context_free(cache->match_context);
    pcre2_compile_context_free(cache->compile_context);
    free(cache);
    return NULL;
}

static void compile(struct regex_cache *cache, struct regex *regex, struct span expression)
{
    int error = 0;
    PCRE2_SIZE offset = 0;
    regex->code = pcre2_compile((PCRE2_SPTR)(expression.length == 0 ? "" : expression.data),
                                expression.length, PCRE2_DOTALL | PCRE2_MULTILINE, &error, &offset,
                                cache->compile_context);
    regex->failed = regex->code == NULL;
}

static bool match(struct regex_cache *cache, const struct regex *regex, struct span text,
                  struct span *captures)
{
    const char *subject = text.length == 0 ? "" : text.data;
    int r = pcre2_match(regex->code, (PCRE2_SPTR)subject, text.length, 0, 0, cache->match_data,
                        cache->match_context);
    if (r < 0)
        return false;
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(cache->match_data);
    int groups = r == 0 ? REGEX_CAPTURES : r;
    for (int i = 0; captures != NULL && i < REGEX_CAPTURES; i++) {
        bool took_part = i < groups && offsets[(size_t)2 * i] != PCRE2_UNSET &&
                         offsets[(size_t)2 * i + 1] >= offsets[(size_t)2 * i];
        captures[i] = took_part ? (struct span){subject + offsets[(size_t)2 * i],
                                                offsets[(size_t)2 * i + 1] - offsets[(size_t)2 * i]}
                                : SPAN_NONE;
    }
    return true;
}

bool regex_cache_match(struct regex_cache *cache, size_t index, struct span expression,
                       struct span text, struct span *captures)
{
    struct regex *regex = &cache->regexes[index];
    if (regex->code == NULL && !regex->failed)
        compile(cache, regex, expression);
    if (regex->failed)
        return false;
    if (++regex->uses == USES_BEFORE_JIT)
        (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* else it is interpreted */
    return match(cache, regex, text, captures);
}

void regex_cache_prepare(struct regex_cache *cache, size_t index, struct span expression)
{
    struct regex *regex = &cache->regexes[index];
    if (regex->code == NULL && !regex->failed)
        compile(cache, regex, expression);
    if (regex->code != NULL && regex->uses < USES_BEFORE_JIT) {
        regex->uses = USES_BEFORE_JIT;
        (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
    }
}

bool regex_cache_match_once(struct regex_cache *cache, struct span expression, struct span text,
                            struct span *captures)
{
    if (expression.length > sizeof(cache->once_text))
        return false;
    if ((cache->once.code == NULL && !cache->once.failed) ||
        !span_equal(expression, (struct span){cache->once_text, cache->once_length})) {
        pcre2_code_free(cache->once.code);
        if (expression.length > 0)
            memcpy(cache->once_text, expression.data, expression.length);
        cache->once_length = expression.length;
        compile(cache, &cache->once, expression);
    }
    return !cache->once.failed && match(cache, &cache->once, text, captures);
}
