/* What yagura-agent (agent/logs) asks a yagura-inspector that reads logs, and the answers: any
 * number of matches, then one end. Texts in matches are escaped and hide secrets. */
#ifndef AGENT_INSPECTOR_LOG_MESSAGES_H
#define AGENT_INSPECTOR_LOG_MESSAGES_H

#include "common/limits.h"

/* Sizes of texts in matches, with their terminators. */
#define LOG_NAME_BYTES        (LIMIT_LOG_NAME_BYTES + 1)
#define LOG_VALUE_BYTES       (4 * LIMIT_LOG_FIELD_BYTES + 1)
#define LOG_LINE_BYTES        (4 * LIMIT_LOG_EXCERPT_BYTES + 1)
#define LOG_DESCRIPTION_BYTES (LIMIT_LOG_DESCRIPTION_BYTES + 1)
#define LOG_CURSOR_BYTES      1024
#define LOG_PROBLEM_BYTES     1024
#define LOG_FIELDS            16

enum log_message {
    /* First of all, without an answer. Descriptors of the policy's own rules, then of ours. */
    LOG_RULES_CUSTOM = 1, /* descriptor of the text */
    LOG_RULES_SHIPPED,    /* the same */
    LOG_STATE,            /* nothing (a journal that could not be opened is tried again);
                             LOG_STATE_END */
    LOG_READ,             /* u64 offset, u32 most bytes, u32 whether it is final, text name;
                             descriptor of the file; LOG_READ_END */
    LOG_JOURNAL,          /* text cursor, u32 most entries; LOG_JOURNAL_END */

    LOG_MATCH,     /* u32 rule, u32 severity, u32 group, u32 lines, u64 time, u32 process, texts
                      description, Japanese description, decoder, program, unit, line, u32 fields,
                      (text name, text value) for each */
    LOG_STATE_END, /* u32 decoders, u32 rules, u32 whether the journal can be read, text problem */
    LOG_READ_END,  /* u64 offset, u32 errno of reading the file (0: none), then counts */
    LOG_JOURNAL_END, /* text cursor, u64 time of the last entry, u32 whether entries were lost, then
                        counts */
};
/* Counts of an answer: u32 whether there is more, u64 lines, u64 matched, u64 cut (too long), u64
 * exhausted (an expression was given up). */

/* Cursors that are none: from now on, and from the oldest entry. */
#define LOG_CURSOR_NOW  ""
#define LOG_CURSOR_HEAD "head"

#endif
