/* The guards: one that works, at times one that is about to take over, and one that it took over
 * from, until no open waits for that one.
 *
 * Owns: the children, their sockets, and when they start and end. Must not: trust a word of them
 * beyond the routes below. Hands off: asks to open_asks.c. */
#include "agent/prevention/guard_plan.h"
#include "agent/prevention/prevention_private.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/watch/mounts.h"
#include "common/log/log.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define MOST_QUIET      5  /* ticks of one that works */
#define MOST_STARTING   10 /* of one that starts */
#define SEND_SECONDS    2
#define MOST_RESTART_NS (60 * NS_PER_SECOND)

/* ---- what is told ---- */

static void set_state(struct prevention *prevention, enum prevention_state state,
                      const char *problem)
{
    (void)pthread_mutex_lock(&prevention->lock);
    prevention->status.state = state;
    prevention->status.guard_pid = prevention->current.pid;
    (void)text_copy(prevention->status.problem, sizeof prevention->status.problem, problem);
    (void)pthread_mutex_unlock(&prevention->lock);
}

static void degrade(struct prevention *prevention, const char *problem)
{
    set_state(prevention, PREVENTION_DEGRADED, problem);
    if (prevention->told_degraded)
        log_warning("prevention_degraded", "module", prevention_module(prevention), "problem",
                    problem, NULL);
    else
        prevention_record(prevention,
                          prevention->judge != NULL ? prevention->judge->degraded_kind
                                                    : "prevention_degraded",
                          EVENT_HIGH, "yagura-guard", problem);
    prevention->told_degraded = true;
}

static void restart_later(struct prevention *prevention)
{
    uint64_t before = prevention->restart_delay_ns;

    prevention->restart_delay_ns = before == 0 ? NS_PER_SECOND : MIN(before * 2, MOST_RESTART_NS);
    event_timer_start(prevention->restart, prevention->restart_delay_ns, 0);
}

/* ---- the end of one ---- */

void guard_life_end(struct prevention *prevention, struct guard_process *guard)
{
    if (guard->number == 0)
        return;
    event_loop_remove_fd(prevention->loop, guard->socket);
    (void)close(guard->socket);
    /* It keeps nothing that must be saved; its end lets pass whoever waits. */
    (void)kill(guard->pid, SIGKILL);
    while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *guard = (struct guard_process){.socket = -1};
}

/* It ended by itself, broke the protocol, could not start, or was found silent. */
static void lose(struct prevention *prevention, struct guard_process *guard, const char *problem)
{
    bool worked = guard == &prevention->current, was_old = guard == &prevention->old;

    guard_life_end(prevention, guard);
    if (was_old)
        return;
    (void)pthread_mutex_lock(&prevention->lock);
    prevention->status.restarts++;
    (void)pthread_mutex_unlock(&prevention->lock);
    if (worked || prevention->current.number == 0)
        degrade(prevention, problem);
    else
        log_warning("guard_not_renewed", "module", prevention_module(prevention), "problem",
                    problem, NULL);
    restart_later(prevention);
}

/* ---- its words ---- */

struct hearing {
    struct prevention *prevention;
    struct guard_process *guard;
};

struct readiness {
    uint32_t places, skipped, abilities;
};

static void tell_working(struct prevention *prevention, const struct readiness *ready)
{
    const char *lacks = "";
    uint32_t abilities = ready->abilities;
    char text[64], skipped[128];

    if (ready->skipped > 0) {
        (void)text_format(
            skipped, sizeof skipped,
            "%u mounts below the guarded paths cannot be reached, and are not guarded",
            ready->skipped);
        lacks = skipped;
    } else if ((abilities & GUARD_CAN_EVICT) == 0) {
        lacks = "this kernel (before 5.19) remembers every file that was opened, in its memory";
    } else if ((abilities & GUARD_CAN_LOOK_UP) == 0) {
        lacks = "this kernel (before 5.12) tells no path safely: every file on the protected file "
                "systems is guarded, without exclusions";
    } else if ((abilities & GUARD_IS_LOCKED) == 0) {
        lacks = "yagura-guard's memory could not be locked: raise LimitMEMLOCK of the unit";
    }
    set_state(prevention, PREVENTION_WORKING, lacks);
    (void)text_format(text, sizeof text, "{\"file_systems\":%u}", ready->places);
    if (prevention->told_degraded || prevention->last_number == 1)
        prevention_record(prevention,
                          prevention->judge != NULL ? prevention->judge->started_kind
                                                    : "prevention_started",
                          EVENT_INFO, "yagura-guard", text);
    prevention->told_degraded = false;
    log_info("prevention_works", "module", prevention_module(prevention), "file_systems",
             log_number(ready->places), "lacks", lacks[0] != '\0' ? lacks : NULL, NULL);
}

