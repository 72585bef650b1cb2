/* Owns: how expressions are compiled. Must not own: their limits (log_engine.c). */
#include "common/log_rules/log_regex.h"

#include <errno.h>
#include <string.h>

int log_regex_compile(const char *text, pcre2_code **ret_regex,
                      char ret_problem[static LOG_REGEX_PROBLEM_BYTES], size_t *ret_offset)
{
    const uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP;
    PCRE2_SIZE offset = 0;
    int error = 0;

    *ret_regex = pcre2_compile((PCRE2_SPTR)text, strlen(text), options, &error, &offset, NULL);
    if (*ret_regex != NULL)
        return 0;
    if (pcre2_get_error_message(error, (PCRE2_UCHAR *)ret_problem, LOG_REGEX_PROBLEM_BYTES) < 0)
        ret_problem[0] = '\0';
    *ret_offset = offset;
    return -EINVAL;
}

void log_regex_free(pcre2_code *regex)
{
    pcre2_code_free(regex);
}

const char *log_regex_name(const pcre2_code *regex, size_t index, unsigned *ret_group)
{
    uint32_t count = 0, size = 0;
    PCRE2_SPTR table = NULL;

    (void)pcre2_pattern_info(regex, PCRE2_INFO_NAMECOUNT, &count);
    (void)pcre2_pattern_info(regex, PCRE2_INFO_NAMEENTRYSIZE, &size);
    (void)pcre2_pattern_info(regex, PCRE2_INFO_NAMETABLE, &table);
    if (index >= count)
        return NULL;
    table += index * size;
    *ret_group = (unsigned)table[0] << 8 | table[1];
    return (const char *)table + 2;
}

int log_regex_match(const pcre2_code *regex, const char *text, size_t length,
                    pcre2_match_data *data, pcre2_match_context *context)
{
    return pcre2_match(regex, (PCRE2_SPTR)(length > 0 ? text : ""), length, 0, 0, data, context);
}
