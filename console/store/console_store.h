/* The console's memory: one writer thread with group commit, and a pool of readers. What is stored
 * is the business of the modules that hand in work.
 *
 * Work that waits while a transaction is being synced goes into the next one together: that is
 * what makes an fsync for every acknowledgement affordable. */
#ifndef CONSOLE_STORE_CONSOLE_STORE_H
#define CONSOLE_STORE_CONSOLE_STORE_H

#include "common/attributes.h"
#include "console/store/sql.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

struct console_store;

/* path: the SQLite file, or the URL of a PostgreSQL database. ret_notice: "", what had to be done,
 * or why it could not be opened, 512 bytes. */
int console_store_open(const char *path, struct console_store **ret_store,
                       char ret_notice[static 512]) MUST_USE;
/* Commits what waits, then closes. NULL is legal. */
struct console_store *console_store_close(struct console_store *store);

/* Runs in the writer's transaction. < 0 undoes only this work. May run more than once, when the
 * database asks for the transaction to be repeated: it begins by clearing its results. */
typedef int console_store_work(struct sql *sql, void *user);
/* In the writer's thread after COMMIT (result of the work, >= 0) or failure (< 0). */
typedef void console_store_done(void *user, int result);

/* -ENOBUFS when LIMIT_CONSOLE_STORE_QUEUE pieces wait; -ESHUTDOWN while closing. Then done is not
 * called. */
int console_store_submit(struct console_store *store, console_store_work *work,
                         console_store_done *done, void *user) MUST_USE;
/* Work of one kind that waits together runs together: statements for many rows are what makes it
 * cheap. many fills a result for each; CONSOLE_STORE_ALONE: that one is for alone, which runs as
 * the work above, afterwards. many < 0 undoes it whole, and alone runs for all. Both may run more
 * than once. */
#define CONSOLE_STORE_ALONE   INT_MAX
#define CONSOLE_STORE_AT_ONCE 512
struct console_store_kind {
    int (*many)(struct sql *sql, void *const *users, int *ret_results, size_t count);
    console_store_work *alone;
    console_store_done *done;
};
/* Room for one piece of work, of the caller, who leaves it alone until done was called. */
struct console_store_piece {
    const struct console_store_kind *kind; /* NULL: work and done */
    console_store_work *work;
    console_store_done *done;
    void *user;
    int result;
    bool ran;  /* in this attempt */
    bool ours; /* freed by the store */
    struct console_store_piece *next;
};
/* Waits up to 5 ms for more, or for console_store_hurry. */
int console_store_submit_kind(struct console_store *store, const struct console_store_kind *kind,
                              struct console_store_piece *piece, void *user) MUST_USE;
/* No more is coming for the moment. From any thread; cheap. */
void console_store_hurry(struct console_store *store);
/* The same, waiting; the work's result. Not from a thread that must not block. */
int console_store_write(struct console_store *store, console_store_work *work, void *user) MUST_USE;
/* Runs work on a reader's connection, in the caller's thread. Waits when all readers
 * are busy. */
int console_store_read(struct console_store *store, console_store_work *work, void *user) MUST_USE;
/* The same, but -EBUSY instead of waiting. */
int console_store_read_now(struct console_store *store, console_store_work *work,
                           void *user) MUST_USE;

/* A number that is larger than all this process made before, unique among 1,024 nodes, and sorts by
 * time: ms since 2020 << 22 | node << 12 | counter. */
int64_t console_store_new_number(void);
/* The smallest number of a moment. */
int64_t console_store_number_at(int64_t time_ms);
int64_t console_store_number_time(int64_t number);
int64_t console_store_now_ms(void);

/* Whether other nodes may write to the same database. */
bool console_store_is_shared(const struct console_store *store);

/* Pieces that wait for the writer. */
size_t console_store_waiting(struct console_store *store);

struct console_store_status {
    uint64_t transactions, works, failures;
    int problem; /* 0, or the error of the last failed commit */
};
/* What somebody is to do about it. */
const char *console_store_cure(int problem);
void console_store_status(struct console_store *store, struct console_store_status *ret_status);

#endif
