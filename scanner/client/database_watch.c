/* inotify on the folders of the signatures.
 *
 * Owns: the inotify descriptor and the quiet period, which lets freshclam finish renaming several
 * files. Must not own: deciding whether anything really changed (the client compares fingerprints),
 * or loading. A path that does not exist is watched through its nearest existing parent. */
#include "scanner/client/database_watch.h"

#include "common/event_loop/event_loop.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#define WATCHED                                                                              \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF | \
     IN_MOVE_SELF | IN_ATTRIB)

struct database_watch {
    struct event_loop *loop;
    const char *const *paths;
    size_t count;
    void (*changed)(void *owner);
    void *owner;
    int inotify; /* -1: only the period */
    struct event_timer *quiet;
    struct event_timer *period;
    uint64_t first_event_ns; /* of a burst that was not told yet; 0 = none */
};

/* path, or its nearest parent that exists; the parent of a file too, where it may be replaced. */
static void watch_path(const struct database_watch *watch, const char *path)
{
    AUTO_FREE char *text = strdup(path);
    if (text == NULL)
        return;
    (void)inotify_add_watch(watch->inotify, text, WATCHED);
    for (;;) {
        char *slash = strrchr(text, '/');
        if (slash == NULL)
            return;
        slash[slash == text ? 1 : 0] = '\0';
        if (inotify_add_watch(watch->inotify, text, WATCHED | IN_ONLYDIR) >= 0 ||
            text_equal(text, "/"))
            return;
    }
}

static void watch_all(const struct database_watch *watch)
{
    for (size_t i = 0; watch->inotify >= 0 && i < watch->count; i++)
        watch_path(watch, watch->paths[i]);
}

static int open_inotify(struct database_watch *watch);

static void tell(void *user)
{
    struct database_watch *watch = user;
    watch->first_event_ns = 0;
    if (watch->inotify < 0)
        (void)!open_inotify(watch); /* what was lacking then may be there now */
    watch_all(watch);               /* folders may have come, or been replaced */
    watch->changed(watch->owner);
}

static void on_events(void *user, int fd, uint32_t epoll_events)
{
    (void)epoll_events;
    struct database_watch *watch = user;
    char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
    while (read(fd, events, sizeof(events)) > 0)
        continue; /* which event it was does not matter: files are compared */
    uint64_t now_ns = clock_monotonic_ns();
    if (watch->first_event_ns == 0)
        watch->first_event_ns = now_ns;
    uint64_t latest_ns = watch->first_event_ns + DATABASE_WATCH_LATEST_NS;
    uint64_t left_ns = latest_ns > now_ns ? latest_ns - now_ns : 0;
    event_timer_start(watch->quiet, MIN(left_ns, DATABASE_WATCH_QUIET_NS), 0);
}

/* -ENOMEM alone: without a descriptor the period goes on. */
static int open_inotify(struct database_watch *watch)
{
    watch->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->inotify < 0)
        return 0;
    int result = event_loop_add_fd(watch->loop, watch->inotify, EPOLLIN, on_events, watch);
    if (result < 0)
        (void)close(TAKE_FD(watch->inotify));
    return result;
}

int database_watch_start(struct event_loop *loop, const char *const *paths, size_t count,
                         void (*changed)(void *owner), void *owner,
                         struct database_watch **ret_watch)
{
    struct database_watch *watch = calloc(1, sizeof(*watch));
    if (watch == NULL)
        return -ENOMEM;
    *watch = (struct database_watch){.loop = loop,
                                     .paths = paths,
                                     .count = count,
                                     .changed = changed,
                                     .owner = owner,
                                     .inotify = -1};
    int result = event_timer_new(loop, tell, watch, &watch->quiet);
    if (result == 0)
        result = event_timer_new(loop, tell, watch, &watch->period);
    if (result == 0)
        result = open_inotify(watch);
    if (result < 0) {
        (void)database_watch_free(watch);
        return result;
    }
    event_timer_start(watch->period, DATABASE_WATCH_PERIOD_NS, DATABASE_WATCH_PERIOD_NS);
    watch_all(watch);
    *ret_watch = watch;
    return 0;
}

struct database_watch *database_watch_free(struct database_watch *watch)
{
    if (watch == NULL)
        return NULL;
    if (watch->inotify >= 0) {
        event_loop_remove_fd(watch->loop, watch->inotify);
        (void)close(watch->inotify);
    }
    (void)event_timer_free(watch->quiet);
    (void)event_timer_free(watch->period);
    free(watch);
    return NULL;
}
