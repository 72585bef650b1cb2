/* The SQL of events: schema, insertion, caps, reading. Used by store.c, in the writer thread, but
 * for event_table_read. */
#ifndef AGENT_STORE_EVENT_TABLE_H
#define AGENT_STORE_EVENT_TABLE_H

#include "agent/store/store.h"
#include "common/database/database.h"

extern const struct database_migration store_migrations[];
extern const size_t store_migration_count;

/* Prepared statements and counters of one open file. */
struct event_table {
    struct database *database;
    sqlite3_stmt *insert, *oldest, *delete_one, *pages, *set_meta;
    char epoch[UUID_TEXT_BYTES];
    uint64_t next_number, acknowledged, dropped;
    uint64_t found_number; /* the last one that the file held when it was opened */
    uint64_t trimmed_to;   /* below it only malware events are left */
    uint64_t told_dropped; /* of dropped, how many an event has told */
    uint64_t aged_ns;      /* when the age cap was last applied, monotonic */
    uint64_t told_ns;      /* when dropping was last told, monotonic */
};

/* Loads or makes epoch and counters. */
int event_table_open(struct event_table *table, struct database *database) MUST_USE;
void event_table_close(struct event_table *table);

/* Inserts as next_number and counts on. */
int event_table_insert(struct event_table *table, const struct event_record *event) MUST_USE;
int event_table_acknowledge(struct event_table *table, uint64_t number) MUST_USE;
/* Nothing after number is acknowledged. */
int event_table_take_back(struct event_table *table, uint64_t number) MUST_USE;
/* A new epoch, in which the events found in the file count as acknowledged. */
int event_table_begin_epoch(struct event_table *table) MUST_USE;

/* Removes a bounded number of events beyond the caps, inside the current transaction. */
int event_table_trim(struct event_table *table, uint64_t max_age_ns, uint64_t max_bytes) MUST_USE;
/* Bytes in use, free pages not counted. */
int event_table_bytes(struct event_table *table, uint64_t *ret_bytes) MUST_USE;

int event_table_read(sqlite3 *database, const struct event_filter *filter,
                     int (*row)(void *user, const struct event_record *event), void *user) MUST_USE;

#endif
