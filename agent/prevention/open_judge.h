/* Who decides, in place of a scan, whether a file may be opened or run (agent/application_control).
 * Then prevention does all else: the guard, its life, deadlines, fairness. */
#ifndef AGENT_PREVENTION_OPEN_JUDGE_H
#define AGENT_PREVENTION_OPEN_JUDGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct open_question {
    int fd;            /* of the very file; handed over */
    char *path;        /* raw bytes; "" when it is not known; handed over */
    pid_t pid;         /* who waits */
    uid_t user;        /* as whom that process runs */
    uint64_t until_ns; /* monotonic: the guard answers by its deadline then */
};

/* remember: this file needs no answer as long as it is not changed. */
typedef void open_answered(void *user, bool allow, bool remember);

struct open_judge {
    const char *module; /* of events */
    const char *started_kind, *degraded_kind;
    /* In prevention's thread; must not wait. answered(answered_user, ...) follows exactly once,
     * from any thread but within this call. < 0: nothing was taken, and answered is not called. */
    int (*ask)(void *user, const struct open_question *question, open_answered *answered,
               void *answered_user);
    uint64_t (*generation)(void *user); /* another one: nothing remembered counts any more */
    void *user;
};

#endif
