/* What sends events to one destination. Belongs to one thread; each call ends within some seconds.
 * Shared by console/forward. */
#ifndef CONSOLE_FORWARD_SINK_H
#define CONSOLE_FORWARD_SINK_H

#include "common/attributes.h"
#include "console/forward/destination.h"

#define SINK_EVENTS        100 /* most at once */
#define SINK_PROBLEM_BYTES 256

struct sink;

/* One event as it is sent. */
struct sink_event {
    int64_t number, time_ms;
    unsigned severity;
    const char *id, *module, *kind, *hostname;
    const char *json; /* the event, as the API shows it */
};

struct sink_outcome {
    size_t sent; /* of the first ones: the destination has them */
    /* 0; -EBADMSG: the one behind those will never be taken; others: try again later. */
    int error;
    uint64_t wait_s; /* the destination asked for so long; 0: it did not */
    char problem[SINK_PROBLEM_BYTES];
};

struct sink_kind {
    int (*open)(const struct destination *destination, struct sink **ret_sink,
                char problem[static SINK_PROBLEM_BYTES]);
    void (*send)(struct sink *sink, const struct sink_event *events, size_t count,
                 struct sink_outcome *ret_outcome);
    void (*close)(struct sink *sink);
};

/* The first member of a kind's own struct. */
struct sink {
    const struct sink_kind *kind;
};

extern const struct sink_kind SYSLOG_SINK, WEBHOOK_SINK, SNS_SINK;

int sink_open(const struct destination *destination, struct sink **ret_sink,
              char problem[static SINK_PROBLEM_BYTES]) MUST_USE;
void sink_send(struct sink *sink, const struct sink_event *events, size_t count,
               struct sink_outcome *ret_outcome);
struct sink *sink_close(struct sink *sink);

#endif
