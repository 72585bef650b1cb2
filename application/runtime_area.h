/* What the extension and the preload object in the function's processes share: the policy for file
 * opens and process starts, and the values of the requests in hand. The inspecting process writes,
 * functions map it read-only; neither side trusts what stands there. Findings go back as messages.
 *
 * Sequences: odd while somebody writes; a reader that finds another one afterwards reads again.
 * Plain C, nothing of the tree: it is compiled into the preload object. */
#ifndef APPLICATION_RUNTIME_AREA_H
#define APPLICATION_RUNTIME_AREA_H

#include <stdbool.h>
#include <stdint.h>

#define RUNTIME_AREA_SLOTS    64    /* requests at once; on most functions one */
#define RUNTIME_AREA_VALUES   32768 /* bytes of one request's values */
#define RUNTIME_AREA_RULES    8192  /* bytes of a list of rules */
#define RUNTIME_AREA_TEXT     1024  /* bytes of a path or command that is told */
#define RUNTIME_AREA_VALUE    1024  /* longest value that is kept */
#define RUNTIME_AREA_SHORTEST 3     /* shortest */

/* An abstract socket (unix(7)) of SOCK_SEQPACKET, with the relay's port behind it. Whoever connects
 * gets the area's descriptor in one message of one byte, and may send a finding, to which the
 * answer is one byte. */
#define RUNTIME_AREA_SOCKET "yagura-application-"

enum runtime_mode { RUNTIME_OFF, RUNTIME_REPORT, RUNTIME_MITIGATE };
enum runtime_subject { RUNTIME_FILES, RUNTIME_COMMANDS, RUNTIME_SUBJECTS };

/* "allow:PATTERN;deny:PATTERN", length bytes of it; none: the preload object's own. */
struct runtime_list {
    uint32_t mode;
    uint32_t length;
    char rules[RUNTIME_AREA_RULES];
};

/* Records of a 16-bit length and as many bytes. */
struct runtime_values {
    uint32_t sequence;
    uint32_t length;
    char records[RUNTIME_AREA_VALUES];
};

struct runtime_area {
    uint32_t slots; /* that are in use; set once by the extension */
    uint32_t sequence;
    uint32_t correlates; /* 0: rules alone */
    struct runtime_list lists[RUNTIME_SUBJECTS];
    struct runtime_values requests[RUNTIME_AREA_SLOTS];
};

struct runtime_finding {
    uint32_t subject; /* enum runtime_subject */
    uint32_t blocked;
    char what[RUNTIME_AREA_TEXT];  /* terminated */
    char value[RUNTIME_AREA_TEXT]; /* of the request; "": a rule denies it */
};

/* Both sides are processes: what they share needs no more than this. */
static inline uint32_t runtime_sequence(const uint32_t *sequence)
{
    return __atomic_load_n(sequence, __ATOMIC_ACQUIRE);
}
/* Whether what was read since that sequence is whole: what was read stays before the second look.
 */
static inline bool runtime_is_whole(const uint32_t *sequence, uint32_t before)
{
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return before % 2 == 0 && __atomic_load_n(sequence, __ATOMIC_RELAXED) == before;
}
static inline void runtime_write_begin(uint32_t *sequence)
{
    __atomic_store_n(sequence, *sequence | 1, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
static inline void runtime_write_end(uint32_t *sequence)
{
    __atomic_store_n(sequence, (*sequence | 1) + 1, __ATOMIC_RELEASE);
}

#endif
