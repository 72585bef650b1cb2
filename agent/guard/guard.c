/* Owns: every event's descriptor from its reading to its answer, and the counts. Must not own:
 * which files are its business (guard_scope.c), who waits how long (waiting_opens.c). Hands off: a
 * dup of the descriptor to the agent, never its path alone: what is scanned is what will be opened.
 */
#include "agent/guard/guard.h"

#include "agent/guard/guard_messages.h"
#include "agent/guard/known_files.h"
#include "agent/guard/own_processes.h"
#include "agent/guard/waiting_opens.h"
#include "common/files/file.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#ifndef FAN_MARK_EVICTABLE
#define FAN_MARK_EVICTABLE 0x00000200
#endif

enum {
    EVENTS_PER_READ = 64,
    READS_PER_TURN = 8,
    STALL_SECONDS = 5, /* of not turning: the process is ended */
};
#define ALIVE_NS (1 * NS_PER_SECOND)

struct guard {
    int fanotify, agent;
    const struct guard_options *options;
    unsigned evictable; /* FAN_MARK_EVICTABLE or 0 */
    struct own_processes own;
    struct guard_counts counts;
    uint64_t alive_ns, now_ns;
    struct known_files known;
    struct waiting_opens waiting;
    struct message_writer question;
    struct fanotify_event_metadata events[EVENTS_PER_READ];
    uint8_t incoming[LIMIT_MESSAGE_BYTES + 4];
};

/* ---- answers ---- */

static void answer(struct guard *guard, int fd, bool allow)
{
    const struct fanotify_response response = {
        .fd = fd,
        .response = allow ? FAN_ALLOW : FAN_DENY,
    };

    guard->counts.denied += !allow;
    /* Whoever waited may have been killed: -ENOENT. */
    (void)!write(guard->fanotify, &response, sizeof response);
    (void)close(fd);
}

/* Of one that was asked for. */
static void count_wait(struct guard *guard, const struct waiting_open *open)
{
    static const uint32_t bounds[GUARD_WAIT_BOUNDS] = GUARD_WAIT_BOUNDS_US;
    uint64_t waited_ns = clock_monotonic_ns() - open->since_ns;
    size_t i = 0;

    while (i < GUARD_WAIT_BOUNDS && waited_ns > bounds[i] * NS_PER_US)
        i++;
    guard->counts.waits[i]++;
    guard->counts.waited_ns += waited_ns;
}

static void answer_without_verdict(struct guard *guard, int fd)
{
    answer(guard, fd, !guard->options->deny_late);
}

/* ---- what the kernel is to let pass ---- */

/* The mark is on the inode: it goes with the first write to it. One that comes through a mapping is
 * no write to the kernel, but its close is told: forget_written. */
static void let_pass(struct guard *guard, int fd, bool survives)
{
    unsigned flags = FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | guard->evictable |
                     (survives ? FAN_MARK_IGNORED_SURV_MODIFY : 0);

    if (fanotify_mark(guard->fanotify, flags, FAN_OPEN_PERM, fd, NULL) == 0 && !survives)
        (void)fanotify_mark(guard->fanotify, FAN_MARK_ADD | guard->evictable, FAN_CLOSE_WRITE, fd,
                            NULL);
}

static void stop_passing(struct guard *guard, int fd)
{
    (void)fanotify_mark(guard->fanotify, FAN_MARK_REMOVE | FAN_MARK_IGNORED_MASK, FAN_OPEN_PERM, fd,
                        NULL);
}

/* Nothing wrote to the file from before its scan until now: the agent took a read lease on this
 * very description, which ends with its last descriptor, and a writer breaks it first. */
