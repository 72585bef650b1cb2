/* Expressions. A program that only keeps rules (yagura-agent, as root) links no PCRE2: there the
 * weak ones are not there, and expressions are judged by whoever uses them. */
#ifndef COMMON_LOG_RULES_LOG_REGEX_H
#define COMMON_LOG_RULES_LOG_REGEX_H

#include "common/attributes.h"

#include <stddef.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define LOG_REGEX_PROBLEM_BYTES 120

/* -EINVAL with ret_problem and ret_offset, the byte where it is. */
int log_regex_compile(const char *text, pcre2_code **ret_regex,
                      char ret_problem[static LOG_REGEX_PROBLEM_BYTES], size_t *ret_offset)
    __attribute__((weak)) MUST_USE;
void log_regex_free(pcre2_code *regex) __attribute__((weak));
/* The index-th named group: its name, NULL beyond the last. */
const char *log_regex_name(const pcre2_code *regex, size_t index, unsigned *ret_group)
    __attribute__((weak));

/* pcre2_match's answer. Who calls it has the others, too. */
int log_regex_match(const pcre2_code *regex, const char *text, size_t length,
                    pcre2_match_data *data, pcre2_match_context *context);

#endif
