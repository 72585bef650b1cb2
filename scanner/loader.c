/* The loader process.
 *
 * Owns: the engine (through engine.h), the workers' temporary directories, reaping the workers.
 * Must not own: the workers' sockets and their files (they belong to client and worker), or when to
 * load anew (the client starts another loader). Single-threaded, because it forks.
 *
 * Steps, in this order, each visible in loader_run: meet the client, warm up, confine and drop ids
 * (loader_sandbox.c), see that workers can be confined, load, give up the last capability, try one
 * scan, move into huge pages, serve.
 */
#include "scanner/loader.h"

#include "common/messages/message.h"
#include "common/sandbox/privileges.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/database_files.h"
#include "scanner/client/scanner_message.h"
#include "scanner/engine.h"
#include "scanner/generation.h"
#include "scanner/huge_pages.h"
#include "scanner/loader_sandbox.h"
#include "scanner/signature_load.h"
#include "scanner/warm_up.h"
#include "scanner/worker.h"
#include "scanner/worker_sandbox.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum exit_status { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_PROTOCOL = 4 };

#define NO_CONFINEMENT                                                                              \
    "neither seccomp nor Landlock confines the workers here, so strangers' files are not scanned; " \
    "allow one of the two, or, for yagura-storage, set scanner.unconfined"

struct slot {
    pid_t pid; /* 0 = free */
    uint64_t worker;
};

struct loader {
    int socket;
    int child_signals; /* signalfd */
    struct scanner_configuration configuration;
    struct loader_sandbox sandbox;
    struct scanner_loaded loaded;
    struct slot slots[4 * LIMIT_SCANNER_WORKERS];
    uint8_t buffer[LIMIT_MESSAGE_BYTES + sizeof(uint32_t)];
    struct message_writer writer;
};

static int send_refusal(struct loader *loader, enum scanner_refusal refusal, const char *problem)
{
    struct scanner_refused refused = {.refusal = refusal};
    (void)text_copy(refused.problem, sizeof(refused.problem), problem);
    loader->writer.length = 0;
    scanner_refused_write(&refused, &loader->writer);
    (void)!message_writer_send(&loader->writer, loader->socket, SCANNER_REFUSED, -1);
    return EXIT_REFUSED;
}

static int refuse_internal(struct loader *loader, const char *what, int error)
{
    char problem[256];
    (void)text_format(problem, sizeof(problem), "%s: %s", what, strerrordesc_np(-error));
    return send_refusal(loader, SCANNER_REFUSAL_INTERNAL, problem);
}

static int on_configure(void *user, struct message *message)
{
    struct loader *loader = user;
    return scanner_configuration_read(message, &loader->configuration);
}

/* The first message, and no other. */
static int receive_configuration(struct loader *loader)
{
    struct message_route route = {
        .type = SCANNER_CONFIGURE, .name = "configure", .permitted = true, .handler = on_configure};
    struct message message;
    int result = message_receive(loader->socket, loader->buffer, sizeof(loader->buffer), &message);
    if (result == 0)
        return -EPIPE;
    return result < 0 ? result : message_dispatch(&route, 1, loader, &message);
}

/* Sets up what libclamav initialises with its first scan. Nobody waits for the verdict. */
static void try_one_scan(void)
{
    static const char html[] = "\xff\xfe<\0h\0t\0m\0l\0>\0<\0/\0h\0t\0m\0l\0>\0";
    AUTO_CLOSE int fd = memfd_create("warm-up", MFD_CLOEXEC);
    if (fd < 0 || write(fd, html, sizeof(html) - 1) != (ssize_t)sizeof(html) - 1)
        return;
    struct scan_result result;
    engine_scan(fd, &result);
}

static int load(struct loader *loader)
{
    const struct scanner_configuration *configuration = &loader->configuration;
    struct signature_load_report report;
    int result = signature_load(configuration, loader->sandbox.directory_fd, &report);
    if (result < 0)
        return send_refusal(loader, report.refusal, report.problem);
    struct scanner_loaded *loaded = &loader->loaded;
    loaded->generation = report.generation;
    loaded->signatures = report.signatures;
    loaded->database_time_ns = report.database_time_ns;
    loaded->sandbox = loader->sandbox.reached;
    (void)text_copy(loaded->engine_version, sizeof(loaded->engine_version), engine_version());
    (void)text_copy(loaded->user, sizeof(loaded->user), loader->sandbox.user);
    (void)text_copy(loaded->problem, sizeof(loaded->problem), report.problem);
    return EXIT_DONE;
}

static int report_loaded(struct loader *loader)
{
    loader->writer.length = 0;
    scanner_loaded_write(&loader->loaded, &loader->writer);
    return message_writer_send(&loader->writer, loader->socket, SCANNER_LOADED, -1);
}

static int send_note(struct loader *loader, uint32_t type, struct scanner_worker_note note, int fd)
{
    return message_send_fd(loader->socket, type, &note, sizeof(note), fd);
}

static int find_free_slot(struct loader *loader)
{
    for (uint32_t i = 0; i < loader->configuration.slots; i++) {
        if (loader->slots[i].pid == 0)
            return (int)i;
    }
    return -EBUSY;
}

static void become_worker(struct loader *loader, int slot, bool reserve, int socket)
    __attribute__((noreturn));
static void become_worker(struct loader *loader, int slot, bool reserve, int socket)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != loader->sandbox.pid)
        _exit(EXIT_DONE);
    (void)close(loader->socket);
    (void)close(loader->child_signals);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    loader_sandbox_prefer_for_oom();
    struct worker_options options = {.socket = socket,
                                     .directory_fd = loader->sandbox.slot_fds[slot],
                                     .temporary_bytes = loader->configuration.temporary_bytes,
                                     .inherited = loader->sandbox.reached,
                                     .reserve = reserve,
                                     .seccomp_debug = loader->configuration.seccomp_debug,
                                     .accept_unconfined = loader->configuration.accept_unconfined};
    worker_run(&options);
}