static void remember_clean(struct guard *guard, const struct waiting_open *open,
                           enum guard_memory memory)
{
    if (fcntl(open->fd, F_GETLEASE) != F_RDLCK)
        return;
    if (!guard->options->exec_only)
        let_pass(guard, open->fd, false);
    if (fcntl(open->fd, F_GETLEASE) != F_RDLCK)
        stop_passing(guard, open->fd);
    else if (memory == GUARD_KNOWS_BY_TIMES &&
             open->identity.ctime_ns + 2 * NS_PER_SECOND < clock_realtime_ns())
        known_files_remember(&guard->known, &open->identity);
}

/* ---- opens ---- */

static struct file_identity identity_of(const struct statx *status)
{
    return (struct file_identity){
        .device = makedev(status->stx_dev_major, status->stx_dev_minor),
        .inode = status->stx_ino,
        .size = status->stx_size,
        .mtime_ns = (uint64_t)status->stx_mtime.tv_sec * NS_PER_SECOND + status->stx_mtime.tv_nsec,
        .ctime_ns = (uint64_t)status->stx_ctime.tv_sec * NS_PER_SECOND + status->stx_ctime.tv_nsec,
    };
}

/* The opener's mount namespace names a file, and any user makes one of his own, with the names he
 * likes: a name counts only where ours has the same file behind it. */
static bool is_named_so(const char *path, const struct file_identity *identity)
{
    struct statx status;
    AUTO_CLOSE int fd = -1;

    if (file_find_cached(path, &fd) < 0 ||
        statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0)
        return false;
    const struct file_identity found = identity_of(&status);
    return found.device == identity->device && found.inode == identity->inode;
}

/* "" when it is not known: nothing is let off for its path then. */
static void read_path(int fd, const struct file_identity *identity, char path[static PATH_MAX])
{
    char link[FILE_LINK_BYTES];

    file_link_of(fd, link);
    ssize_t length = readlink(link, path, PATH_MAX);
    path[length > 0 && length < PATH_MAX ? length : 0] = '\0';
    if (path[0] != '\0' && !is_named_so(path, identity))
        path[0] = '\0';
}

static bool ask(struct guard *guard, struct waiting_open *open)
{
    char path[PATH_MAX];

    read_path(open->fd, &open->identity, path);
    guard->question.length = 0;
    guard->question.failed = false;
    message_write_u64(&guard->question, open->id);
    message_write_u32(&guard->question, (uint32_t)open->pid);
    message_write_u32(&guard->question, open->user);
    message_write_u32(&guard->question, open->runs);
    message_write_u64(&guard->question, open->since_ns + guard->options->deadline_ns);
    message_write_bytes(&guard->question, path, strlen(path));
    if (message_writer_send(&guard->question, guard->agent, GUARD_ASK, open->fd) < 0)
        return false;
    waiting_opens_note_asked(&guard->waiting, open);
    return true;
}

/* While nobody answers, one is asked now and then: whether somebody does again. */
static void ask_next(struct guard *guard)
{
    struct waiting_open *open;

    while ((open = waiting_opens_next(&guard->waiting)) != NULL && ask(guard, open))
        guard->counts.asked++;
}

/* One who runs so much at once would have what he runs next pass unasked. */
static bool is_denied_crowd(const struct guard *guard, uid_t user)
{
    return guard->options->deny_crowds && user != 0 &&
           waiting_opens_are_crowded(&guard->waiting, user);
}

static void wait_for_verdict(struct guard *guard, const struct fanotify_event_metadata *event,
                             const struct statx *status)
{
    const struct waiting_open open = {
        .fd = event->fd,
        .pid = event->pid,
        .user = own_processes_user(event->pid),
        .runs = (event->mask & FAN_OPEN_EXEC_PERM) != 0,
        .since_ns = guard->now_ns,
        .identity = identity_of(status),
    };

    bool tired = waiting_opens_are_tired(&guard->waiting);
    if (!tired && waiting_opens_add(&guard->waiting, &open) != NULL)
        return;
    guard->counts.overrun++;
    if (!tired && is_denied_crowd(guard, open.user))
        answer(guard, event->fd, false);
    else
        answer_without_verdict(guard, event->fd);
}

