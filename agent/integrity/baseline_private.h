/* Shared by the files of baseline.h. Not for others. */
#ifndef AGENT_INTEGRITY_BASELINE_PRIVATE_H
#define AGENT_INTEGRITY_BASELINE_PRIVATE_H

#include "agent/integrity/baseline.h"
#include "common/crypto/seals.h"

struct baseline_header {
    uint64_t directories, entries, changed, approved_ns;
    struct seal_sum sum;
    bool tampered;
    char *rules;
};

struct baseline {
    struct database *database;
    struct sealer *sealer;
    struct baseline_header header, before; /* before: of the transaction; its rules are header's */
    char *rules_before;                    /* NULL: unchanged in the transaction */
    sqlite3_stmt *load, *below, *find_seal, *put_seal, *delete_seal, *find, *put, *delete,
        *put_text, *delete_text, *find_text;
    /* Directories that the transaction touched. */
    char **touched;
    size_t touched_count, touched_capacity;
};

/* ---- baseline_header.c ---- */

int baseline_header_read(struct baseline *baseline) MUST_USE; /* -EBADMSG: not signed by our key */
int baseline_header_write(struct baseline *baseline) MUST_USE;

/* ---- baseline_rows.c ---- */

/* Fills the page and tells the seal that its rows deserve. */
int baseline_load_and_seal(struct baseline *baseline, const char *directory, size_t length,
                           struct baseline_page *page,
                           uint8_t ret_seal[static SEAL_BYTES]) MUST_USE;

/* The header's numbers and sum, from the rows and seals that are there. */
int baseline_count_again(struct baseline *baseline) MUST_USE;

/* ---- baseline.c ---- */

void baseline_bind(sqlite3_stmt *statement, int index, const void *bytes, size_t length);
/* Runs a statement that gives no rows. */
int baseline_run(sqlite3_stmt *statement) MUST_USE;

#endif
