/* The index of events by computer or sensor, and severity. A server keeps an ordinary one. On
 * SQLite it is a table of its own that is filled behind, in the order of computers: the leaf of a
 * computer is another one for nearly every event, and would go whole into the log each time. All
 * events up to a number (index_filled) are in it; of those behind, at most COMPUTER_INDEX_WAITING
 * and a transaction's, whoever asks looks through. */
#ifndef CONSOLE_EVENTS_COMPUTER_INDEX_H
#define CONSOLE_EVENTS_COMPUTER_INDEX_H

#include "common/attributes.h"
#include "console/store/sql.h"

#include <stddef.h>
#include <stdint.h>

#define COMPUTER_INDEX_WAITING 4096
/* Entered by one transaction, where more waits: after a restore. */
#define COMPUTER_INDEX_A_PIECE 20000

/* In the transaction that stored them: events with numbers from first to last, and none of anybody
 * else between. Fills the index when enough waits. */
int computer_index_note(struct sql *sql, int64_t first, int64_t last, size_t count) MUST_USE;
/* In a transaction of the writer: enters what waits; 1 when there is more. */
int computer_index_fill(struct sql *sql) MUST_USE;

#endif
