/* Starts, asks, and replaces the inspecting process. */
#include "application/relay/inspector_link.h"

#include "application/relay/inspector_area.h"
#include "common/log/log.h"
#include "common/sandbox/spawn_helper.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_EARLY_DEATHS 4 /* in a row, before it is left alone for a while */
#define REST_NS           (10 * NS_PER_SECOND)
#define START_NS          (10 * NS_PER_SECOND) /* a start that takes longer hangs */
#define POLICY_NS         (2 * NS_PER_SECOND)
#define PREPARE_NS        (2 * NS_PER_SECOND) /* of some milliseconds: a busy machine's */
/* What the engine gets of the time: the rest is for waking up and copying. */
#define ENGINE_SHARE(ns) ((ns) / 5 * 4)

struct inspector_link {
    pthread_mutex_t lock;
    char *const *argv;
    struct inspector_area *area;
    int area_fd, policy_fd, runtime_fd, socket;
    pid_t child; /* 0: none */
    bool ready, prepared;
    int policy_result; /* of the one that is ready: 0, or why it uses the defaults */
    uint64_t started_ns;
    unsigned early_deaths;
    uint64_t rests_until_ns;
    uint32_t sequence;
    size_t touched; /* bytes of area->event that hold memory */
    char last_request[RELAY_REQUEST_ID_BYTES];
};

const char *inspector_outcome_name(enum inspector_outcome outcome)
{
    static const char *const names[] = {"judged", "late", "crashed", "absent", "failed", "skipped"};

    return (size_t)outcome < ARRAY_LENGTH(names) ? names[outcome] : "unknown";
}

/* Of our environment, which is full of secrets, the child needs nothing. */
static int spawn_child(struct inspector_link *link, int socket)
{
    static char *const nothing[] = {NULL};
    const int fds[] = {link->area_fd, socket, link->policy_fd, link->runtime_fd};
    size_t count = ARRAY_LENGTH(fds) - (link->runtime_fd < 0);

    _Static_assert(INSPECTOR_AREA_FD == 3 && INSPECTOR_SOCKET_FD == 4 && INSPECTOR_POLICY_FD == 5 &&
                       INSPECTOR_RUNTIME_FD == 6,
                   "the order of fds");
    return spawn_helper(link->argv, nothing, fds, count, &link->child);
}

static int start(struct inspector_link *link)
{
    int pair[2] = {-1, -1};

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    int r = spawn_child(link, theirs);
    if (r < 0)
        return r;
    link->socket = TAKE_FD(ours);
    link->ready = link->prepared = false;
    link->started_ns = clock_monotonic_ns();
    return 0;
}

