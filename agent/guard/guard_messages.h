/* The words between yagura-agent (agent/prevention) and yagura-guard, over one SOCK_SEQPACKET pair:
 * integers and bytes as common/messages packs them. The page of the protocol stands in
 * agent/guard/README.md. */
#ifndef AGENT_GUARD_GUARD_MESSAGES_H
#define AGENT_GUARD_GUARD_MESSAGES_H

#include <stdint.h>

enum guard_message_type {
    /* agent to guard, before GUARD_BEGIN and never after it */
    GUARD_PROTECT = 1, /* bytes path: a tree whose files are asked for */
    GUARD_LEAVE,       /* bytes path: a tree that is left alone, also inside of such ones */
    GUARD_MARK,        /* bytes path: a place on a file system whose opens are to be told */
    GUARD_BEGIN,       /* u32 flags, u64 deadline ns */
    /* agent to guard, after it */
    GUARD_VERDICT, /* u64 id, u32 enum guard_answer, u32 enum guard_memory (of ALLOW only) */
    GUARD_FORGET,  /* other signatures: nothing remembered counts any more */
    /* guard to agent */
    GUARD_READY = 64, /* u32 places marked, u32 not reached, u32 of enum guard_ability */
    GUARD_REFUSED,    /* u32 enum guard_step, u32 errno, bytes path: it ends now */
    GUARD_ASK, /* u64 id, u32 pid, u32 its user, u32 whether it is run, u64 monotonic ns until when
                  it waits, bytes path; with the file */
    GUARD_ALIVE, /* struct guard_counts, each second while it works */
};

enum guard_flag {
    GUARD_DENY_LATE = 1, /* what has no verdict in time is denied, otherwise allowed */
    GUARD_EXEC_ONLY = 2, /* only running files is told, not opening them */
    GUARD_DENY_CROWDS =
        4, /* what exceeds one user's part of those that wait is denied; root's not */
};

enum guard_ability {
    GUARD_CAN_EVICT = 1,   /* the kernel may forget what it was told to let pass */
    GUARD_IS_LOCKED = 2,   /* its memory is never paged out */
    GUARD_CAN_LOOK_UP = 4, /* paths are believed where they lead to the file in our namespace */
};

enum guard_answer { GUARD_ALLOW, GUARD_DENY };

/* How long an answer counts, if the lease held until it came. */
enum guard_memory {
    GUARD_FORGETS,        /* for this open */
    GUARD_LETS_OPEN,      /* until the kernel tells of a writer: opens pass, runs are asked for */
    GUARD_KNOWS_BY_TIMES, /* runs pass, too, while the file's times and size are the same */
};

enum guard_step { GUARD_STEP_CONFINE, GUARD_STEP_INIT, GUARD_STEP_MARK };

/* How long those waited that had to be asked for, in us: up to each of these, and the rest. */
enum { GUARD_WAIT_BOUNDS = 9 };
#define GUARD_WAIT_BOUNDS_US                                           \
    {                                                                  \
        100, 250, 1000, 5000, 25000, 100000, 500000, 2500000, 30000000 \
    }

/* Since its start. */
struct guard_counts {
    uint64_t opens;      /* told by the kernel */
    uint64_t asked;      /* that needed a verdict */
    uint64_t remembered; /* answered by what was remembered */
    uint64_t denied;
    uint64_t late;                         /* no verdict in time: answered as policy says */
    uint64_t overrun;                      /* too many waited: the same */
    uint64_t overflow;                     /* the kernel could not tell all */
    uint64_t waiting;                      /* now */
    uint64_t waited_ns;                    /* in all, of those whose answer came or was given up */
    uint64_t waits[GUARD_WAIT_BOUNDS + 1]; /* how many of them, by GUARD_WAIT_BOUNDS_US */
};

#define GUARD_SOCKET 3 /* the guard's end */
/* Most asks without an answer: the scanner has few workers, and what waits here waits fairly. */
#define GUARD_ASKED_MOST 16

#endif
