/* One test file of a round: where it lies, and what became of it. */
#ifndef AGENT_HEALTH_MARKER_H
#define AGENT_HEALTH_MARKER_H

#include "agent/health/health.h"
#include "agent/scan/scan_pipeline.h"
#include "common/attributes.h"
#include "common/files/file.h"

#define MARKER_PREFIX ".yagura-marker-"

struct marker_hold {
    int directory_fd, held;
};

struct marker_sight {
    int directory_fd;
    bool blocked; /* it was written, but for want of a descriptor cannot be looked for */
    char name[sizeof MARKER_PREFIX + 16];
    uint64_t device, inode;
};

struct marker {
    char *directory, *path;
    int directory_fd; /* -1: not opened, or not needed any more: it would pin the mount */
    int held;         /* the file itself, O_PATH, until it is removed; -1: not */
    bool creating;    /* its file may be there before what it is is known */
    bool written, eicar, detected;
    uint64_t device, inode; /* once written */
    uint64_t written_ns;    /* monotonic */
    struct health_place place;
};

/* A file system may be frozen, or never answer again: nothing that asks one is called with a lock
 * that others wait for. Those functions say so. */

/* For a directory; path is of a name nobody can guess. -ENOMEM, -errno. */
int marker_init(struct marker *marker, const char *directory) MUST_USE;
/* Removes what was written, where that was not done yet. */
void marker_done(struct marker *marker);

/* Asks the file system. Opens the directory; device says on which file system it lies. */
int marker_open(struct marker *marker) MUST_USE;
/* Ask the file system. Makes the empty file, readable by us alone, and notes what it is;
 * marker_fill writes and closes it, so that a caller who shares the marker can make it known in
 * between. */
int marker_create(struct marker *marker, int *ret_fd) MUST_USE;
int marker_fill(const struct marker *marker, int fd) MUST_USE;
/* Asks the file system. Removes the file, if it is still the one that was written. */
void marker_unlink(const struct marker *marker);
/* Afterwards: nothing is held any more. What was comes back, for marker_let_go. */
struct marker_hold marker_release(struct marker *marker);
void marker_let_go(struct marker_hold hold);
/* All three, for whoever shares it with nobody. */
void marker_remove(struct marker *marker);

bool marker_is(const struct marker *marker, const char *path, size_t length);
/* Where the file that was written is to be looked for; directory_fd: -1 when it was not, or no
 * more, or blocked. For marker_lies_there alone, which closes it. */
struct marker_sight marker_sight(const struct marker *marker);
/* Asks the file system, whether the file lies at its path now: false once it is removed, or another
 * was put in its place. */
bool marker_lies_there(struct marker_sight sight);
/* Whether a scanned file has the inode of the one that was written. While that is held (written)
 * nobody else can get it; afterwards it is ours when marker_is_nameless as well. */
bool marker_has_inode(const struct marker *marker, const struct scan_own_verdict *scanned);
/* Asks the file system, whether a scanned file is what nobody but root can make: a file of root's
 * without a name. After the other, not before: the name goes first. */
bool marker_is_nameless(const struct scan_own_verdict *scanned);

#endif