static uint64_t engine_generation(struct prevention *prevention)
{
    struct scan_pipeline_status status;

    if (prevention->judge != NULL)
        return prevention->judge->generation(prevention->judge->user);
    scan_pipeline_status(prevention->pipeline, &status);
    return status.scanner.generation;
}

/* Its end would let pass whoever waits for it. */
static void retire(struct prevention *prevention)
{
    if (prevention->current.number == 0)
        return;
    guard_life_end(prevention, &prevention->old);
    prevention->old = prevention->current;
    prevention->old.until_ns = clock_monotonic_ns() + prevention->old.deadline_ns;
    prevention->current = (struct guard_process){.socket = -1};
}

static int take_ready(void *user, struct message *message)
{
    struct hearing *hearing = user;
    struct prevention *prevention = hearing->prevention;
    struct message_reader reader = message_reader_of(message);
    struct readiness ready;

    ready.places = message_read_u32(&reader);
    ready.skipped = message_read_u32(&reader);
    ready.abilities = message_read_u32(&reader);
    if (message_reader_end(&reader) < 0)
        return -EBADMSG;
    retire(prevention);
    prevention->current = prevention->next;
    prevention->next = (struct guard_process){.socket = -1};
    prevention->current.ready = true;
    prevention->restart_delay_ns = 0;
    prevention->generation = engine_generation(prevention); /* it remembers nothing yet */
    hearing->guard = &prevention->current;
    tell_working(prevention, &ready);
    return 0;
}

static const char *reason_of(enum guard_step step, int error)
{
    if (step == GUARD_STEP_INIT && error == EPERM)
        return "the kernel refuses fanotify: the agent needs CAP_SYS_ADMIN, which this container or "
               "unit does not have";
    if (step == GUARD_STEP_INIT || (step == GUARD_STEP_MARK && error == EINVAL))
        return "this kernel has no fanotify permission events "
               "(CONFIG_FANOTIFY_ACCESS_PERMISSIONS)";
    return step == GUARD_STEP_MARK ? "a file system cannot be marked" : "it could not be confined";
}

static int take_refused(void *user, struct message *message)
{
    struct hearing *hearing = user;
    struct message_reader reader = message_reader_of(message);
    uint32_t step = message_read_u32(&reader), error = message_read_u32(&reader);
    char path[PATH_MAX], shown[128], problem[256];

    message_read_text(&reader, path, sizeof path);
    if (message_reader_end(&reader) < 0 || error > 4096)
        return -EBADMSG;
    (void)text_escape(shown, sizeof shown, path, strlen(path));
    (void)text_format(problem, sizeof problem, "%s: %s%s%s",
                      reason_of((enum guard_step)step, (int)error), log_error_text(-(int)error),
                      shown[0] != '\0' ? ": " : "", shown);
    lose(hearing->prevention, hearing->guard, problem);
    return 0;
}

static int take_ask(void *user, struct message *message)
{
    struct hearing *hearing = user;

    return open_asks_take(hearing->prevention, hearing->guard, message);
}

static int take_alive(void *user, struct message *message)
{
    struct hearing *hearing = user;

    if (message->length != sizeof hearing->guard->counts)
        return -EBADMSG;
    memcpy(&hearing->guard->counts, message->payload, message->length);
    if (hearing->guard == &hearing->prevention->old) {
        if (hearing->guard->counts.waiting == 0)
            guard_life_end(hearing->prevention, hearing->guard);
        return 0;
    }
    (void)pthread_mutex_lock(&hearing->prevention->lock);
    hearing->prevention->status.counts = hearing->guard->counts;
    (void)pthread_mutex_unlock(&hearing->prevention->lock);
    return 0;
}

static int take_message(struct hearing *hearing, struct message *message)
{
    bool ready = hearing->guard->ready;
    struct message_route routes[] = {
        {GUARD_READY, "ready", !ready, false, take_ready},
        {GUARD_REFUSED, "refused", !ready, false, take_refused},
        {GUARD_ASK, "ask", ready, true, take_ask},
        {GUARD_ALIVE, "alive", ready, false, take_alive},
    };

    hearing->guard->quiet = 0;
    return message_dispatch(routes, ARRAY_LENGTH(routes), hearing, message);
}

