/* yagura-guard: answers the kernel when it asks whether a file may be opened or run.
 *
 * Started by agent/prevention with a SOCK_SEQPACKET socket as descriptor 3. May: answer opens, read
 * /proc about who opens, hand the file's descriptor to the agent. Must never: read a file's
 * content, write to one, start anything, use the network, wait for anything but its two
 * descriptors. Owns the fanotify group: with this process goes all waiting, and every open passes.
 */
#include "agent/guard/guard.h"
#include "agent/guard/guard_messages.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/sandbox/privileges.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/fanotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define MOST_DESCRIPTORS 4096 /* of opens that wait, and some */
#define START_SECONDS    5

static const char usage[] =
    "Usage: yagura-guard [--help | --version]\n"
    "\n"
    "Keeps infected files from being opened. yagura-agent starts it, with a socket as descriptor 3,\n"
    "when the policy says prevention.enabled.\n";

struct start {
    struct guard_options options;
    struct guard_trees marks;
    size_t marked;
    bool begun;
    int fanotify;
    uint32_t abilities;
    enum guard_step step; /* that failed */
    const char *path;     /* at which; "" */
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
};

/* ---- what the agent says first ---- */

static int take_tree(struct guard_trees *trees, struct message *message)
{
    struct message_reader reader = message_reader_of(message);
    size_t length = 0;
    const void *path = message_read_bytes(&reader, &length);

    if (message_reader_end(&reader) < 0 || path == NULL)
        return -EBADMSG;
    return guard_trees_add(trees, path, length);
}

static int take_protect(void *user, struct message *message)
{
    return take_tree(&((struct start *)user)->options.scope.protect, message);
}

static int take_leave(void *user, struct message *message)
{
    return take_tree(&((struct start *)user)->options.scope.leave, message);
}

static int take_mark(void *user, struct message *message)
{
    return take_tree(&((struct start *)user)->marks, message);
}

static int take_begin(void *user, struct message *message)
{
    struct start *start = user;
    struct message_reader reader = message_reader_of(message);
    uint32_t flags = message_read_u32(&reader);

    start->options.deadline_ns = message_read_u64(&reader);
    if (message_reader_end(&reader) < 0 ||
        flags > (GUARD_DENY_LATE | GUARD_EXEC_ONLY | GUARD_DENY_CROWDS) ||
        start->options.deadline_ns == 0)
        return -EBADMSG;
    start->options.deny_late = (flags & GUARD_DENY_LATE) != 0;
    start->options.exec_only = (flags & GUARD_EXEC_ONLY) != 0;
    start->options.deny_crowds = (flags & GUARD_DENY_CROWDS) != 0;
    start->begun = true;
    return 0;
}

static int hear_options(struct start *start)
{
    struct message_route routes[] = {
        {GUARD_PROTECT, "protect", true, false, take_protect},
        {GUARD_LEAVE, "leave", true, false, take_leave},
        {GUARD_MARK, "mark", true, false, take_mark},
        {GUARD_BEGIN, "begin", true, false, take_begin},
    };

    while (!start->begun) {
        struct message message;
        int r = message_receive(GUARD_SOCKET, start->buffer, sizeof start->buffer, &message);
        if (r == 1)
            r = message_dispatch(routes, ARRAY_LENGTH(routes), start, &message);
        else if (r == 0)
            r = -EPIPE;
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the group and its marks ---- */

/* One mount that cannot be looked up (another hides it, or only its owner may) leaves no other
 * unguarded. */
static bool is_skipped(int error)
{
    return error == ENOENT || error == EACCES || error == ENOTDIR;
}

static int mark_all(struct start *start)
{
    uint64_t mask = FAN_OPEN_EXEC_PERM | (start->options.exec_only ? 0 : FAN_OPEN_PERM);
    int r = -ENOENT;

    for (size_t i = 0; i < start->marks.count; i++) {
        start->path = start->marks.paths[i];
        if (fanotify_mark(start->fanotify, FAN_MARK_ADD | FAN_MARK_FILESYSTEM, mask, AT_FDCWD,
                          start->path) == 0)
            start->marked++;
        else if (r = -errno, !is_skipped(errno))
            return r;
    }
    if (start->marked == 0)
        return r;
    start->path = "";
    return 0;
}

/* Since Linux 5.19. Asked before any mark is there, so that it opens nothing that waits for us. */
static bool can_evict(int fanotify)
{
#ifdef FAN_MARK_EVICTABLE
    const unsigned evictable = FAN_MARK_EVICTABLE;
#else
    const unsigned evictable = 0x00000200;
#endif

    /* Of a file system that permission events are for, as /proc is not: our own program. */
    if (fanotify_mark(fanotify, FAN_MARK_ADD | FAN_MARK_IGNORED_MASK | evictable, FAN_OPEN_PERM,
                      AT_FDCWD, "/proc/self/exe") < 0)
        return false;
    (void)fanotify_mark(fanotify, FAN_MARK_FLUSH, 0, AT_FDCWD, NULL);
    return true;
}

static bool can_look_up(void)
{
    AUTO_CLOSE int fd = -1;

    return file_find_cached("/", &fd) == 0;
}

/* O_NONBLOCK: for each event the kernel opens the file. One that its owner holds a lease on would
 * keep us waiting for him, and with us everybody; so the kernel denies that one open instead. */
static int init_group(struct start *start)
{
    start->fanotify = fanotify_init(FAN_CLASS_CONTENT | FAN_CLOEXEC | FAN_NONBLOCK |
                                        FAN_UNLIMITED_QUEUE | FAN_UNLIMITED_MARKS,
                                    O_RDONLY | O_LARGEFILE | O_CLOEXEC | O_NOATIME | O_NONBLOCK);
    if (start->fanotify < 0)
        return -errno;
    start->abilities |= can_evict(start->fanotify) ? GUARD_CAN_EVICT : 0;
    start->abilities |= can_look_up() ? GUARD_CAN_LOOK_UP : 0;
    return 0;
}

/* ---- the sandbox, in the order of its steps ---- */

static int limit_resources(void)
{
    const struct rlimit descriptors = {MOST_DESCRIPTORS, MOST_DESCRIPTORS}, none = {0, 0};

    if (setrlimit(RLIMIT_NOFILE, &descriptors) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
        setrlimit(RLIMIT_FSIZE, &none) < 0)
        return -errno;
    return 0;
}

/* What waits for memory that is paged out waits for a disk. */
static void lock_memory(struct start *start)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) /* their shadow is too large \
                                                                     */
    start->abilities |= mlockall(MCL_CURRENT | MCL_FUTURE) == 0 ? GUARD_IS_LOCKED : 0;
#else
    (void)start;
#endif
}

