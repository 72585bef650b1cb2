/* A yagura-inspector that reads logs: files whose descriptors it is handed, and the journal. One
 * process of its own, so that whatever a line does to it costs no other inspection. */
#ifndef AGENT_INSPECTOR_LOG_READER_H
#define AGENT_INSPECTOR_LOG_READER_H

#include "common/attributes.h"

/* Serves socket until its peer is gone. journal_directory: NULL for the host's journal. -errno. */
int log_reader_run(int socket, const char *journal_directory) MUST_USE;

#endif
