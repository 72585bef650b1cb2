/* Owns the thread, its loop, and the plan in force. */
#include "agent/prevention/prevention.h"

#include "agent/prevention/guard_plan.h"
#include "agent/prevention/prevention_private.h"
#include "agent/watch/mounts.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>

#define TICK_NS NS_PER_SECOND

/* ---- references ---- */

static void free_prevention(struct prevention *prevention)
{
    (void)guard_plan_free(prevention->plan);
    (void)guard_plan_free(prevention->new_plan);
    (void)event_timer_free(prevention->tick);
    (void)event_timer_free(prevention->restart);
    (void)event_loop_free(prevention->loop);
    if (prevention->mounts_fd >= 0)
        (void)close(prevention->mounts_fd);
    if (prevention->unmounts_fd >= 0)
        (void)close(prevention->unmounts_fd);
    (void)pthread_mutex_destroy(&prevention->lock);
    free(prevention);
}

void prevention_ref(struct prevention *prevention)
{
    (void)pthread_mutex_lock(&prevention->lock);
    prevention->references++;
    (void)pthread_mutex_unlock(&prevention->lock);
}

void prevention_unref(struct prevention *prevention)
{
    (void)pthread_mutex_lock(&prevention->lock);
    bool last = --prevention->references == 0;
    (void)pthread_mutex_unlock(&prevention->lock);
    if (last)
        free_prevention(prevention);
}

bool prevention_post(struct prevention *prevention, event_post_handler *work, void *user)
{
    (void)pthread_mutex_lock(&prevention->lock);
    bool posted = !prevention->stopping && event_loop_post(prevention->loop, work, user) == 0;
    (void)pthread_mutex_unlock(&prevention->lock);
    return posted;
}

const char *prevention_module(const struct prevention *prevention)
{
    return prevention->judge != NULL ? prevention->judge->module : "prevention";
}

void prevention_record(struct prevention *prevention, const char *kind,
                       enum event_severity severity, const char *subject, const char *detail)
{
    AUTO_BUFFER struct buffer problem = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;
    struct event_draft draft = {
        .module = prevention_module(prevention),
        .kind = kind,
        .severity = severity,
        .subject = subject,
        .detail = detail,
    };

    if (detail[0] != '{') {
        json_writer_init(&json, &problem);
        json_write_object_begin(&json);
        json_write_field_string(&json, "problem", detail);
        json_write_object_end(&json);
        draft.detail = buffer_text(&problem);
    }
    int r = store_append(prevention->store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "subject", subject, "error", log_error_text(r),
                  NULL);
}

/* ---- the loop ---- */

static void take_plan(void *user)
{
    struct prevention *prevention = user;

    (void)pthread_mutex_lock(&prevention->lock);
    struct prevention_plan *plan = TAKE_POINTER(prevention->new_plan);
    (void)pthread_mutex_unlock(&prevention->lock);
    if (plan == NULL)
        return;
    (void)guard_plan_free(prevention->plan);
    prevention->plan = plan;
    prevention->restart_delay_ns = 0;
    if (plan->enabled && prevention->old.number != 0)
        prevention->renewal_waits = true;
    else
        guard_life_renew(prevention);
}

/* A third guard would end the first, and let pass whoever waits for it. */
static void renew_late(struct prevention *prevention)
{
    if (prevention->old.number == 0 && TAKE_FLAG(prevention->renewal_waits))
        guard_life_renew(prevention);
}

/* True as well when they cannot be known. */
static bool marks_differ(const struct prevention *prevention)
{
    struct mounts *mounts = NULL;

    bool differ = guard_plan_mounts(&mounts) < 0 ||
                  guard_plan_fingerprint(prevention->plan, mounts) != prevention->mounts_print;
    (void)mounts_free(mounts);
    return differ;
}

/* A mount that came to be below a protected path has its own marks; mounts come in crowds. While
 * opens wait for the guard before, no third one is started: it would end that one. Nor while one
 * starts: where mounts come and go all the time none would ever take over. */
static void check_mounts(struct prevention *prevention)
{
    if (prevention->old.number != 0 || prevention->next.number != 0 || !prevention->plan->enabled ||
        !(prevention->mounts_moved || prevention->mark_lost))
        return;
    prevention->mounts_moved = false;
    if (prevention->mark_lost || marks_differ(prevention))
        guard_life_renew(prevention);
}

static void mounts_changed(void *user, int fd UNUSED, uint32_t epoll_events UNUSED)
{
    ((struct prevention *)user)->mounts_moved = true;
}

static void take_unmounts(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct prevention *prevention = user;
    union {
        char bytes[4096];
        struct inotify_event event;
    } buffer;
    ssize_t length;

    while ((length = read(fd, &buffer, sizeof buffer)) > 0)
        for (const char *at = buffer.bytes; at < buffer.bytes + length;) {
            const struct inotify_event *event = (const void *)at;
            prevention->mark_lost |= (event->mask & (IN_UNMOUNT | IN_Q_OVERFLOW)) != 0;
            at += sizeof *event + event->len;
        }
}

