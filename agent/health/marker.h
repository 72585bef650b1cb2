/* One test file of a round: where it lies, and what became of it. */
#ifndef AGENT_HEALTH_MARKER_H
#define AGENT_HEALTH_MARKER_H

#include "agent/health/health.h"
#include "agent/scan/scan_pipeline.h"
#include "common/attributes.h"
#include "common/files/file.h"

#define MARKER_PREFIX ".yagura-marker-"

struct marker {
    char *directory, *path;
    int directory_fd; /* -1: not opened, or not needed any more: it would pin the mount */
    int held;         /* the file itself, O_PATH, until it is removed; -1: not */
    bool written, eicar, detected;
    uint64_t device, inode; /* once written */
    uint64_t written_ns;    /* monotonic */
    struct health_place place;
};

/* For a directory; path is of a name nobody can guess. -ENOMEM, -errno. */
int marker_init(struct marker *marker, const char *directory) MUST_USE;
/* Removes what was written. */
void marker_done(struct marker *marker);

/* Opens the directory; device says on which file system it lies. */
int marker_open(struct marker *marker) MUST_USE;
/* Makes the empty file, readable by us alone, and notes what it is; marker_fill writes and closes
 * it, so that a caller who shares the marker can make it known in between. */
int marker_create(struct marker *marker, int *ret_fd) MUST_USE;
int marker_fill(const struct marker *marker, int fd) MUST_USE;
/* Removes the file, if it is still the one that was written, and lets go of its mount. */
void marker_remove(struct marker *marker);

bool marker_is(const struct marker *marker, const char *path, size_t length);
/* Whether the file that was written lies at its path now: false once it is removed, or another was
 * put in its place. */
bool marker_lies_there(const struct marker *marker);
/* Whether a scanned file is the one that was written. While that is held nobody can get its inode;
 * afterwards it is told by what nobody but root can make: a file of root's without a name. */
bool marker_owns(const struct marker *marker, const struct scan_own_verdict *scanned);

#endif