/* Landlock is not for us: it would judge the opening of each event's file by our rules. */
static int confine(void)
{
    static const char *const calls[] = {"read",           "write",           "openat2",
                                        "readlink",       "readlinkat",      "close",
                                        "statx",          "newfstatat",      "stat",
                                        "fstat",          "fcntl",           "fanotify_mark",
                                        "recvmsg",        "sendmsg",         "ppoll",
                                        "clock_gettime",  "rt_sigreturn",    "exit_group",
                                        "exit",           "alarm",           "setitimer",
                                        "getpid",         "gettid",          "tgkill",
                                        "rt_sigprocmask", "restart_syscall", "lseek"};

    int r = privileges_drop_to_keeping(0, 0, CAP_DAC_READ_SEARCH);
    if (r == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        r = -errno;
    if (r == 0)
        r = privileges_no_new();
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    (void)calls; /* the sanitizers make calls of their own */
    return r;
#else
    return r < 0 ? r : privileges_seccomp(calls, ARRAY_LENGTH(calls), false);
#endif
}

static int prepare(struct start *start, struct guard **ret_guard)
{
    start->path = "";
    start->step = GUARD_STEP_CONFINE;
    int r = limit_resources();
    if (r < 0)
        return r;
    lock_memory(start);
    start->step = GUARD_STEP_INIT;
    r = init_group(start);
    if (r == 0)
        r = guard_new(start->fanotify, GUARD_SOCKET, &start->options,
                      (start->abilities & GUARD_CAN_EVICT) != 0, ret_guard);
    if (r < 0)
        return r;
    (void)alarm(START_SECONDS); /* from the first mark on, opens wait for us: also our own */
    start->step = GUARD_STEP_MARK;
    r = mark_all(start);
    if (r < 0)
        return r;
    start->step = GUARD_STEP_CONFINE;
    return confine();
}

/* ---- the end of the start ---- */

static int tell_ready(const struct start *start)
{
    struct message_writer word = {.length = 0};

    message_write_u32(&word, (uint32_t)start->marked);
    message_write_u32(&word, (uint32_t)(start->marks.count - start->marked));
    message_write_u32(&word, start->abilities);
    return message_writer_send(&word, GUARD_SOCKET, GUARD_READY, -1);
}

static void tell_refused(const struct start *start, int error)
{
    struct message_writer word = {.length = 0};

    message_write_u32(&word, start->step);
    message_write_u32(&word, (uint32_t)-error);
    message_write_bytes(&word, start->path, strlen(start->path));
    (void)!message_writer_send(&word, GUARD_SOCKET, GUARD_REFUSED, -1);
}

static int run(void)
{
    static struct start start;
    struct guard *guard = NULL;

    int r = hear_options(&start);
    if (r < 0)
        return r;
    r = prepare(&start, &guard);
    if (r < 0) {
        tell_refused(&start, r);
        return r;
    }
    r = tell_ready(&start);
    if (r == 0 && fcntl(GUARD_SOCKET, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    return r < 0 ? r : guard_run(guard);
}

static bool has_agent(void)
{
    socklen_t length = sizeof(int);
    int type = 0;

    return getsockopt(GUARD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type == SOCK_SEQPACKET;
}

int main(int argc, char *argv[])
{
    if (argc == 2 && text_equal(argv[1], "--help")) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && text_equal(argv[1], "--version")) {
        (void)puts("yagura-guard " YAGURA_VERSION);
        return 0;
    }
    if (argc != 1 || !has_agent()) {
        (void)fputs(usage, stderr);
        return 2;
    }
    int r = run();
    return r < 0 ? 1 : 0;
}
