/* The queue of one worker.
 *
 * Owns: the jobs between submit and answer. Must not own: descriptors of the event loop, decisions
 * about retries (scanner_host.c, scanner_client.c). */
#include "scanner/client/scanner_worker.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

int scanner_worker_send(struct scanner_worker *worker, struct scanner_job *job, uint64_t now_ns)
{
    struct scanner_job_note note = {.job = job->id};
    if (worker->queued == WORKER_QUEUE)
        return -EAGAIN;
    int result = message_send_fd(worker->socket, SCANNER_SCAN, &note, sizeof(note), job->fd);
    if (result < 0)
        return result;
    if (worker->queued == 0)
        worker->first_since_ns = now_ns;
    worker->queue[worker->queued++] = (struct scanner_worker_entry){.job = job, .id = job->id};
    return 0;
}

int scanner_worker_pop(struct scanner_worker *worker, uint64_t id, uint64_t now_ns,
                       struct scanner_job **ret_job)
{
    if (worker->queued == 0 || worker->queue[0].id != id)
        return -EPROTO;
    *ret_job = worker->queue[0].job;
    worker->queued--;
    worker->queue[0] = worker->queue[1];
    worker->first_since_ns = now_ns;
    worker->long_scan = false;
    return 0;
}

struct scanner_job *scanner_worker_take_waiting(struct scanner_worker *worker)
{
    if (worker->queued < WORKER_QUEUE || worker->queue[1].job == NULL)
        return NULL;
    struct scanner_job_note note = {.job = worker->queue[1].id};
    /* When this cannot be sent the worker scans for nothing; its answer is ignored all the same. */
    (void)!message_send(worker->socket, SCANNER_CANCEL, &note, sizeof(note));
    return TAKE_POINTER(worker->queue[1].job);
}

void scanner_worker_kill(struct scanner_worker *worker)
{
    if (worker->pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, worker->pidfd, SIGKILL, NULL, 0);
}
