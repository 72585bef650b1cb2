/* One worker process.
 *
 * Owns: each received descriptor until its result is sent. Must not own: retries, time limits, its
 * own replacement: those are the client's. May make only the calls of worker_sandbox.c.
 *
 * Steps: confine (forget, drop and meet happened in the loader), say so, loop. */
#include "scanner/worker.h"

#include "common/files/file.h"
#include "common/messages/message.h"
#include "common/sandbox/privileges.h"
#include "scanner/client/proc_text.h"
#include "scanner/client/scanner_message.h"
#include "scanner/container.h"
#include "scanner/engine.h"
#include "scanner/worker_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define RECEIVE_BYTES         64 /* the longest message a worker takes is 12 bytes */
#define FILES_PER_MEMORY_LOOK 64

enum exit_status { EXIT_DONE = 0, EXIT_CONFINEMENT = 3, EXIT_PROTOCOL = 4 };

struct worker {
    int socket;
    bool reserve;
    bool after_long_scan; /* a CANCEL may stand behind the next SCAN */
    uint64_t cancelled_job;
    int memory_fd; /* /proc/self/statm, opened before the sandbox closed; -1 = none */
    uint64_t first_memory;
    uint64_t files;
};

/* Resident anonymous memory in bytes; 0 when unknown. */
static uint64_t resident_memory(int memory_fd)
{
    char text[96];
    ssize_t length = memory_fd < 0 ? -1 : pread(memory_fd, text, sizeof(text) - 1, 0);
    if (length <= 0)
        return 0;
    text[length] = '\0';
    uint64_t resident = proc_text_field(text, 1);
    uint64_t shared = proc_text_field(text, 2);
    return (resident - MIN(shared, resident)) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static bool memory_grew(struct worker *worker)
{
    if (worker->files % FILES_PER_MEMORY_LOOK != 0)
        return false;
    return resident_memory(worker->memory_fd) > worker->first_memory + LIMIT_SCANNER_GROWTH_BYTES;
}

static int send_verdict(struct worker *worker, uint64_t job, const struct scan_result *result)
{
    size_t length = strlen(result->signature);
    struct scanner_verdict verdict;
    verdict.job = job;
    verdict.scan_ns = result->scan_ns;
    verdict.verdict = (uint32_t)result->verdict;
    verdict.reason = (uint32_t)result->reason;
    verdict.grown = memory_grew(worker) ? 1 : 0;
    verdict.signature_length = (uint32_t)length;
    memcpy(verdict.signature, result->signature, length);
    return message_send(worker->socket, SCANNER_RESULT, &verdict, scanner_verdict_length(&verdict));
}

static bool is_container(int fd, uint64_t size)
{
    uint8_t head[CONTAINER_PEEK_BYTES];
    ssize_t length = pread(fd, head, sizeof(head), 0);
    return length > 0 && container_likely(head, (size_t)length, size);
}

static void refuse(struct scan_result *result, enum scan_reason reason)
{
    result->verdict = SCAN_ERROR;
    result->reason = reason;
    result->scan_ns = 0;
    result->signature[0] = '\0';
}

static int scan_one(struct worker *worker, uint64_t job, int fd)
{
    static struct scan_result result;
    struct stat status;
    worker->files++;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        refuse(&result, SCAN_REASON_READ);
        return send_verdict(worker, job, &result);
    }
    if (worker->reserve && is_container(fd, (uint64_t)status.st_size)) {
        struct scanner_job_note note = {.job = job};
        return message_send(worker->socket, SCANNER_HANDED_BACK, &note, sizeof(note));
    }
    engine_scan(fd, &result);
    worker->after_long_scan = result.scan_ns > SCANNER_LONG_SCAN_NS;
    return send_verdict(worker, job, &result);
}

static int on_cancel(void *user, struct message *message)
{
    struct worker *worker = user;
    struct scanner_job_note note;
    int result = scanner_job_note_read(message, &note);
    if (result == 0)
        worker->cancelled_job = note.job;
    return result;
}

/* After a long scan the client may have given the file queued behind it to another worker: its
 * CANCEL then stands right behind. Only then is it worth a system call to look. */
static bool cancelled_meanwhile(struct worker *worker, uint64_t job)
{
    if (!worker->after_long_scan)
        return false;
    worker->after_long_scan = false;
    uint32_t type = 0;
    ssize_t length = recv(worker->socket, &type, sizeof(type), MSG_PEEK | MSG_DONTWAIT | MSG_TRUNC);
    if (length <= 0 || type != SCANNER_CANCEL)
        return false;
    uint8_t buffer[RECEIVE_BYTES];
    struct message message;
    struct message_route route = {
        .type = SCANNER_CANCEL, .name = "cancel", .permitted = true, .handler = on_cancel};
    if (message_receive(worker->socket, buffer, sizeof(buffer), &message) != 1 ||
        message_dispatch(&route, 1, worker, &message) < 0)
        _exit(EXIT_PROTOCOL);
    return worker->cancelled_job == job;
}

static int on_scan(void *user, struct message *message)
{
    struct worker *worker = user;
    struct scanner_job_note note;
    int result = scanner_job_note_read(message, &note);
    if (result < 0)
        return result;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    if (!cancelled_meanwhile(worker, note.job))
        return scan_one(worker, note.job, fd);
    static struct scan_result nothing;
    refuse(&nothing, SCAN_REASON_INTERNAL);
    return send_verdict(worker, note.job,
                        &nothing); /* the client awaits it only to count us free */
}

static void loop(struct worker *worker) __attribute__((noreturn));
static void loop(struct worker *worker)
{
    struct message_route routes[] = {
        {.type = SCANNER_SCAN,
         .name = "scan",
         .permitted = true,
         .with_fd = true,
         .handler = on_scan},
        {.type = SCANNER_CANCEL, .name = "cancel", .permitted = true, .handler = on_cancel},
    };
    uint8_t buffer[RECEIVE_BYTES];
    for (;;) {
        struct message message;
        int result = message_receive(worker->socket, buffer, sizeof(buffer), &message);
        if (result == 0)
            _exit(EXIT_DONE);
        if (result > 0)
            result = message_dispatch(routes, ARRAY_LENGTH(routes), worker, &message);
        if (result == -EPIPE)
            _exit(EXIT_DONE);
        if (result < 0)
            _exit(EXIT_PROTOCOL);
    }
}

void worker_run(const struct worker_options *options)
{
    struct worker worker = {.socket = options->socket, .reserve = options->reserve};
    if (file_open_following("/proc/self/statm", O_RDONLY, 0, &worker.memory_fd) < 0)
        worker.memory_fd = -1;
    worker.first_memory = resident_memory(worker.memory_fd);
    struct worker_sandbox_options sandbox = {.directory_fd = options->directory_fd,
                                             .temporary_bytes = options->temporary_bytes,
                                             .seccomp_debug = options->seccomp_debug,
                                             .accept_unconfined = options->accept_unconfined};
    uint32_t reached;
    if (worker_sandbox_enter(&sandbox, &reached) < 0)
        _exit(EXIT_CONFINEMENT);
    struct scanner_ready_note ready = {.sandbox = options->inherited | reached};
    if (message_send(worker.socket, SCANNER_WORKER_READY, &ready, sizeof(ready)) < 0)
        _exit(EXIT_DONE);
    loop(&worker);
}
