/* Shared by the files that make up the reader thread. Not for others. Everything runs in that
 * thread, with the watch's lock unless it says otherwise. */
#ifndef AGENT_WATCH_READER_PRIVATE_H
#define AGENT_WATCH_READER_PRIVATE_H

#include "agent/watch/outbox.h"
#include "agent/watch/watch_internal.h"
#include "agent/watch/watch_source.h"
#include "common/limits.h"

#define PATH_ROOM (LIMIT_PATH_BYTES + 1)

struct reader {
    struct watch *watch;
    struct outbox outbox;
    char *path; /* PATH_ROOM */
    size_t path_length;
    uint64_t now_ns; /* monotonic, of this turn */
    uint64_t too_long_told_ns;
};

/* One record at one of the directories its key stands for. */
struct place {
    uint32_t index;
    struct tree_node *node;
    const struct watch_record *record;
};

/* ---- reader_records.c ---- */

void reader_flush_settled(struct watch *watch, uint64_t until_ns);
void reader_bury_from_limbo(struct watch *watch, struct limbo_node node);
void reader_handle_record(struct reader *reader, const struct watch_record *record);

#endif
