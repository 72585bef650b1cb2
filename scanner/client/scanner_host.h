/* One loader process and its workers, as the client sees them. Internal to scanner/client: programs
 * use scanner_client.h. All functions: the event loop's thread. */
#ifndef SCANNER_CLIENT_SCANNER_HOST_H
#define SCANNER_CLIENT_SCANNER_HOST_H

#include "common/attributes.h"
#include "scanner/client/scanner_client.h"
#include "scanner/client/scanner_message.h"

#include <stdbool.h>
#include <stdint.h>

struct event_loop;
struct scanner_host;

#define WORKER_QUEUE 2 /* one being scanned, one behind it */

/* A file on its way to a verdict. */
struct scanner_job {
    void *user;
    int fd; /* ours, kept for a second try */
    uint64_t id;
    unsigned attempts; /* times a worker died while scanning it */
    bool container;    /* the reserve worker handed it back */
    bool urgent;       /* somebody waits for it */
    struct scanner_job *next;
};

/* What a host tells its owner, who must not stop the host from within. Jobs it hands over are the
 * owner's again. */
struct scanner_host_callbacks {
    void (*loaded)(void *owner, struct scanner_host *host);
    void (*refused)(void *owner, struct scanner_host *host, const struct scanner_refused *refused);
    /* The loader ended: by itself, for breaking the protocol, or by scanner_host_kill. */
    void (*ended)(void *owner, struct scanner_host *host, int wait_status);
    void (*worker_ready)(void *owner, struct scanner_host *host);
    void (*scanned)(void *owner, struct scanner_job *job, const struct scanner_verdict *verdict);
    /* Nobody scanned it: the worker died before its turn, or hands it back. */
    void (*returned)(void *owner, struct scanner_job *job);
    /* The worker died while scanning it; timed_out: killed for that. */
    void (*died)(void *owner, struct scanner_job *job, bool timed_out);
    void (*crashed)(void *owner, struct scanner_host *host, const char *how);
    void (*timed_out)(void *owner); /* a worker was killed for its time, and is being replaced */
    void (*recycled)(void *owner);
};

struct scanner_host_options {
    const char *program;
    const struct scanner_configuration *configuration;
    const char *directory; /* made by the caller, removed by the host */
    size_t workers;        /* besides the reserve */
    uint64_t recycle_files;
    uint64_t time_limit_ns; /* after which a worker is killed */
    int niceness;           /* above ours */
};

int scanner_host_start(struct event_loop *loop, const struct scanner_host_options *options,
                       const struct scanner_host_callbacks *callbacks, void *owner,
                       struct scanner_host **ret_host) MUST_USE;
/* Kills loader and workers and returns what was in flight (returned), without waiting: ended
 * follows, after which scanner_host_stop does not wait either. */
void scanner_host_kill(struct scanner_host *host);
/* Kills loader and workers, waits for the loader's end, returns what was in flight (returned). */
struct scanner_host *scanner_host_stop(struct scanner_host *host);

/* Changes what can change without a new loader, and forks or ends workers to match. */
void scanner_host_adjust(struct scanner_host *host, size_t workers, uint64_t recycle_files);

/* Gives job to the best worker, an urgent one to the reserve before all others. -EAGAIN without
 * room; on success the host has the job. */
int scanner_host_submit(struct scanner_host *host, struct scanner_job *job) MUST_USE;
size_t scanner_host_room(const struct scanner_host *host);
bool scanner_host_has_urgent_room(const struct scanner_host *host);
size_t scanner_host_in_flight(const struct scanner_host *host);
size_t scanner_host_workers(const struct scanner_host *host); /* ready ones, without the reserve */
bool scanner_host_is_loaded(const struct scanner_host *host);
const struct scanner_loaded *scanner_host_facts(const struct scanner_host *host);
uint32_t scanner_host_sandbox(const struct scanner_host *host); /* common to all workers so far */
pid_t scanner_host_pid(const struct scanner_host *host);
/* 0, or why it is not nicer than we are (-errno): its scans are no less right, only less polite. */
int scanner_host_priority_error(const struct scanner_host *host);

/* Called every so often while files are in flight: kills what ran out of time, moves what waits
 * behind a long scan, forks what is missing. */
void scanner_host_tick(struct scanner_host *host);

#endif
