/* systemd's journal, entry by entry, by libsystemd: which follows rotation and vacuuming itself.
 * One thread. */
#ifndef AGENT_INSPECTOR_JOURNAL_H
#define AGENT_INSPECTOR_JOURNAL_H

#include "common/attributes.h"
#include "common/log_rules/log_line.h"

#include <stdbool.h>
#include <stdint.h>

struct journal;

/* directory: NULL for this host's. -ENOENT when there is no journal; -errno. */
int journal_open(const char *directory, struct journal **ret_journal) MUST_USE;
struct journal *journal_close(struct journal *journal);

/* Stands behind the entry of cursor (LOG_CURSOR_* too). ret_lost: that entry is gone, and perhaps
 * others behind it. */
int journal_seek(struct journal *journal, const char *cursor, bool *ret_lost) MUST_USE;
/* The next entry; its line lives until the next call. 1, 0 at the end, -errno. A program's name is
 * believed when root, the kernel or a program of that name below /usr said it; otherwise it is that
 * of the program that sent the entry: its whole path when it is another user's and lies elsewhere,
 * [its own name for itself] when there is no path. ret_unit: "" or the systemd unit. */
int journal_next(struct journal *journal, struct log_line *ret_line,
                 const char **ret_unit) MUST_USE;
/* Of the last entry, or where journal_seek stands. */
int journal_cursor(struct journal *journal, char *cursor, size_t size) MUST_USE;

#endif
