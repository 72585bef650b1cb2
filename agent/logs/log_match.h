/* A match as the inspector sends it, made ready to be told. The inspector has read what others
 * wrote: its message is judged as theirs would be. */
#ifndef AGENT_LOGS_LOG_MATCH_H
#define AGENT_LOGS_LOG_MATCH_H

#include "agent/logs/log_folds.h"
#include "common/attributes.h"
#include "common/messages/message.h"

/* The rest of reader's message; path: of the log, NULL: the journal. ret_told is freed with
 * log_told_done. -EBADMSG: it is no match; -ENOMEM. */
int log_match_read(struct message_reader *reader, const char *path,
                   struct log_told *ret_told) MUST_USE;
void log_told_done(struct log_told *told);

#endif
