/* One connection after the other: whoever connects gets the area, and may say one thing. */
#include "application/relay/runtime_watch.h"

#include "application/relay/invocations.h"
#include "application/relay/outbox.h"
#include "application/relay/relay_limits.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* What a process may take to say something; most close at once. */
#define PATIENCE_NS (200 * NS_PER_MS)
#define BACKLOG     64
/* Before the next try, when no connection can be taken (no descriptor left, short of memory). */
#define PAUSE_NS (10 * NS_PER_MS)

struct runtime_watch {
    struct runtime_watch_options options;
    int area_fd, shown_fd; /* the same memory; the second cannot be written through */
    int listener;
};

/* Sealed against shrinking and growing: nobody's mapping becomes a trap. */
static int make_area(struct runtime_watch *watch, unsigned slots)
{
    const uint32_t used = slots == 0 ? 1 : MIN(slots, (unsigned)RUNTIME_AREA_SLOTS);
    char path[64];

    watch->area_fd = memfd_create("yagura-runtime", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (watch->area_fd < 0 || ftruncate(watch->area_fd, sizeof(struct runtime_area)) < 0 ||
        fcntl(watch->area_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
        return -errno;
    if (pwrite(watch->area_fd, &used, sizeof used, offsetof(struct runtime_area, slots)) !=
        (ssize_t)sizeof used)
        return -EIO;
    (void)text_format(path, sizeof path, "/proc/self/fd/%d", watch->area_fd);
    return file_open_following(path, O_RDONLY, 0, &watch->shown_fd);
}

int runtime_watch_new(unsigned slots, struct runtime_watch **ret_watch)
{
    struct runtime_watch *watch = calloc(1, sizeof *watch);

    *ret_watch = NULL;
    if (watch == NULL)
        return -ENOMEM;
    watch->area_fd = watch->shown_fd = watch->listener = -1;
    int r = make_area(watch, slots);
    if (r < 0)
        return runtime_watch_free(watch), r;
    *ret_watch = watch;
    return 0;
}

struct runtime_watch *runtime_watch_free(struct runtime_watch *watch)
{
    if (watch == NULL)
        return NULL;
    const int fds[] = {watch->area_fd, watch->shown_fd, watch->listener};
    for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
        if (fds[i] >= 0)
            (void)close(fds[i]);
    }
    free(watch);
    return NULL;
}

int runtime_watch_area(const struct runtime_watch *watch)
{
    return watch != NULL ? watch->area_fd : -1;
}

bool runtime_finding_take(struct runtime_finding *finding, size_t length)
{
    if (length != sizeof *finding || finding->subject >= RUNTIME_SUBJECTS)
        return false;
    finding->what[sizeof finding->what - 1] = '\0';
    finding->value[sizeof finding->value - 1] = '\0';
    return finding->what[0] != '\0';
}

static void tell(struct runtime_watch *watch, const struct runtime_finding *finding)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(RELAY_INCIDENT_BYTES);
    char request_id[RELAY_REQUEST_ID_BYTES];

    invocations_current(watch->options.invocations, request_id);
    incident_write_runtime(&json, &watch->options.function,
                           &(struct incident_invocation){.request_id = request_id}, finding);
    outbox_add(watch->options.outbox, &json);
}

static bool send_area(const struct runtime_watch *watch, int fd)
{
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {0};
    struct iovec data = {(char[]){'a'}, 1};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};

    control.header = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(&control.header), &watch->shown_fd, sizeof(int));
    return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
}

/* Who tells does not read the area; that it left unread is told to us once, before its message. */
static ssize_t receive(int fd, struct runtime_finding *finding)
{
    ssize_t length = recv(fd, finding, sizeof *finding, MSG_TRUNC);

    return length < 0 && errno == ECONNRESET ? recv(fd, finding, sizeof *finding, MSG_TRUNC)
                                             : length;
}

static void serve(struct runtime_watch *watch, int fd)
{
    const struct timeval patience = {.tv_usec = PATIENCE_NS / 1000};
    struct runtime_finding finding;

    (void)send_area(watch, fd); /* who only came to tell is gone, and has left its message */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t length = receive(fd, &finding);
    if (length > 0 && runtime_finding_take(&finding, (size_t)length)) {
        tell(watch, &finding);
        (void)send(fd, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

static void *serve_all(void *argument)
{
    const struct timespec pause = {.tv_nsec = PAUSE_NS};
    struct runtime_watch *watch = argument;

    for (;;) {
        AUTO_CLOSE int fd = accept4(watch->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve(watch, fd);
        else if (errno == EBADF || errno == EINVAL)
            return NULL;
        else
            (void)nanosleep(&pause, NULL);
    }
}

static int open_listener(struct runtime_watch *watch)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    int length = text_format(address.sun_path + 1, sizeof address.sun_path - 1,
                             RUNTIME_AREA_SOCKET "%u", watch->options.port);
    watch->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (length < 0 || watch->listener < 0 ||
        bind(watch->listener, (struct sockaddr *)&address,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) < 0 ||
        listen(watch->listener, BACKLOG) < 0)
        return length < 0 ? length : -errno;
    return 0;
}

int runtime_watch_listen(struct runtime_watch *watch, const struct runtime_watch_options *options)
{
    pthread_attr_t attributes;
    pthread_t thread;

    watch->options = *options;
    int r = open_listener(watch);
    if (r < 0)
        return r;
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, RELAY_THREAD_STACK);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    r = -pthread_create(&thread, &attributes, serve_all, watch);
    (void)pthread_attr_destroy(&attributes);
    return r;
}
