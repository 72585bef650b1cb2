/* What the extension and its reporter say to each other, over a SOCK_SEQPACKET pair
 * (common/messages) that the reporter finds as REPORTER_SOCKET_FD. */
#ifndef APPLICATION_RELAY_REPORTER_MESSAGES_H
#define APPLICATION_RELAY_REPORTER_MESSAGES_H

#define REPORTER_SOCKET_FD 3

enum reporter_message {
    REPORTER_EVENT = 1, /* extension: payload is one event as JSON, see incident.h */
    REPORTER_FLUSH,     /* extension: u64 ns it may take, u32 1 = the last time */
    REPORTER_POLICY,    /* reporter, before REPORTER_DONE: a memfd of libconfig text */
    REPORTER_DONE,      /* reporter, after a flush: u32 events that still wait */
};

#endif