static bool is_systems_own(const struct statx *status, const char *path)
{
    return status->stx_uid == 0 && (status->stx_mode & (S_IWGRP | S_IWOTH)) == 0 &&
           guard_scope_is_system(path);
}

/* What may pass without a verdict, cheapest first. */
static bool may_pass(struct guard *guard, const struct fanotify_event_metadata *event,
                     const struct statx *status)
{
    char path[PATH_MAX];

    if (!S_ISREG(status->stx_mode))
        return true;
    /* It holds nothing, and what is written to it later is asked for later; but what runs is read
     * after our answer, and somebody may have it open for writing. */
    if (status->stx_size == 0 && (event->mask & FAN_OPEN_EXEC_PERM) == 0)
        return true;
    const struct file_identity identity = identity_of(status);
    read_path(event->fd, &identity, path);
    if (!guard_scope_contains(&guard->options->scope, path)) {
        if (is_systems_own(status, path) && !guard->options->exec_only)
            let_pass(guard, event->fd, true);
        return true;
    }
    if (known_files_contain(&guard->known, &identity)) {
        guard->counts.remembered++;
        return true;
    }
    return own_processes_include(&guard->own, event->pid);
}

static void take_open(struct guard *guard, const struct fanotify_event_metadata *event)
{
    struct statx status;

    guard->counts.opens++;
    if (own_processes_contain(&guard->own, event->pid)) {
        answer(guard, event->fd, true);
        return;
    }
    if (statx(event->fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &status) < 0) {
        answer_without_verdict(guard, event->fd);
        return;
    }
    if (may_pass(guard, event, &status))
        answer(guard, event->fd, true);
    else
        wait_for_verdict(guard, event, &status);
}

/* A file that the kernel lets pass was open for writing. */
static void forget_written(struct guard *guard, int fd)
{
    stop_passing(guard, fd);
    (void)close(fd);
}

static int take_event(struct guard *guard, const struct fanotify_event_metadata *event)
{
    if (event->vers != FANOTIFY_METADATA_VERSION)
        return -EPROTO;
    if (event->fd < 0) {
        guard->counts.overflow++;
        return 0;
    }
    if ((event->mask & (FAN_OPEN_PERM | FAN_OPEN_EXEC_PERM)) != 0)
        take_open(guard, event);
    else
        forget_written(guard, event->fd);
    return 0;
}

