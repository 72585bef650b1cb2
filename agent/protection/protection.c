/* Owns: the files, and the time of a release. Must not own: who may release it (agent/delivery). */
#include "agent/protection/protection.h"

#include "agent/protection/release_note.h"
#include "agent/store/store.h"
#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const char CONTENT[] = "console - -\n";

struct protection {
    struct event_loop *loop;
    struct store *store;
    struct event_timer *timer; /* until a release ends */
    char *path, *release_path;
    pthread_mutex_t file_lock; /* what is found out and what is written go together */
    pthread_mutex_t lock;      /* of all below */
    bool enabled;
    uint64_t released_until_ns; /* monotonic; 0: it is not released */
    int problem;                /* of the file */
};

/* detail NULL: there is no more to say. */
static void record(const struct protection *protection, const char *kind,
                   enum event_severity severity, const char *detail)
{
    const struct event_draft draft = {
        .module = "agent", .kind = kind, .severity = severity, .detail = detail};

    int r = store_append(protection->store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "error", log_error_text(r), NULL);
}

bool protection_is_on(struct protection *protection)
{
    (void)pthread_mutex_lock(&protection->lock);
    bool on = protection->enabled && clock_monotonic_ns() >= protection->released_until_ns;
    (void)pthread_mutex_unlock(&protection->lock);
    return on;
}

int protection_problem(struct protection *protection)
{
    (void)pthread_mutex_lock(&protection->lock);
    int problem = protection->problem;
    (void)pthread_mutex_unlock(&protection->lock);
    return problem;
}

static bool is_written(const struct protection *protection)
{
    AUTO_BUFFER struct buffer there = BUFFER_WITH_MAXIMUM(sizeof CONTENT);

    return file_read_all(protection->path, &there) == 0 && there.length == strlen(CONTENT) &&
           memcmp(buffer_text(&there), CONTENT, there.length) == 0;
}

/* What stands there as it is to be is not touched: that takes no room and no right to write. */
static int write_file(struct protection *protection)
{
    if (protection_is_on(protection))
        return is_written(protection)
                   ? 0
                   : file_replace(protection->path, CONTENT, strlen(CONTENT), 0600);
    if (access(protection->path, F_OK) < 0 && errno == ENOENT)
        return 0;
    return unlink(protection->path) == 0 || errno == ENOENT ? 0 : -errno;
}

static void bring_in_line(struct protection *protection)
{
    (void)pthread_mutex_lock(&protection->file_lock);
    int r = write_file(protection);
    (void)pthread_mutex_unlock(&protection->file_lock);

    if (r < 0)
        log_error("protection_not_written", "path", protection->path, "error", log_error_text(r),
                  NULL);
    (void)pthread_mutex_lock(&protection->lock);
    protection->problem = r;
    (void)pthread_mutex_unlock(&protection->lock);
}

static void end_release(void *user)
{
    struct protection *protection = user;

    bring_in_line(protection);
    if (protection_is_on(protection))
        record(protection, "protection_restored", EVENT_INFO, NULL);
}

void protection_set(struct protection *protection, bool enabled)
{
    (void)pthread_mutex_lock(&protection->lock);
    protection->enabled = enabled;
    (void)pthread_mutex_unlock(&protection->lock);
    bring_in_line(protection);
}

/* In the loop's thread. */
static void begin_release(void *user)
{
    struct protection *protection = user;
    uint64_t now = clock_monotonic_ns();

    (void)pthread_mutex_lock(&protection->lock);
    uint64_t until = protection->released_until_ns;
    (void)pthread_mutex_unlock(&protection->lock);
    event_timer_start(protection->timer, until > now ? until - now : 0, 0);
}

void protection_record_refusal(struct protection *protection, const char *reason)
{
    char detail[96];

    (void)text_format(detail, sizeof detail, "{\"reason\":\"%s\"}", reason);
    record(protection, "release_refused", EVENT_MEDIUM, detail);
}

void protection_release(struct protection *protection, uint64_t duration_ns, const char *detail)
{
    (void)pthread_mutex_lock(&protection->lock);
    protection->released_until_ns = clock_monotonic_ns() + duration_ns;
    (void)pthread_mutex_unlock(&protection->lock);
    record(protection, "protection_released", EVENT_HIGH, detail);
    bring_in_line(protection);
    if (event_loop_post(protection->loop, begin_release, protection) < 0)
        log_error("protection_not_released", "error", log_error_text(-ENOMEM), NULL);
}

/* Whatever it says: not longer than a release lasts, and only once. */
static void go_on_with_release(struct protection *protection)
{
    AUTO_FREE char *detail = NULL;
    uint64_t left_ns;

    int r = release_note_take(protection->release_path, &left_ns, &detail);
    if (r == 0)
        protection_release(protection, left_ns, detail);
    else if (r != -ENOENT)
        log_error("release_not_read", "path", protection->release_path, "error", log_error_text(r),
                  NULL);
}

int protection_start(struct event_loop *loop, struct store *store, const char *state_directory,
                     struct protection **ret_protection)
{
    struct protection *protection = calloc(1, sizeof *protection);

    if (protection == NULL)
        return -ENOMEM;
    protection->loop = loop;
    protection->store = store;
    (void)pthread_mutex_init(&protection->file_lock, NULL);
    (void)pthread_mutex_init(&protection->lock, NULL);
    protection->path = text_format_new("%s/" PROTECTION_FILE, state_directory);
    protection->release_path = text_format_new("%s/" PROTECTION_RELEASE_FILE, state_directory);
    int r = protection->path == NULL || protection->release_path == NULL
                ? -ENOMEM
                : event_timer_new(loop, end_release, protection, &protection->timer);
    if (r < 0) {
        (void)protection_stop(protection);
        return r;
    }
    go_on_with_release(protection);
    *ret_protection = protection;
    return 0;
}

struct protection *protection_stop(struct protection *protection)
{
    if (protection == NULL)
        return NULL;
    if (protection->timer != NULL)
        protection->timer = event_timer_free(protection->timer);
    (void)pthread_mutex_destroy(&protection->lock);
    (void)pthread_mutex_destroy(&protection->file_lock);
    free(protection->path);
    free(protection->release_path);
    free(protection);
    return NULL;
}
