/* One loader and its workers.
 *
 * Owns: their processes, sockets and pidfds; the jobs that were submitted to it; the temporary
 * directory. Must not own: when to load anew, what becomes of a job whose worker died, what the
 * user of the client sees: those are scanner_client.c's. Believes nothing a peer sends: one
 * dispatch table for the loader, one for a worker; whatever they do not permit ends that peer. */
#include "scanner/client/scanner_host.h"

#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/scanner_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define FORK_PAUSE_NS NS_PER_SECOND /* after a worker that died before it was ready */

struct scanner_host {
    struct event_loop *loop;
    const struct scanner_host_callbacks *callbacks;
    void *owner;
    struct event_timer *fork_timer;
    char *directory;
    pid_t pid;
    int pidfd;
    int socket;
    int priority_error;
    bool loaded;
    struct scanner_loaded facts;
    uint32_t sandbox;
    size_t wanted;
    uint64_t recycle_files;
    uint64_t time_limit_ns;
    uint64_t last_worker;
    struct scanner_worker *workers;
    struct message_writer writer;
    uint8_t buffer[LIMIT_MESSAGE_BYTES + sizeof(uint32_t)];
};

static void fill(struct scanner_host *host);

/* ---- workers: their end ---------------------------------------------------------------- */

static void unlink_worker(struct scanner_worker *worker)
{
    struct scanner_worker **link = &worker->host->workers;
    while (*link != worker)
        link = &(*link)->next;
    *link = worker->next;
}

static void free_worker(struct scanner_worker *worker)
{
    if (worker->socket >= 0) {
        event_loop_remove_fd(worker->host->loop, worker->socket);
        (void)close(worker->socket);
    }
    if (worker->pidfd >= 0)
        (void)close(worker->pidfd);
    unlink_worker(worker);
    free(worker);
}

/* The first file is the one it died of; the second was not begun. */
static void give_back_jobs(struct scanner_worker *worker, bool died_of_first)
{
    struct scanner_host *host = worker->host;
    for (size_t i = 0; i < worker->queued; i++) {
        struct scanner_job *job = TAKE_POINTER(worker->queue[i].job);
        if (job == NULL)
            continue;
        if (i == 0 && died_of_first)
            host->callbacks->died(host->owner, job, worker->killed_for_time);
        else
            host->callbacks->returned(host->owner, job);
    }
    worker->queued = 0;
}

/* A loader's death takes its workers with it: then they did not die of their files. */
static bool loader_is_gone(const struct scanner_host *host)
{
    struct pollfd ended = {.fd = host->pidfd, .events = POLLIN};
    return host->socket < 0 || poll(&ended, 1, 0) > 0;
}

/* The worker's socket closed, or it broke the protocol (how says so). */
static void end_worker(struct scanner_worker *worker, const char *how)
{
    struct scanner_host *host = worker->host;
    bool retired =
        (worker->state == WORKER_RETIRING && worker->queued == 0) || loader_is_gone(host);
    bool was_ready = worker->state != WORKER_FORKING;
    bool timed_out = worker->killed_for_time;
    bool has_pidfd = worker->pidfd >= 0;
    scanner_worker_kill(worker);
    give_back_jobs(worker, !retired);
    if (has_pidfd) {
        free_worker(worker);
    } else { /* FORKED will bring the pidfd, and then it goes */
        event_loop_remove_fd(host->loop, worker->socket);
        (void)close(TAKE_FD(worker->socket));
        worker->state = WORKER_RETIRING;
    }
    if (timed_out)
        host->callbacks->timed_out(host->owner);
    else if (!retired)
        host->callbacks->crashed(host->owner, host, how);
    if (was_ready)
        fill(host);
    else
        event_timer_start(host->fork_timer, FORK_PAUSE_NS, 0);
}

static void retire_worker(struct scanner_worker *worker)
{
    worker->state = WORKER_RETIRING;
    if (worker->queued == 0)
        (void)shutdown(worker->socket, SHUT_WR); /* it ends; its closed socket tells us */
}

