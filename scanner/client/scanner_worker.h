/* One worker process as the client sees it: its socket, its pidfd, the one or two files it holds.
 * Internal to scanner/client. */
#ifndef SCANNER_CLIENT_SCANNER_WORKER_H
#define SCANNER_CLIENT_SCANNER_WORKER_H

#include "common/attributes.h"
#include "scanner/client/scanner_host.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum scanner_worker_state {
    WORKER_FORKING, /* asked for, not yet heard of */
    WORKER_READY,
    WORKER_RETIRING, /* gets no more files; ends when it has done those it holds */
};

/* What a worker holds; job is NULL when it was moved elsewhere and the answer counts no more. */
struct scanner_worker_entry {
    struct scanner_job *job;
    uint64_t id;
};

struct scanner_worker {
    struct scanner_host *host;
    struct scanner_worker *next;
    uint64_t number;
    enum scanner_worker_state state;
    bool reserve;
    bool long_scan; /* its first file is being scanned for longer than SCANNER_LONG_SCAN_NS */
    bool killed_for_time;
    int socket; /* -1 once it ended */
    int pidfd;  /* -1 until FORKED came */
    pid_t pid;
    struct scanner_worker_entry queue[WORKER_QUEUE];
    size_t queued;
    uint64_t first_since_ns;
    uint64_t scanned;
};

/* Sends a file to the worker's socket. -EAGAIN, -EPIPE. */
int scanner_worker_send(struct scanner_worker *worker, struct scanner_job *job,
                        uint64_t now_ns) MUST_USE;
/* Removes the first entry, whose id must be the given one; -EPROTO otherwise. */
int scanner_worker_pop(struct scanner_worker *worker, uint64_t id, uint64_t now_ns,
                       struct scanner_job **ret_job) MUST_USE;
/* Takes back the file queued behind the one being scanned; NULL when there is none. */
struct scanner_job *scanner_worker_take_waiting(struct scanner_worker *worker);
void scanner_worker_kill(struct scanner_worker *worker);

#endif
