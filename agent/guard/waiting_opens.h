/* Opens that wait for a verdict: a table of fixed size, from which they are asked fairly.
 *
 * Nobody can make others wait by opening much: of one user only a part of the table is taken, and
 * whoever has the fewest files asked is asked for next. Every entry has its deadline. */
#ifndef AGENT_GUARD_WAITING_OPENS_H
#define AGENT_GUARD_WAITING_OPENS_H

#include "agent/guard/guard_messages.h"
#include "common/attributes.h"
#include "common/files/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    WAITING_OPENS = 1024,
    WAITING_OPENS_OF_USER = WAITING_OPENS / 4,
};

struct waiting_open {
    int fd; /* of the kernel's event, which it answers; owned by the entry. -1: free */
    int32_t pid;
    uid_t user;
    bool runs; /* it is executed */
    bool asked;
    uint64_t id;
    uint64_t since_ns; /* monotonic, when the kernel told it */
    struct file_identity identity;
};

struct waiting_opens {
    struct waiting_open entries[WAITING_OPENS];
    struct waiting_open *asked[GUARD_ASKED_MOST]; /* these of them */
    size_t count, asked_count;
    uint64_t last_number;
    unsigned late; /* deadlines since the last verdict */
    uid_t late_user;
    bool late_of_others; /* than late_user, or root's */
};

void waiting_opens_init(struct waiting_opens *opens);
/* Takes open->fd and gives it an id; NULL when there is no room for one more of this user: the fd
 * is still the caller's. */
struct waiting_open *waiting_opens_add(struct waiting_opens *opens,
                                       const struct waiting_open *open);
/* NULL: it had its answer already. */
struct waiting_open *waiting_opens_find(struct waiting_opens *opens, uint64_t id);
/* The next to ask for, when fewer than GUARD_ASKED_MOST are: of the user with the fewest asked, the
 * oldest. NULL: none. */
struct waiting_open *waiting_opens_next(struct waiting_opens *opens);
void waiting_opens_note_asked(struct waiting_opens *opens, struct waiting_open *open);
/* The oldest that is older than deadline_ns at now_ns; NULL: none. */
struct waiting_open *waiting_opens_late(struct waiting_opens *opens, uint64_t now_ns,
                                        uint64_t deadline_ns);
/* How long until the oldest is; UINT64_MAX without any. */
uint64_t waiting_opens_patience(const struct waiting_opens *opens, uint64_t now_ns,
                                uint64_t deadline_ns);
/* Its deadline was up, or (NULL) a verdict came. */
void waiting_opens_note_late(struct waiting_opens *opens, const struct waiting_open *open);
/* So many were late, since the last verdict, that nobody is to wait. One user's own do not count:
 * he makes them late as he likes. */
bool waiting_opens_are_tired(const struct waiting_opens *opens);
bool waiting_opens_are_crowded(const struct waiting_opens *opens, uid_t user);
/* Frees the entry and hands its fd out. */
int waiting_opens_remove(struct waiting_opens *opens, struct waiting_open *open);

#endif
