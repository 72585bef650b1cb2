/* What is done with one message, whatever brought it. */
#ifndef STORAGE_RUNTIME_MESSAGE_HANDLER_H
#define STORAGE_RUNTIME_MESSAGE_HANDLER_H

#include "common/attributes.h"
#include "storage/scan/object_scanner.h"

#include <stddef.h>
#include <stdint.h>

struct message {
    const char *body;
    size_t length;
    const char *id;       /* "" = none */
    uint64_t deadline_ns; /* monotonic */
    bool again;           /* it came before */
};

/* 0: done with, acknowledge it. -EAGAIN: bring it again. -EBADMSG: it is not understood. */
typedef int message_handler(struct object_scanner *scanner, const struct message *message);

/* Scans the objects it tells of, each whatever became of those before it. The error is the first
 * one's. */
message_handler message_scan;
/* The message was given up by others: tells that its objects were not scanned. What is not
 * understood is told, too, and done with. */
message_handler message_report_dead;

#endif
