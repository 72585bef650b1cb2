/* The memory that the extension and its inspecting process share: one job at a time. The parent
 * writes the question, the child the ruling; neither trusts what the other may write. */
#ifndef APPLICATION_RELAY_INSPECTOR_AREA_H
#define APPLICATION_RELAY_INSPECTOR_AREA_H

#include "application/relay/relay_limits.h"
#include "application/relay/ruling.h"

#define INSPECTOR_AREA_FD    3 /* in the child: a memfd of struct inspector_area */
#define INSPECTOR_SOCKET_FD  4 /* a SOCK_SEQPACKET pair's other end */
#define INSPECTOR_POLICY_FD  5 /* a memfd of libconfig text; empty: the defaults */
#define INSPECTOR_RUNTIME_FD 6 /* of struct runtime_area; none where functions are not watched */

enum inspector_job {
    INSPECTOR_READY,    /* child to parent, once: the rules are loaded */
    INSPECTOR_EVENT,    /* judge event */
    INSPECTOR_RESPONSE, /* judge the answer to the event judged last, which still stands there */
    INSPECTOR_PREPARE,  /* nothing to judge: make ready some more of the rules */
};

/* A message either way; the answer repeats the question's sequence. */
struct inspector_message {
    uint32_t job;
    uint32_t sequence;
    uint64_t budget_us;
    uint32_t length; /* of event or response */
    int32_t result;  /* of the answer: 0 or a negative errno; of READY: the policy is unusable;
                        of PREPARE: 1 when there is more to do */
};

struct inspector_area {
    struct ruling ruling;
    char response[RELAY_ANSWER_BYTES];
    char event[RELAY_EVENT_BYTES];
};

#endif
