/* One worker process: receives files, scans them, answers. */
#ifndef SCANNER_WORKER_H
#define SCANNER_WORKER_H

#include <stdbool.h>
#include <stdint.h>

struct worker_options {
    int socket;       /* SOCK_SEQPACKET to the client, blocking */
    int directory_fd; /* its temporary directory, empty */
    uint64_t temporary_bytes;
    uint32_t inherited; /* SCANNER_SANDBOX_ bits that the loader reached for us */
    bool reserve;       /* hands containers back */
    bool seccomp_debug;
    bool accept_unconfined; /* scans with neither seccomp nor Landlock */
};

/* Confines itself and works until the client closes the socket. Never returns. */
void worker_run(const struct worker_options *options) __attribute__((noreturn));

#endif