static int take_events(struct guard *guard)
{
    for (int reads = 0; reads < READS_PER_TURN; reads++) {
        ssize_t length = read(guard->fanotify, guard->events, sizeof guard->events);
        /* EAGAIN is also the error of one file under a lease; what else waits keeps poll awake. */
        if (length < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (length < 0 && (errno == EBADF || errno == EFAULT || errno == EINVAL))
            return -errno;
        /* Any other error is that of one file, which could not be opened for us: the kernel has
         * answered for it. */
        const struct fanotify_event_metadata *event = guard->events;
        for (; FAN_EVENT_OK(event, length); event = FAN_EVENT_NEXT(event, length)) {
            int r = take_event(guard, event);
            if (r < 0)
                return r;
        }
    }
    return 0;
}

/* ---- verdicts ---- */

static int take_verdict(void *user, struct message *message)
{
    struct guard *guard = user;
    struct message_reader reader = message_reader_of(message);
    uint64_t id = message_read_u64(&reader);
    uint32_t verdict = message_read_u32(&reader);
    uint32_t memory = message_read_u32(&reader);

    if (message_reader_end(&reader) < 0 || verdict > GUARD_DENY || memory > GUARD_KNOWS_BY_TIMES)
        return -EBADMSG;
    waiting_opens_note_late(&guard->waiting, NULL);
    struct waiting_open *open = waiting_opens_find(&guard->waiting, id);
    if (open == NULL)
        return 0;
    if (verdict == GUARD_ALLOW && memory != GUARD_FORGETS)
        remember_clean(guard, open, (enum guard_memory)memory);
    count_wait(guard, open);
    answer(guard, waiting_opens_remove(&guard->waiting, open), verdict == GUARD_ALLOW);
    return 0;
}

static int take_forget(void *user, struct message *message UNUSED)
{
    struct guard *guard = user;

    known_files_forget_all(&guard->known);
    return fanotify_mark(guard->fanotify, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL) < 0 ? -errno : 0;
}

static int take_words(struct guard *guard)
{
    struct message_route routes[] = {
        {GUARD_VERDICT, "verdict", true, false, take_verdict},
        {GUARD_FORGET, "forget", true, false, take_forget},
    };

    for (;;) {
        struct message message;
        int r = message_receive(guard->agent, guard->incoming, sizeof guard->incoming, &message);
        if (r == -EAGAIN)
            return 0;
        if (r <= 0)
            return r == 0 ? -EPIPE : r;
        r = message_dispatch(routes, ARRAY_LENGTH(routes), guard, &message);
        if (r < 0)
            return r;
    }
}

static void answer_late(struct guard *guard)
{
    struct waiting_open *open;

    while ((open = waiting_opens_late(&guard->waiting, guard->now_ns,
                                      guard->options->deadline_ns)) != NULL) {
        guard->counts.late++;
        waiting_opens_note_late(&guard->waiting, open);
        count_wait(guard, open);
        answer_without_verdict(guard, waiting_opens_remove(&guard->waiting, open));
    }
}

/* ---- the loop ---- */

/* An agent that does not read loses counts, which the next ones hold again. */
static void tell_alive(struct guard *guard)
{
    if (guard->now_ns < guard->alive_ns + ALIVE_NS)
        return;
    guard->alive_ns = guard->now_ns;
    guard->counts.waiting = guard->waiting.count;
    (void)!message_send(guard->agent, GUARD_ALIVE, &guard->counts, sizeof guard->counts);
    (void)alarm(STALL_SECONDS); /* ends us when we do not come here again */
}

static int wait_turn(struct guard *guard, struct pollfd fds[static 2])
{
    uint64_t patience =
        waiting_opens_patience(&guard->waiting, guard->now_ns, guard->options->deadline_ns);
    struct timespec timeout = timespec_from_ns(MIN(patience, ALIVE_NS));

    int ready = ppoll(fds, 2, &timeout, NULL);
    guard->now_ns = clock_monotonic_ns();
    return ready < 0 && errno != EINTR ? -errno : 0;
}

static int take_turn(struct guard *guard, struct pollfd fds[static 2])
{
    int r = wait_turn(guard, fds);

    if (r == 0 && fds[1].revents != 0)
        r = take_words(guard);
    if (r == 0 && fds[0].revents != 0)
        r = take_events(guard);
    if (r < 0)
        return r;
    answer_late(guard);
    ask_next(guard);
    tell_alive(guard);
    return 0;
}

int guard_new(int fanotify, int agent, const struct guard_options *options, bool evictable,
              struct guard **ret_guard)
{
    /* Of pages of its own, all of them there before the first open waits. */
    struct guard *guard = mmap(NULL, sizeof *guard, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (guard == MAP_FAILED)
        return -errno;
    guard->fanotify = fanotify;
    guard->agent = agent;
    guard->options = options;
    guard->evictable = evictable ? FAN_MARK_EVICTABLE : 0;
    own_processes_init(&guard->own);
    waiting_opens_init(&guard->waiting);
    *ret_guard = guard;
    return 0;
}

int guard_run(struct guard *guard)
{
    struct pollfd fds[] = {{.fd = guard->fanotify, .events = POLLIN},
                           {.fd = guard->agent, .events = POLLIN}};
    int r;

    do
        r = take_turn(guard, fds);
    while (r == 0);
    return r == -EPIPE ? 0 : r;
}
