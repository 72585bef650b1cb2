/* The extension's side of inspection: a process of its own, which may crash or hang at the cost of
 * one request's inspection. Started again at once; when it cannot be, events pass and that is said.
 *
 * Owns: the child, the shared memory, the socket. Must not own: what is done about a ruling.
 * Any thread; one inspection at a time. */
#ifndef APPLICATION_RELAY_INSPECTOR_LINK_H
#define APPLICATION_RELAY_INSPECTOR_LINK_H

#include "application/relay/ruling.h"

#include <stddef.h>

struct inspector_link;

enum inspector_outcome {
    INSPECTOR_JUDGED,
    INSPECTOR_LATE,    /* the time was over; the process was replaced */
    INSPECTOR_CRASHED, /* it ended; it was replaced */
    INSPECTOR_ABSENT,  /* there is none: it does not start */
    INSPECTOR_FAILED,  /* it said that it could not */
    INSPECTOR_SKIPPED, /* too large, or an answer to another event than the last one */
};
const char *inspector_outcome_name(enum inspector_outcome outcome);

/* argv of the child, ended by NULL; argv[0] is its path; it must outlive the link. policy:
 * libconfig text, "" = the defaults. runtime_fd: of a runtime_watch, which stays the caller's and
 * outlives the link; -1: none. Starts it; it is not ready yet. -errno. */
int inspector_link_new(char *const *argv, const char *policy, int runtime_fd,
                       struct inspector_link **ret_link) MUST_USE;
struct inspector_link *inspector_link_free(struct inspector_link *link);

/* Waits until the rules are loaded. False: not within wait_ns, or it does not start. */
bool inspector_link_wait(struct inspector_link *link, uint64_t wait_ns);

/* Puts another policy in force; takes as long as a start, so call it between invocations. -EINVAL:
 * it is unusable, and the old one stays; -errno. */
int inspector_link_set_policy(struct inspector_link *link, const char *text,
                              size_t length) MUST_USE;

/* Makes ready some more of the rules, some milliseconds of it, when there is more to do: between
 * invocations, so that fewer requests have to wait for it. */
void inspector_link_prepare(struct inspector_link *link);

struct inspector_question {
    const char *bytes;
    size_t length;
    const char *request_id; /* Lambda's: ties an answer to its event */
    uint64_t budget_ns;     /* it is answered within this time, with whatever */
};
enum inspector_outcome inspector_link_judge(struct inspector_link *link,
                                            const struct inspector_question *question,
                                            struct ruling *ret_ruling);
enum inspector_outcome inspector_link_judge_response(struct inspector_link *link,
                                                     const struct inspector_question *question,
                                                     struct ruling *ret_ruling);

#endif