static struct guard_process *find_socket(struct prevention *prevention, int fd)
{
    if (prevention->current.number != 0 && prevention->current.socket == fd)
        return &prevention->current;
    if (prevention->old.number != 0 && prevention->old.socket == fd)
        return &prevention->old;
    return prevention->next.number != 0 && prevention->next.socket == fd ? &prevention->next : NULL;
}

static void handle_guard(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct prevention *prevention = user;
    struct hearing hearing = {.prevention = prevention, .guard = find_socket(prevention, fd)};
    uint64_t number = hearing.guard != NULL ? hearing.guard->number : 0;
    struct message message;
    int r = 1;

    while (r == 1 && number != 0 && hearing.guard->number == number) {
        r = message_receive(fd, prevention->buffer, sizeof prevention->buffer, &message);
        if (r == 1 && take_message(&hearing, &message) < 0)
            r = -EPROTO;
    }
    if (number == 0 || hearing.guard->number != number || r == -EAGAIN)
        return;
    lose(prevention, hearing.guard,
         r == 0 ? "yagura-guard ended" : "yagura-guard broke the protocol");
}

struct guard_process *guard_life_find(struct prevention *prevention, uint64_t number)
{
    if (prevention->current.number == number)
        return &prevention->current;
    return prevention->old.number == number ? &prevention->old : NULL;
}

/* ---- the start of one ---- */

static int spawn_guard(struct prevention *prevention, struct guard_process *guard,
                       const struct mounts *mounts)
{
    char *const argv[] = {(char *)"yagura-guard", NULL};
    const struct timeval patience = {.tv_sec = SEND_SECONDS};
    int pair[2];

    int r = message_pair(false, pair);
    if (r < 0)
        return r;
    AUTO_CLOSE int ours = pair[0];
    AUTO_CLOSE int theirs = pair[1];
    if (setsockopt(ours, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0)
        return -errno;
    r = spawn_program(prevention->plan->guard_program, argv, &theirs, 1, &guard->pid, NULL);
    if (r < 0)
        return r;
    guard->number = ++prevention->last_number;
    guard->deadline_ns = prevention->plan->deadline_ns;
    guard->quiet = 0;
    guard->ready = false;
    guard->socket = TAKE_FD(ours);
    r = event_loop_add_fd(prevention->loop, guard->socket, EPOLLIN, handle_guard, prevention);
    if (r == 0)
        r = guard_plan_send(prevention->plan, mounts, guard->socket, &prevention->word);
    if (r == 0 && fcntl(guard->socket, F_SETFL, O_NONBLOCK) < 0)
        r = -errno;
    return r;
}

void guard_life_renew(struct prevention *prevention)
{
    struct mounts *mounts = NULL;
    char problem[256];

    event_timer_stop(prevention->restart);
    guard_life_end(prevention, &prevention->next);
    if (!prevention->plan->enabled) {
        guard_life_end(prevention, &prevention->old);
        guard_life_end(prevention, &prevention->current);
        set_state(prevention, PREVENTION_OFF, "");
        prevention->told_degraded = false;
        return;
    }
    if (prevention->current.number == 0 && !prevention->told_degraded)
        set_state(prevention, PREVENTION_STARTING, "");
    int r = prevention_watch_marks(prevention, &mounts);
    if (r == 0)
        r = spawn_guard(prevention, &prevention->next, mounts);
    (void)mounts_free(mounts);
    if (r == 0)
        return;
    (void)text_format(problem, sizeof problem,
                      r == -ENODATA ? "no guarded directory is on a local file system"
                                    : "yagura-guard could not be started: %s",
                      log_error_text(r));
    lose(prevention, &prevention->next, problem);
}

void guard_life_restart(void *user)
{
    guard_life_renew(user);
}

void guard_life_check_generation(struct prevention *prevention)
{
    uint64_t generation = engine_generation(prevention);

    if (prevention->current.number != 0 && generation != prevention->generation &&
        message_send(prevention->current.socket, GUARD_FORGET, NULL, 0) == 0)
        prevention->generation = generation;
}

void guard_life_check(struct prevention *prevention)
{
    if (prevention->old.number != 0 && clock_monotonic_ns() >= prevention->old.until_ns)
        guard_life_end(prevention, &prevention->old);
    if (prevention->next.number != 0 && ++prevention->next.quiet > MOST_STARTING)
        lose(prevention, &prevention->next, "yagura-guard did not become ready");
    if (prevention->current.number == 0)
        return;
    if (++prevention->current.quiet > MOST_QUIET)
        lose(prevention, &prevention->current, "yagura-guard stalled and was ended");
    else
        guard_life_check_generation(prevention);
}