/* Ends the child, whatever it does. How it had ended, for the log. */
static int stop(struct inspector_link *link)
{
    int status = 0;

    if (link->child > 0) {
        (void)kill(link->child, SIGKILL);
        while (waitpid(link->child, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    if (link->socket >= 0)
        (void)close(link->socket);
    link->child = 0;
    link->socket = -1;
    link->last_request[0] = '\0';
    if (!link->ready)
        link->early_deaths++;
    link->ready = false;
    return status;
}

static bool may_start(struct inspector_link *link)
{
    if (link->early_deaths < MOST_EARLY_DEATHS)
        return true;
    if (link->rests_until_ns == 0) {
        link->rests_until_ns = clock_monotonic_ns() + REST_NS;
        log_error("inspection_unavailable", "effect", "requests pass without inspection", "cure",
                  "see the lines above; the memory of the function may be too small", NULL);
    }
    if (clock_monotonic_ns() < link->rests_until_ns)
        return false;
    link->rests_until_ns = 0;
    link->early_deaths = MOST_EARLY_DEATHS - 1;
    return true;
}

static void replace(struct inspector_link *link, const char *why)
{
    int status = stop(link);

    log_warning("inspection_restarted", "why", why, "status", log_number(status), NULL);
    if (!may_start(link))
        return;
    int r = start(link);
    if (r < 0)
        log_error("inspection_does_not_start", "error", log_error_text(r), NULL);
}

/* A descriptor that holds the text and cannot be changed any more. */
static int make_policy(const char *text, size_t length, int *ret_fd)
{
    AUTO_CLOSE int fd = memfd_create("yagura-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    int r = fd < 0 ? -errno : 0;
    if (r == 0 && length > 0 && pwrite(fd, text, length, 0) != (ssize_t)length)
        r = -EIO;
    if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        r = -errno;
    *ret_fd = r == 0 ? TAKE_FD(fd) : -1;
    return r;
}

static int make_area(struct inspector_link *link)
{
    link->area_fd = memfd_create("yagura-inspection", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r = link->area_fd < 0 ? -errno : 0;
    /* Sealed against shrinking: what the child does to it can never become our SIGBUS. */
    if (r == 0 && (ftruncate(link->area_fd, sizeof *link->area) < 0 ||
                   fcntl(link->area_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0))
        r = -errno;
    if (r < 0)
        return r;
    link->area =
        mmap(NULL, sizeof *link->area, PROT_READ | PROT_WRITE, MAP_SHARED, link->area_fd, 0);
    return link->area == MAP_FAILED ? -errno : 0;
}

int inspector_link_new(char *const *argv, const char *policy, int runtime_fd,
                       struct inspector_link **ret_link)
{
    struct inspector_link *link = calloc(1, sizeof *link);

    *ret_link = NULL;
    if (link == NULL)
        return -ENOMEM;
    link->argv = argv;
    link->socket = -1;
    link->area = MAP_FAILED;
    (void)pthread_mutex_init(&link->lock, NULL);
    link->policy_fd = -1;
    link->runtime_fd = runtime_fd;
    int r = make_area(link);
    if (r == 0)
        r = make_policy(policy, strlen(policy), &link->policy_fd);
    if (r == 0)
        r = start(link);
    if (r < 0)
        return inspector_link_free(link), r;
    *ret_link = link;
    return 0;
}

struct inspector_link *inspector_link_free(struct inspector_link *link)
{
    if (link == NULL)
        return NULL;
    (void)stop(link);
    if (link->area != MAP_FAILED)
        (void)munmap(link->area, sizeof *link->area);
    if (link->area_fd >= 0)
        (void)close(link->area_fd);
    if (link->policy_fd >= 0)
        (void)close(link->policy_fd);
    (void)pthread_mutex_destroy(&link->lock);
    free(link);
    return NULL;
}

/* The next message within the time. -ETIME, -EPIPE when the child is gone. */
static int receive(struct inspector_link *link, uint64_t until_ns,
                   struct inspector_message *message)
{
    struct pollfd child = {.fd = link->socket, .events = POLLIN};

    for (;;) {
        uint64_t now = clock_monotonic_ns();
        struct timespec left = timespec_from_ns(until_ns > now ? until_ns - now : 0);
        int r = ppoll(&child, 1, &left, NULL);
        if (r < 0 && errno == EINTR)
            continue;
        if (r <= 0)
            return r < 0 ? -errno : -ETIME;
        ssize_t n = recv(link->socket, message, sizeof *message, MSG_DONTWAIT);
        return n == (ssize_t)sizeof *message ? 0 : -EPIPE;
    }
}

/* 0, -ETIME, -EPIPE. */
static int wait_ready(struct inspector_link *link, uint64_t until_ns)
{
    struct inspector_message message;

    if (link->child == 0)
        return -EPIPE;
    if (link->ready)
        return 0;
    int r = receive(link, until_ns, &message);
    if (r == 0 && message.job != INSPECTOR_READY)
        r = -EPIPE;
    if (r == 0) {
        link->ready = true;
        link->early_deaths = 0;
        link->policy_result = message.result;
    }
    return r;
}

/* With lock. */
static int restart(struct inspector_link *link, uint64_t wait_ns)
{
    link->ready = true; /* this end is no early death */
    (void)stop(link);
    int r = start(link);
    return r < 0 ? r : wait_ready(link, clock_monotonic_ns() + wait_ns);
}

int inspector_link_set_policy(struct inspector_link *link, const char *text, size_t length)
{
    int fd = -1;

    int r = make_policy(text, length, &fd);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&link->lock);
    int old_fd = link->policy_fd;
    link->policy_fd = fd;
    r = restart(link, POLICY_NS);
    if (r == 0)
        r = link->policy_result;
    if (r < 0) {
        link->policy_fd = old_fd;
        old_fd = fd;
        (void)!restart(link, POLICY_NS);
    }
    (void)pthread_mutex_unlock(&link->lock);
    (void)close(old_fd);
    return r;
}

bool inspector_link_wait(struct inspector_link *link, uint64_t wait_ns)
{
    uint64_t until_ns = clock_monotonic_ns() + wait_ns;

    (void)pthread_mutex_lock(&link->lock);
    int r = wait_ready(link, until_ns);
    if (r == -EPIPE)
        replace(link, "ended while it started");
    (void)pthread_mutex_unlock(&link->lock);
    return r == 0;
}

static int exchange(struct inspector_link *link, struct inspector_message *message,
                    uint64_t until_ns)
{
    struct inspector_message answer = {0};

    message->sequence = ++link->sequence;
    if (send(link->socket, message, sizeof *message, MSG_NOSIGNAL) != (ssize_t)sizeof *message)
        return -EPIPE;
    int r = receive(link, until_ns, &answer);
    if (r == 0 && (answer.sequence != message->sequence || answer.job != message->job))
        r = -EPIPE;
    message->result = answer.result;
    return r;
}

/* Memory of a big event goes back: functions are small. */
static void give_back(struct inspector_link *link, size_t keep)
{
    if (link->touched > keep && link->touched > RELAY_HEAD_BYTES)
        (void)fallocate(link->area_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)offsetof(struct inspector_area, event), (off_t)link->touched);
    link->touched = keep;
}

/* As an outcome; a child that is late or gone is replaced. */
static enum inspector_outcome settle(struct inspector_link *link, int r, int32_t result,
                                     struct ruling *ret_ruling)
{
    if (r == -ETIME) {
        if (link->ready)
            replace(link, "an inspection took too long");
        else if (clock_monotonic_ns() - link->started_ns > START_NS)
            replace(link, "it does not become ready");
        return INSPECTOR_LATE;
    }
    if (r < 0) {
        bool existed = link->child != 0;
        replace(link, existed ? "it crashed" : "there was none");
        return existed ? INSPECTOR_CRASHED : INSPECTOR_ABSENT;
    }
    ruling_take(&link->area->ruling, ret_ruling);
    return result < 0 ? INSPECTOR_FAILED : INSPECTOR_JUDGED;
}

void inspector_link_prepare(struct inspector_link *link)
{
    struct inspector_message message = {.job = INSPECTOR_PREPARE};
    struct ruling ignored;

    (void)pthread_mutex_lock(&link->lock);
    if (link->ready && !link->prepared) {
        int r = exchange(link, &message, clock_monotonic_ns() + PREPARE_NS);
        if (r < 0)
            (void)settle(link, r, 0, &ignored);
        else
            link->prepared = message.result != 1;
    }
    (void)pthread_mutex_unlock(&link->lock);
}

/* One that died between two events costs nothing but the time of a start. */
static void replace_dead(struct inspector_link *link)
{
    struct pollfd child = {.fd = link->socket, .events = POLLIN};

    if (link->child == 0) {
        if (may_start(link))
            (void)!start(link);
    } else if (link->ready && poll(&child, 1, 0) != 0) {
        replace(link, "it ended while it had nothing to do");
    }
}

static int ask_event(struct inspector_link *link, const struct inspector_question *question,
                     uint64_t until_ns, struct inspector_message *message)
{
    give_back(link, question->length);
    memcpy(link->area->event, question->bytes, question->length);
    (void)text_copy(link->last_request, sizeof link->last_request, question->request_id);
    uint64_t now = clock_monotonic_ns();
    uint64_t left_ns = until_ns > now ? until_ns - now : 0;
    *message = (struct inspector_message){.job = INSPECTOR_EVENT,
                                          .length = (uint32_t)question->length,
                                          .budget_us = ENGINE_SHARE(left_ns) / NS_PER_US + 1};
    return exchange(link, message, until_ns);
}

enum inspector_outcome inspector_link_judge(struct inspector_link *link,
                                            const struct inspector_question *question,
                                            struct ruling *ret_ruling)
{
    uint64_t until_ns = clock_monotonic_ns() + question->budget_ns;
    struct timespec deadline = clock_deadline(question->budget_ns);
    struct inspector_message message = {0};

    *ret_ruling = (struct ruling){0};
    if (question->length > RELAY_EVENT_BYTES)
        return INSPECTOR_SKIPPED;
    if (pthread_mutex_clocklock(&link->lock, CLOCK_MONOTONIC, &deadline) != 0)
        return INSPECTOR_LATE;
    replace_dead(link);
    int r = wait_ready(link, until_ns);
    if (r == 0)
        r = ask_event(link, question, until_ns, &message);
    enum inspector_outcome outcome = settle(link, r, message.result, ret_ruling);
    (void)pthread_mutex_unlock(&link->lock);
    return outcome;
}

enum inspector_outcome inspector_link_judge_response(struct inspector_link *link,
                                                     const struct inspector_question *question,
                                                     struct ruling *ret_ruling)
{
    uint64_t until_ns = clock_monotonic_ns() + question->budget_ns;
    struct inspector_message message = {.job = INSPECTOR_RESPONSE,
                                        .length = (uint32_t)question->length};
    enum inspector_outcome outcome = INSPECTOR_SKIPPED;

    *ret_ruling = (struct ruling){0};
    if (question->length > RELAY_ANSWER_BYTES)
        return outcome;
    (void)pthread_mutex_lock(&link->lock);
    if (link->ready && text_equal(link->last_request, question->request_id)) {
        memcpy(link->area->response, question->bytes, question->length);
        int r = exchange(link, &message, until_ns);
        outcome = settle(link, r, message.result, ret_ruling);
    }
    (void)pthread_mutex_unlock(&link->lock);
    return outcome;
}