static int fork_worker(struct loader *loader, const struct scanner_worker_note *note, int socket,
                       int *ret_pidfd)
{
    int slot = find_free_slot(loader);
    if (slot < 0)
        return slot;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_worker(loader, slot, note->reserve != 0, socket);
    loader->slots[slot] = (struct slot){.pid = pid, .worker = note->worker};
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        int result = -errno;
        (void)kill(pid, SIGKILL); /* reaped as any other */
        return result;
    }
    *ret_pidfd = pidfd;
    return pid;
}

static int on_fork(void *user, struct message *message)
{
    struct loader *loader = user;
    struct scanner_worker_note note;
    int result = scanner_worker_note_read(message, &note);
    if (result < 0)
        return result;
    AUTO_CLOSE int socket = TAKE_FD(message->fds[0]);
    AUTO_CLOSE int pidfd = -1;
    int pid = fork_worker(loader, &note, socket, &pidfd);
    note.detail = (uint32_t)(pid < 0 ? -pid : pid);
    return send_note(loader, pid < 0 ? SCANNER_FORK_FAILED : SCANNER_FORKED, note, pidfd);
}

static struct slot *slot_of(struct loader *loader, pid_t pid, size_t *ret_index)
{
    for (size_t i = 0; i < loader->configuration.slots; i++) {
        if (loader->slots[i].pid == pid) {
            *ret_index = i;
            return &loader->slots[i];
        }
    }
    return NULL;
}

static int reap_workers(struct loader *loader)
{
    struct signalfd_siginfo signals;
    while (read(loader->child_signals, &signals, sizeof(signals)) > 0)
        continue;
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return 0;
        size_t index;
        struct slot *slot = slot_of(loader, pid, &index);
        if (slot == NULL)
            continue;
        struct scanner_worker_note note = {.worker = slot->worker, .detail = (uint32_t)status};
        slot->pid = 0;
        loader_sandbox_clear_slot(&loader->sandbox, index);
        int result = send_note(loader, SCANNER_ENDED, note, -1);
        if (result < 0)
            return result;
    }
}

static int serve_one_message(struct loader *loader)
{
    struct message_route route = {.type = SCANNER_FORK,
                                  .name = "fork",
                                  .permitted = true,
                                  .with_fd = true,
                                  .handler = on_fork};
    struct message message;
    int result = message_receive(loader->socket, loader->buffer, sizeof(loader->buffer), &message);
    if (result == 0)
        return -EPIPE;
    return result < 0 ? result : message_dispatch(&route, 1, loader, &message);
}

static int serve(struct loader *loader)
{
    struct pollfd watched[] = {{.fd = loader->socket, .events = POLLIN},
                               {.fd = loader->child_signals, .events = POLLIN}};
    for (;;) {
        if (poll(watched, ARRAY_LENGTH(watched), -1) < 0 && errno != EINTR)
            return EXIT_PROTOCOL;
        int result = 0;
        if (watched[1].revents != 0)
            result = reap_workers(loader);
        if (result == 0 && watched[0].revents != 0)
            result = serve_one_message(loader);
        if (result == -EPIPE)
            return EXIT_DONE;
        if (result < 0)
            return EXIT_PROTOCOL;
    }
}

/* Tried by a child, which ends with the answer: 0, or -EPERM; before anything slow is done. */
static int try_worker_sandbox(const struct loader *loader)
{
    const struct worker_sandbox_options options = {
        .directory_fd = loader->sandbox.slot_fds[0],
        .temporary_bytes = loader->configuration.temporary_bytes,
        .accept_unconfined = loader->configuration.accept_unconfined};
    uint32_t reached;
    int status;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        _exit(worker_sandbox_enter(&options, &reached) < 0 ? EXIT_REFUSED : EXIT_DONE);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            return -errno;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE ? 0 : -EPERM;
}

static int open_child_signals(void)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &child, NULL) < 0)
        return -errno;
    int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

int loader_run(int socket)
{
    static struct loader loader;
    loader.socket = socket;
    if (receive_configuration(&loader) < 0)
        return EXIT_PROTOCOL;
    warm_up_libraries();
    int result = engine_initialise();
    if (result < 0)
        return refuse_internal(&loader, "cannot initialise libclamav", result);
    AUTO_CLOSE int maps_fd = -1;
    if (huge_pages_open(&maps_fd) < 0)
        maps_fd = -1; /* it works without */
    result = loader_sandbox_enter(&loader.configuration, &loader.sandbox);
    if (result < 0)
        return refuse_internal(&loader, loader.sandbox.problem, result);
    result = try_worker_sandbox(&loader);
    if (result < 0)
        return refuse_internal(&loader, NO_CONFINEMENT, result);
    result = load(&loader);
    if (result != EXIT_DONE)
        return result;
    result = privileges_drop_capabilities();
    if (result < 0)
        return refuse_internal(&loader, "cannot give up capabilities", result);
    try_one_scan();
    (void)huge_pages_collapse(maps_fd);
    (void)close(TAKE_FD(maps_fd));
    loader.child_signals = open_child_signals();
    if (loader.child_signals < 0)
        return refuse_internal(&loader, "cannot watch for ended workers", loader.child_signals);
    if (report_loaded(&loader) < 0)
        return EXIT_PROTOCOL;
    return serve(&loader);
}