/* In place of the one there is. */
static int open_unmounts(struct prevention *prevention)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (fd < 0)
        return -errno;
    int r = event_loop_add_fd(prevention->loop, fd, EPOLLIN, take_unmounts, prevention);
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    event_loop_remove_fd(prevention->loop, prevention->unmounts_fd);
    if (prevention->unmounts_fd >= 0)
        (void)close(prevention->unmounts_fd);
    prevention->unmounts_fd = fd;
    return 0;
}

int prevention_watch_marks(struct prevention *prevention, struct mounts **ret_mounts)
{
    prevention->mounts_moved = prevention->mark_lost = false; /* what moves from here on is news */
    int r = guard_plan_mounts(ret_mounts);
    if (r < 0)
        return r;
    prevention->mounts_print = guard_plan_fingerprint(prevention->plan, *ret_mounts);
    (void)!open_unmounts(prevention); /* otherwise the one before tells too much */
    guard_plan_watch(prevention->plan, *ret_mounts, prevention->unmounts_fd);
    return 0;
}

static void handle_tick(void *user)
{
    struct prevention *prevention = user;

    check_mounts(prevention);
    guard_life_check(prevention);
    renew_late(prevention);
}

/* The guards are children of this thread: they end with it, whatever becomes of it. */
static void *run_prevention(void *user)
{
    struct prevention *prevention = user;

    guard_life_renew(prevention);
    event_timer_start(prevention->tick, TICK_NS, TICK_NS);
    int r = event_loop_run(prevention->loop);
    if (r < 0)
        log_error("prevention_ended", "module", prevention_module(prevention), "error",
                  log_error_text(r), NULL);
    event_timer_stop(prevention->tick);
    event_timer_stop(prevention->restart);
    event_loop_remove_fd(prevention->loop, prevention->mounts_fd);
    event_loop_remove_fd(prevention->loop, prevention->unmounts_fd);
    guard_life_end(prevention, &prevention->next);
    guard_life_end(prevention, &prevention->old);
    guard_life_end(prevention, &prevention->current);
    return NULL;
}

static int make_loop(struct prevention *prevention)
{
    int r = event_loop_new(&prevention->loop);

    if (r == 0)
        r = event_timer_new(prevention->loop, handle_tick, prevention, &prevention->tick);
    if (r == 0)
        r = event_timer_new(prevention->loop, guard_life_restart, prevention, &prevention->restart);
    if (r == 0)
        r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &prevention->mounts_fd);
    if (r == 0)
        r = event_loop_add_fd(prevention->loop, prevention->mounts_fd, EPOLLPRI, mounts_changed,
                              prevention);
    return r == 0 ? open_unmounts(prevention) : r;
}

/* ---- life ---- */

int prevention_start(const struct prevention_options *options, const struct prevention_parts *parts,
                     struct prevention **ret_prevention)
{
    struct prevention *prevention = calloc(1, sizeof *prevention);

    if (prevention == NULL)
        return -ENOMEM;
    prevention->store = parts->store;
    prevention->pipeline = parts->pipeline;
    prevention->responder = parts->responder;
    prevention->judge = parts->judge;
    prevention->references = 1;
    prevention->mounts_fd = prevention->unmounts_fd = -1;
    prevention->current.socket = prevention->next.socket = prevention->old.socket = -1;
    (void)pthread_mutex_init(&prevention->lock, NULL);
    int r = guard_plan_new(options, &prevention->plan);
    if (r == 0)
        r = make_loop(prevention);
    if (r == 0)
        r = -pthread_create(&prevention->thread, NULL, run_prevention, prevention);
    if (r < 0) {
        free_prevention(prevention);
        return r;
    }
    *ret_prevention = prevention;
    return 0;
}

struct prevention *prevention_stop(struct prevention *prevention)
{
    if (prevention == NULL)
        return NULL;
    (void)pthread_mutex_lock(&prevention->lock);
    prevention->stopping = true;
    (void)pthread_mutex_unlock(&prevention->lock);
    event_loop_stop(prevention->loop);
    (void)pthread_join(prevention->thread, NULL);
    (void)!event_loop_turn(prevention->loop, 0); /* asks whose answers were posted end here */
    prevention_unref(prevention);
    return NULL;
}

int prevention_reconfigure(struct prevention *prevention, const struct prevention_options *options)
{
    struct prevention_plan *plan;
    int r = guard_plan_new(options, &plan);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&prevention->lock);
    struct prevention_plan *before = prevention->new_plan;
    prevention->new_plan = plan;
    (void)pthread_mutex_unlock(&prevention->lock);
    (void)guard_plan_free(before);
    return prevention_post(prevention, take_plan, prevention) ? 0 : -ENOMEM;
}

void prevention_status(struct prevention *prevention, struct prevention_status *ret_status)
{
    (void)pthread_mutex_lock(&prevention->lock);
    *ret_status = prevention->status;
    (void)pthread_mutex_unlock(&prevention->lock);
}
