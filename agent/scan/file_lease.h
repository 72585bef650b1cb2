/* A read lease held on a file while it is scanned: proof that nobody has it open or mapped for
 * writing, from before the scan until after it. The kernel refuses it when there is a writer
 * (-EAGAIN), and breaks it when one comes: that writer waits until the lease is given back, so it
 * is given back at once. Source: fcntl(2) F_SETLEASE; fs/locks.c: generic_add_lease.
 *
 * The break is told by SIGIO, sent to the thread that took the lease: it must have that signal
 * blocked and handled (event_loop_add_signal), and look at all its leases then. */
#ifndef AGENT_SCAN_FILE_LEASE_H
#define AGENT_SCAN_FILE_LEASE_H

#include "common/attributes.h"

#include <stdbool.h>

/* -EAGAIN: somebody writes; -EINVAL, -EACCES: this file system or user cannot. */
int file_lease_take(int fd) MUST_USE;
/* False: somebody waits for it to be given back. */
bool file_lease_holds(int fd);
void file_lease_give_back(int fd);

/* What a lease, and the same identity later on, say about a file's content: by its file system.
 * Waits for a local disk at most. */
enum file_evidence {
    FILE_EVIDENCE_NONE,  /* overlayfs: a lease is granted while somebody writes through a mapping */
    FILE_EVIDENCE_LEASE, /* tmpfs, ramfs: while it is held; such writes move no time there */
    FILE_EVIDENCE_FULL,  /* whoever writes meets the lease or moves a time */
};
enum file_evidence file_lease_evidence(int fd);

#endif