/* ---- workers: what they say ------------------------------------------------------------ */

static int on_worker_ready(void *user, struct message *message)
{
    struct scanner_worker *worker = user;
    struct scanner_host *host = worker->host;
    struct scanner_ready_note note;
    int result = scanner_ready_note_read(message, &note);
    if (result < 0)
        return result;
    if (worker->state == WORKER_FORKING)
        worker->state = WORKER_READY;
    host->sandbox &= note.sandbox;
    host->callbacks->worker_ready(host->owner, host);
    return 0;
}

/* After an answer: more room, or time to go. */
static void settle(struct scanner_worker *worker, bool grown)
{
    struct scanner_host *host = worker->host;
    bool old = host->recycle_files > 0 && worker->scanned >= host->recycle_files;
    if (worker->state == WORKER_READY && (grown || old)) {
        host->callbacks->recycled(host->owner);
        retire_worker(worker);
        fill(host);
    } else if (worker->state == WORKER_RETIRING && worker->queued == 0) {
        retire_worker(worker);
    }
}

static int on_result(void *user, struct message *message)
{
    struct scanner_worker *worker = user;
    struct scanner_host *host = worker->host;
    struct scanner_verdict verdict;
    struct scanner_job *job = NULL;
    int result = scanner_verdict_read(message, &verdict);
    if (result == 0)
        result = scanner_worker_pop(worker, verdict.job, clock_monotonic_ns(), &job);
    if (result < 0)
        return result;
    worker->scanned++;
    settle(worker, verdict.grown != 0);
    if (job != NULL)
        host->callbacks->scanned(host->owner, job, &verdict);
    return 0;
}

static int on_handed_back(void *user, struct message *message)
{
    struct scanner_worker *worker = user;
    struct scanner_host *host = worker->host;
    struct scanner_job_note note;
    struct scanner_job *job = NULL;
    int result = scanner_job_note_read(message, &note);
    if (result == 0)
        result = scanner_worker_pop(worker, note.job, clock_monotonic_ns(), &job);
    if (result < 0)
        return result;
    settle(worker, false);
    if (job != NULL) {
        job->container = true;
        host->callbacks->returned(host->owner, job);
    }
    return 0;
}

static int dispatch_worker_message(struct scanner_worker *worker, struct message *message)
{
    bool ready = worker->state != WORKER_FORKING;
    struct message_route routes[] = {
        {.type = SCANNER_RESULT, .name = "result", .permitted = ready, .handler = on_result},
        {.type = SCANNER_HANDED_BACK,
         .name = "handed-back",
         .permitted = ready && worker->reserve,
         .handler = on_handed_back},
        {.type = SCANNER_WORKER_READY,
         .name = "ready",
         .permitted = !ready,
         .handler = on_worker_ready},
    };
    return message_dispatch(routes, ARRAY_LENGTH(routes), worker, message);
}

static void on_worker_socket(void *user, int fd, uint32_t events)
{
    (void)events;
    struct scanner_worker *worker = user;
    struct message message;
    int result = message_receive(fd, worker->host->buffer, sizeof(worker->host->buffer), &message);
    if (result == -EAGAIN)
        return;
    if (result == 1)
        result = dispatch_worker_message(worker, &message);
    else
        result = result == 0 ? -EPIPE : result;
    if (result < 0)
        end_worker(worker, result == -EPIPE ? "a worker died" : "a worker broke the protocol");
}

/* ---- workers: their beginning ---------------------------------------------------------- */

