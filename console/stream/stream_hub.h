/* Live changes, as server-sent events: one thread looks at the store twice a second while anybody
 * listens, and puts what it found into the queue of each client that may see it. Looking at the
 * store instead of being told makes nodes on one database alike.
 *
 * Delivery is at least once: a client may get a message twice, and one that comes back with the id
 * it saw last gets what it missed, or a "resync" naming the topics whose lists it must read again.
 * A client that does not read fast enough loses its queue and gets a resync of everything. */
#ifndef CONSOLE_STREAM_STREAM_HUB_H
#define CONSOLE_STREAM_STREAM_HUB_H

#include "common/attributes.h"
#include "console/people/viewer.h"
#include "console/store/console_store.h"
#include "console/stream/stream_batch.h"

#include <sys/types.h>

struct stream_hub;
struct stream_client;

/* A topic, and how its changes are found. */
struct stream_source {
    const char *topic; /* "events" */
    /* Puts what changed after the number after, oldest first, at most limit messages, into batch
     * as topic; ret_last: the number of the last one. More than limit: stream_batch_give_up. Runs
     * on a reader's connection. */
    int (*read)(struct sql *sql, void *user, int64_t after, unsigned limit, unsigned topic,
                struct stream_batch *batch, int64_t *ret_last);
    /* Without numbers to come back to: read only every so often, after = 0 for the first time, and
     * a client that comes back reads its lists again. 0: with numbers. */
    uint64_t period_ns;
};

#define STREAM_SOURCES_MAXIMUM 8

struct stream_hub_options {
    struct console_store *store;
    const struct stream_source *sources;
    size_t source_count;
    void *user; /* of the sources */
    unsigned clients, clients_of_an_actor;
};

int stream_hub_start(const struct stream_hub_options *options,
                     struct stream_hub **ret_hub) MUST_USE;
/* Ends every client's stream: stream_client_take says so from now on. */
void stream_hub_close(struct stream_hub *hub);
/* After the last client left. NULL is legal. */
struct stream_hub *stream_hub_stop(struct stream_hub *hub);
/* Somebody's rights changed: every client checks its own at once. */
void stream_hub_recheck(struct stream_hub *hub);

struct stream_hub_status {
    uint64_t clients, messages, resyncs, refused;
};
void stream_hub_status(struct stream_hub *hub, struct stream_hub_status *ret_status);

struct stream_wish {
    const struct viewer *viewer; /* copied */
    uint32_t topics;             /* bit i: the i-th source */
    const char *computer;        /* its id, or "": of all */
    int64_t after;               /* the id seen last; 0: from now on; -1: unknown, read the lists */
};
/* Waits for a look at the store, so that lists read afterwards miss nothing that is not told.
 * -EUSERS when too many listen, -EDQUOT when this actor has too many. */
int stream_client_join(struct stream_hub *hub, const struct stream_wish *wish,
                       struct stream_client **ret_client) MUST_USE;
/* NULL is legal. */
struct stream_client *stream_client_leave(struct stream_client *client);
/* Bytes for the client, waiting for them as long as wait_ns: their number; 0 when the stream is to
 * end; -ETIME when there were none; -EAGAIN when the client's rights are to be checked again. */
ssize_t stream_client_take(struct stream_client *client, char *bytes, size_t size,
                           uint64_t wait_ns) MUST_USE;
/* What it may see from now on. */
void stream_client_narrow(struct stream_client *client, const struct viewer *viewer);

#endif
