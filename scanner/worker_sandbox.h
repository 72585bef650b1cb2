/* What a worker gives up before it sees its first file. */
#ifndef SCANNER_WORKER_SANDBOX_H
#define SCANNER_WORKER_SANDBOX_H

#include <stdbool.h>
#include <stdint.h>

struct worker_sandbox_options {
    int directory_fd;         /* the worker's own temporary directory */
    uint64_t temporary_bytes; /* most bytes of one file in it */
    bool seccomp_debug;
    bool accept_unconfined; /* goes on when neither Landlock nor seccomp was to be had */
};

/* Confines the calling process, whose user and namespaces the loader has already changed, to its
 * temporary directory and the system calls of scanning. Each step that the kernel lacks is left
 * out; returns the SCANNER_SANDBOX_ bits of the steps that were reached here, or -errno when the
 * process must not go on: -EPERM when neither Landlock nor seccomp was reached. */
int worker_sandbox_enter(const struct worker_sandbox_options *options, uint32_t *ret_reached);
/* True in a sanitizer build, whose list of system calls is wider than the product's. */
bool worker_sandbox_is_wider(void);

#endif