static int fork_worker(struct scanner_host *host, bool reserve)
{
    int ends[2];
    int result = message_pair(false, ends);
    if (result < 0)
        return result;
    AUTO_CLOSE int ours = ends[0];
    AUTO_CLOSE int theirs = ends[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    struct scanner_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL)
        return -ENOMEM;
    *worker = (struct scanner_worker){
        .host = host, .number = ++host->last_worker, .reserve = reserve, .pidfd = -1};
    struct scanner_worker_note note = {.worker = worker->number, .reserve = reserve ? 1 : 0};
    result = message_send_fd(host->socket, SCANNER_FORK, &note, sizeof(note), theirs);
    if (result == 0)
        result = event_loop_add_fd(host->loop, ours, EPOLLIN, on_worker_socket, worker);
    if (result < 0) {
        free(worker);
        return result;
    }
    worker->socket = TAKE_FD(ours);
    worker->next = host->workers;
    host->workers = worker;
    return 0;
}

static size_t count_workers(const struct scanner_host *host, bool reserve)
{
    size_t count = 0;
    for (const struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next)
        count += worker->reserve == reserve && worker->state != WORKER_RETIRING;
    return count;
}

/* Retires workers that are too many, forks those that are missing. */
static void fill(struct scanner_host *host)
{
    if (!host->loaded || host->socket < 0)
        return;
    size_t have = count_workers(host, false);
    for (struct scanner_worker *worker = host->workers; worker != NULL && have > host->wanted;
         worker = worker->next) {
        if (!worker->reserve && worker->state == WORKER_READY) {
            retire_worker(worker);
            have--;
        }
    }
    int result = 0;
    for (; have < host->wanted && result == 0; have++)
        result = fork_worker(host, false);
    if (result == 0 && count_workers(host, true) == 0)
        result = fork_worker(host, true);
    if (result < 0)
        event_timer_start(host->fork_timer, FORK_PAUSE_NS, 0);
}

static void on_fork_timer(void *user)
{
    fill(user);
}

/* ---- the loader ------------------------------------------------------------------------ */

static struct scanner_worker *find_worker(struct scanner_host *host, uint64_t number)
{
    struct scanner_worker *worker = host->workers;
    while (worker != NULL && worker->number != number)
        worker = worker->next;
    return worker;
}

static int on_loaded(void *user, struct message *message)
{
    struct scanner_host *host = user;
    int result = scanner_loaded_read(message, &host->facts);
    if (result < 0)
        return result;
    host->loaded = true;
    fill(host);
    host->callbacks->loaded(host->owner, host);
    return 0;
}

static int on_refused(void *user, struct message *message)
{
    struct scanner_host *host = user;
    struct scanner_refused refused;
    int result = scanner_refused_read(message, &refused);
    if (result < 0)
        return result;
    host->callbacks->refused(host->owner, host, &refused);
    return 0;
}

static int on_forked(void *user, struct message *message)
{
    struct scanner_host *host = user;
    struct scanner_worker_note note;
    int result = scanner_worker_note_read(message, &note);
    struct scanner_worker *worker = result < 0 ? NULL : find_worker(host, note.worker);
    if (worker == NULL || worker->pidfd >= 0)
        return -EPROTO;
    worker->pidfd = TAKE_FD(message->fds[0]);
    worker->pid = (pid_t)note.detail;
    if (worker->socket < 0) { /* it ended before we heard of it */
        scanner_worker_kill(worker);
        free_worker(worker);
    }
    return 0;
}

static int on_fork_failed(void *user, struct message *message)
{
    struct scanner_host *host = user;
    struct scanner_worker_note note;
    int result = scanner_worker_note_read(message, &note);
    struct scanner_worker *worker = result < 0 ? NULL : find_worker(host, note.worker);
    if (worker == NULL || worker->pidfd >= 0)
        return -EPROTO;
    free_worker(worker);
    event_timer_start(host->fork_timer, FORK_PAUSE_NS, 0);
    return 0;
}

static int on_ended(void *user, struct message *message)
{
    (void)user;
    struct scanner_worker_note note;
    return scanner_worker_note_read(message, &note); /* its closed socket has told us */
}

static int dispatch_loader_message(struct scanner_host *host, struct message *message)
{
    bool loaded = host->loaded;
    struct message_route routes[] = {
        {.type = SCANNER_LOADED, .name = "loaded", .permitted = !loaded, .handler = on_loaded},
        {.type = SCANNER_REFUSED, .name = "refused", .permitted = !loaded, .handler = on_refused},
        {.type = SCANNER_FORKED,
         .name = "forked",
         .permitted = loaded,
         .with_fd = true,
         .handler = on_forked},
        {.type = SCANNER_FORK_FAILED,
         .name = "fork-failed",
         .permitted = loaded,
         .handler = on_fork_failed},
        {.type = SCANNER_ENDED, .name = "ended", .permitted = loaded, .handler = on_ended},
    };
    return message_dispatch(routes, ARRAY_LENGTH(routes), host, message);
}

static void kill_loader(struct scanner_host *host)
{
    if (host->pidfd >= 0 && host->pid > 0)
        (void)syscall(SYS_pidfd_send_signal, host->pidfd, SIGKILL, NULL, 0);
}

static void close_loader_socket(struct scanner_host *host)
{
    if (host->socket < 0)
        return;
    event_loop_remove_fd(host->loop, host->socket);
    (void)close(TAKE_FD(host->socket));
}

static void on_loader_socket(void *user, int fd, uint32_t events)
{
    (void)events;
    struct scanner_host *host = user;
    struct message message;
    int result = message_receive(fd, host->buffer, sizeof(host->buffer), &message);
    if (result == -EAGAIN)
        return;
    if (result == 1)
        result = dispatch_loader_message(host, &message);
    else
        result = result == 0 ? -EPIPE : result;
    if (result == 0)
        return;
    close_loader_socket(host);
    kill_loader(host); /* its end, told by the pidfd, ends the host */
}

static int reap_loader(struct scanner_host *host, int options)
{
    int status = 0;
    pid_t pid;
    do {
        pid = waitpid(host->pid, &status, options);
    } while (pid < 0 && errno == EINTR);
    if (pid == host->pid)
        host->pid = 0;
    return status;
}

/* After the loader's end: workers it forked and told of, but that we had not heard of yet, and that
 * may not have been able to arrange their death with it. */
static void kill_unheard_workers(struct scanner_host *host)
{
    struct message message;
    while (host->socket >= 0 &&
           message_receive(host->socket, host->buffer, sizeof(host->buffer), &message) == 1) {
        if (message.type == SCANNER_FORKED && message.fd_count == 1)
            (void)syscall(SYS_pidfd_send_signal, message.fds[0], SIGKILL, NULL, 0);
        message_release(&message);
    }
}

static void on_loader_end(void *user, int fd, uint32_t events)
{
    (void)events;
    struct scanner_host *host = user;
    event_loop_remove_fd(host->loop, fd);
    int status = reap_loader(host, WNOHANG);
    kill_unheard_workers(host);
    close_loader_socket(host);
    host->callbacks->ended(host->owner, host, status);
}

/* ---- life ------------------------------------------------------------------------------ */

static int start_loader(struct scanner_host *host, const struct scanner_host_options *options)
{
    int ends[2];
    int result = message_pair(false, ends);
    if (result < 0)
        return result;
    host->socket = ends[0];
    AUTO_CLOSE int theirs = ends[1];
    if (fcntl(host->socket, F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    char *argv[] = {(char *)"yagura-scanner", NULL};
    result = spawn_program(options->program, argv, &theirs, 1, &host->pid, &host->pidfd);
    /* Workers inherit it. Before the loader is told anything: it is nobody else yet. */
    if (result == 0 && options->niceness > 0 &&
        setpriority(PRIO_PROCESS, (id_t)host->pid,
                    getpriority(PRIO_PROCESS, 0) + options->niceness) < 0)
        host->priority_error = -errno;
    if (result == 0)
        result = event_loop_add_fd(host->loop, host->socket, EPOLLIN, on_loader_socket, host);
    if (result == 0)
        result = event_loop_add_fd(host->loop, host->pidfd, EPOLLIN, on_loader_end, host);
    return result;
}

static int configure_loader(struct scanner_host *host,
                            const struct scanner_configuration *configuration)
{
    scanner_configuration_write(configuration, &host->writer);
    return message_writer_send(&host->writer, host->socket, SCANNER_CONFIGURE, -1);
}

int scanner_host_start(struct event_loop *loop, const struct scanner_host_options *options,
                       const struct scanner_host_callbacks *callbacks, void *owner,
                       struct scanner_host **ret_host)
{
    struct scanner_host *host = calloc(1, sizeof(*host));
    if (host == NULL)
        return -ENOMEM;
    host->loop = loop;
    host->callbacks = callbacks;
    host->owner = owner;
    host->pidfd = -1;
    host->socket = -1;
    host->sandbox = SCANNER_SANDBOX_ALL_BITS;
    host->wanted = options->workers;
    host->recycle_files = options->recycle_files;
    host->time_limit_ns = options->time_limit_ns;
    host->directory = strdup(options->directory);
    int result = host->directory == NULL ? -ENOMEM : 0;
    if (result == 0)
        result = event_timer_new(loop, on_fork_timer, host, &host->fork_timer);
    if (result == 0)
        result = start_loader(host, options);
    if (result == 0)
        result = configure_loader(host, options->configuration);
    if (result < 0) {
        (void)scanner_host_stop(host);
        return result;
    }
    *ret_host = host;
    return 0;
}

void scanner_host_kill(struct scanner_host *host)
{
    kill_loader(host); /* the workers die with it (PR_SET_PDEATHSIG) */
    event_timer_stop(host->fork_timer);
    while (host->workers != NULL) {
        struct scanner_worker *worker = host->workers;
        scanner_worker_kill(worker);
        give_back_jobs(worker, false);
        free_worker(worker);
    }
    if (host->socket >= 0) /* read again after the loader's end: kill_unheard_workers */
        event_loop_remove_fd(host->loop, host->socket);
}

struct scanner_host *scanner_host_stop(struct scanner_host *host)
{
    if (host == NULL)
        return NULL;
    if (host->fork_timer != NULL)
        scanner_host_kill(host);
    if (host->pidfd >= 0) {
        event_loop_remove_fd(host->loop, host->pidfd);
        if (host->pid > 0)
            (void)reap_loader(host, 0);
        (void)close(host->pidfd);
    }
    kill_unheard_workers(host);
    close_loader_socket(host);
    if (host->directory != NULL)
        (void)!file_remove_tree(AT_FDCWD, host->directory);
    (void)event_timer_free(host->fork_timer);
    free(host->directory);
    free(host);
    return NULL;
}

void scanner_host_adjust(struct scanner_host *host, size_t workers, uint64_t recycle_files)
{
    host->wanted = workers;
    host->recycle_files = recycle_files;
    fill(host);
}

/* ---- choosing a worker ----------------------------------------------------------------- */

static size_t free_places(const struct scanner_worker *worker)
{
    if (worker->state != WORKER_READY || (worker->long_scan && worker->queued > 0))
        return 0;
    return WORKER_QUEUE - worker->queued;
}

/* The reserve takes files only when every other worker is in a long scan. */
static bool others_are_stuck(const struct scanner_host *host)
{
    bool any = false;
    for (const struct scanner_worker *worker = host->workers; worker != NULL;
         worker = worker->next) {
        if (worker->reserve || worker->state != WORKER_READY)
            continue;
        if (!worker->long_scan)
            return false;
        any = true;
    }
    return any;
}

static struct scanner_worker *choose_worker(struct scanner_host *host, bool container)
{
    struct scanner_worker *best = NULL;
    struct scanner_worker *reserve = NULL;
    for (struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next) {
        if (free_places(worker) == 0)
            continue;
        if (worker->reserve)
            reserve = worker;
        else if (best == NULL || worker->queued < best->queued)
            best = worker;
    }
    if (best != NULL || container || reserve == NULL)
        return best;
    return others_are_stuck(host) ? reserve : NULL;
}

/* The one with the fewest files before it; of two alike the reserve, to which no scan of a tree
 * gives files while others work. */
static struct scanner_worker *choose_for_urgent(const struct scanner_host *host)
{
    struct scanner_worker *best = NULL;
    for (struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next) {
        if (free_places(worker) == 0)
            continue;
        if (best == NULL || worker->queued < best->queued ||
            (worker->queued == best->queued && worker->reserve))
            best = worker;
    }
    return best;
}

int scanner_host_submit(struct scanner_host *host, struct scanner_job *job)
{
    struct scanner_worker *worker = job->urgent && !job->container
                                        ? choose_for_urgent(host)
                                        : choose_worker(host, job->container);
    if (worker == NULL)
        return -EAGAIN;
    int result = scanner_worker_send(worker, job, clock_monotonic_ns());
    /* A worker that just died tells by its socket; until then it has no room. */
    if (result == -EPIPE)
        worker->state = WORKER_RETIRING;
    return result < 0 ? -EAGAIN : 0;
}

size_t scanner_host_room(const struct scanner_host *host)
{
    size_t room = 0;
    size_t reserve_room = 0;
    for (const struct scanner_worker *worker = host->workers; worker != NULL;
         worker = worker->next) {
        if (worker->reserve)
            reserve_room += free_places(worker);
        else
            room += free_places(worker);
    }
    if (room == 0 && reserve_room > 0 && others_are_stuck(host))
        room = reserve_room;
    return room;
}

bool scanner_host_has_urgent_room(const struct scanner_host *host)
{
    return choose_for_urgent(host) != NULL;
}

/* ---- facts ----------------------------------------------------------------------------- */

size_t scanner_host_in_flight(const struct scanner_host *host)
{
    size_t count = 0;
    for (const struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next)
        count += worker->queued;
    return count;
}

size_t scanner_host_workers(const struct scanner_host *host)
{
    size_t count = 0;
    for (const struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next)
        count += !worker->reserve && worker->state == WORKER_READY;
    return count;
}

bool scanner_host_is_loaded(const struct scanner_host *host)
{
    return host->loaded;
}

const struct scanner_loaded *scanner_host_facts(const struct scanner_host *host)
{
    return &host->facts;
}

uint32_t scanner_host_sandbox(const struct scanner_host *host)
{
    return host->sandbox;
}

int scanner_host_priority_error(const struct scanner_host *host)
{
    return host->priority_error;
}

pid_t scanner_host_pid(const struct scanner_host *host)
{
    return host->pid;
}

/* ---- time ------------------------------------------------------------------------------ */

static void watch_time(struct scanner_worker *worker, uint64_t now_ns)
{
    struct scanner_host *host = worker->host;
    if (worker->queued == 0 || worker->state == WORKER_FORKING || now_ns < worker->first_since_ns)
        return;
    uint64_t elapsed = now_ns - worker->first_since_ns;
    if (elapsed > host->time_limit_ns && !worker->killed_for_time) {
        worker->killed_for_time = true;
        scanner_worker_kill(worker);
    }
    worker->long_scan = elapsed > SCANNER_LONG_SCAN_NS;
}

void scanner_host_tick(struct scanner_host *host)
{
    uint64_t now_ns = clock_monotonic_ns();
    for (struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next)
        watch_time(worker, now_ns);
    /* Taking a job back calls no one but the owner, who only queues it: the list stays as it is. */
    for (struct scanner_worker *worker = host->workers; worker != NULL; worker = worker->next) {
        if (!worker->long_scan || scanner_host_room(host) == 0)
            continue;
        struct scanner_job *job = scanner_worker_take_waiting(worker);
        if (job != NULL)
            host->callbacks->returned(host->owner, job);
    }
}
