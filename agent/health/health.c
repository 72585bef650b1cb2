/* Owns: the thread, when a round is due, what others ask and tell. Must not own: what a round is
 * (health_round.c). */
#include "agent/health/health.h"

#include "agent/health/health_private.h"
#include "agent/scan/scan_pipeline.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>

/* While there is nothing to try: the scanner still loads its signatures, the watch still walks. */
static const uint64_t LOOK_NS = NS_PER_SECOND;
static const uint64_t LOOK_MOST_NS = 30 * NS_PER_SECOND;

static const char *const outcome_names[] = {"waiting", "seen",      "passed",
                                            "silent",  "unscanned", "untried"};

const char *health_outcome_name(enum health_outcome outcome)
{
    return (size_t)outcome < ARRAY_LENGTH(outcome_names) ? outcome_names[outcome] : "unknown";
}

/* ---- what is told --------------------------------------------------------------------------- */

static struct marker *find_marker(struct health *health, const char *path, size_t length)
{
    for (size_t i = 0; i < health->marker_count; i++) {
        if (marker_is(&health->markers[i], path, length))
            return &health->markers[i];
    }
    return NULL;
}

static bool may_be_marker(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);
    size_t name = slash != NULL ? length - (size_t)(slash + 1 - path) : 0;

    return name > sizeof MARKER_PREFIX - 1 &&
           memcmp(slash + 1, MARKER_PREFIX, sizeof MARKER_PREFIX - 1) == 0;
}

enum health_share health_take_event(struct health *health, const struct watch_event *event)
{
    if (!may_be_marker(event->path, event->path_length))
        return HEALTH_NOT_OURS;
    (void)pthread_mutex_lock(&health->lock);
    struct marker *marker = find_marker(health, event->path, event->path_length);
    bool told = event->kind == WATCH_FILE_WRITTEN || event->kind == WATCH_FILE_ARRIVED;
    if (marker != NULL && told && marker->written && marker->place.outcome == HEALTH_WAITING) {
        marker->place.outcome = HEALTH_SEEN;
        marker->place.seen_ns = MAX(clock_monotonic_ns() - marker->written_ns, 1);
        (void)pthread_cond_broadcast(&health->changed);
    }
    /* Before it is there nobody knows its name. */
    bool creating = marker != NULL && marker->creating;
    struct marker_sight sight = {.directory_fd = -1};
    if (marker != NULL)
        sight = marker_sight(marker);
    enum health_share ours = health->scanned ? HEALTH_FOR_SCAN : HEALTH_FOR_NOBODY;
    (void)pthread_mutex_unlock(&health->lock);
    if (sight.blocked) /* scanned in any case: somebody else's may lie there meanwhile */
        return HEALTH_FOR_SCAN;
    return creating || marker_lies_there(sight) ? ours : HEALTH_NOT_OURS;
}

/* A scan_own_file. Only about the very file that we wrote and nobody else can write to. What a scan
 * that was asked for finds says nothing about the watch's way. */
static bool take_verdict(void *user, const struct scan_own_verdict *scanned)
{
    struct health *health = user;
    const struct scan_result *result = scanned->result;
    size_t length = strlen(scanned->path);

    if (!may_be_marker(scanned->path, length))
        return false;
    (void)pthread_mutex_lock(&health->lock);
    struct marker *marker = find_marker(health, scanned->path, length);
    /* One that a walk found before it was filled says nothing, and is nobody's business. */
    bool empty = marker != NULL && marker->creating && result->verdict == SCAN_CLEAN;
    bool same = marker != NULL && marker_has_inode(marker, scanned);
    bool held = same && marker->written;
    if (held && !scanned->asked && marker->place.outcome <= HEALTH_SEEN) {
        marker->place.verdict_ns = MAX(clock_monotonic_ns() - marker->written_ns, 1);
        marker->detected = result->verdict == SCAN_INFECTED;
        bool right = marker->eicar ? marker->detected : result->verdict == SCAN_CLEAN;
        /* One that a walk found before the watch told it is not seen yet. */
        if (marker->place.outcome == HEALTH_SEEN)
            marker->place.outcome = right ? HEALTH_PASSED : HEALTH_UNSCANNED;
        (void)pthread_cond_broadcast(&health->changed);
    }
    (void)pthread_mutex_unlock(&health->lock);
    return held || empty || (same && !scanned->asked && marker_is_nameless(scanned));
}

/* ---- the thread ----------------------------------------------------------------------------- */

static bool is_walked(struct health *health)
{
    struct watch_status status = {0};

    (void)pthread_mutex_lock(&health->watch_lock);
    bool watching = health->watch != NULL;
    if (watching)
        watch_status(health->watch, &status);
    (void)pthread_mutex_unlock(&health->watch_lock);
    return watching &&
           (status.complete || (status.directories_unwatched > 0 && status.walks_running == 0));
}

/* Waits for at most delay_ns; false: the end. */
static bool wait_for_turn(struct health *health, uint64_t delay_ns)
{
    const struct timespec until = clock_deadline(delay_ns);
    int r = 0;

    (void)pthread_mutex_lock(&health->lock);
    while (!health->stopping && !health->rescheduled && health->asked == health->answered &&
           r != ETIMEDOUT)
        r = pthread_cond_clockwait(&health->changed, &health->lock, CLOCK_MONOTONIC, &until);
    bool goes_on = !health->stopping;
    health->rescheduled = false;
    (void)pthread_mutex_unlock(&health->lock);
    return goes_on;
}

/* Whether a round makes sense now: ret_engine as health_round takes it. When nobody asks, the first
 * one waits for signatures and the first walk. */
static bool is_due(struct health *health, bool first, uint64_t *ret_engine)
{
    struct scan_pipeline_status scan;

    scan_pipeline_status(health->parts.pipeline, &scan);
    (void)pthread_mutex_lock(&health->lock);
    bool asked = health->asked != health->answered;
    bool wanted = health->interval_ns > 0;
    bool untried = scan.scanner.generation != health->tested_generation;
    (void)pthread_mutex_unlock(&health->lock);
    enum scanner_state state = scan.scanner.state;
    /* One at rest is woken for who asks, and once for new signatures: not every few minutes. One
     * that comes back is waited for by who asks. */
    bool ready = scanner_status_is_ready(&scan.scanner) &&
                 (state != SCANNER_RESTING || asked || untried) &&
                 (state != SCANNER_LOADING || asked);
    *ret_engine = ready ? scan.scanner.generation : 0;
    if (!is_walked(health))
        return asked;
    return asked || (wanted && (!first || state != SCANNER_LOADING));
}

/* Until the next round. Sooner while something is wrong, or new signatures are untried. */
static uint64_t next_delay(struct health *health)
{
    (void)pthread_mutex_lock(&health->lock);
    uint64_t delay_ns = health->interval_ns > 0 ? health->interval_ns : UINT64_MAX / 4;
    if (health->interval_ns > 0 && health->status.problem[0] != '\0')
        delay_ns = MIN(delay_ns, health->patience_ns);
    (void)pthread_mutex_unlock(&health->lock);
    return delay_ns;
}

static void *run(void *user)
{
    struct health *health = user;
    uint64_t look_ns = LOOK_NS, delay_ns = 0, engine;
    bool first = true;

    while (wait_for_turn(health, delay_ns)) {
        if (!is_due(health, first, &engine)) {
            delay_ns = look_ns;
            look_ns = MIN(look_ns * 2, LOOK_MOST_NS);
            continue;
        }
        health_round(health, engine);
        first = first && engine == 0;
        look_ns = LOOK_NS;
        delay_ns = first ? look_ns * 10 : next_delay(health);
    }
    return NULL;
}

/* ---- what others ask ------------------------------------------------------------------------ */

int health_check(struct health *health, uint64_t timeout_ns,
                 void (*row)(void *user, const struct health_place *place), void *user)
{
    const struct timespec until = clock_deadline(timeout_ns);
    int r = 0;

    (void)pthread_mutex_lock(&health->lock);
    uint64_t mine = ++health->asked;
    (void)pthread_cond_broadcast(&health->changed);
    while (health->answered < mine && !health->stopping && r != ETIMEDOUT)
        r = pthread_cond_clockwait(&health->changed, &health->lock, CLOCK_MONOTONIC, &until);
    bool answered = health->answered >= mine;
    bool stopping = health->stopping;
    for (size_t i = 0; answered && i < health->marker_count; i++)
        row(user, &health->markers[i].place);
    (void)pthread_mutex_unlock(&health->lock);
    if (answered)
        return 0;
    return stopping ? -ECANCELED : -ETIMEDOUT;
}

void health_status(struct health *health, struct health_status *ret_status)
{
    (void)pthread_mutex_lock(&health->lock);
    *ret_status = health->status;
    (void)pthread_mutex_unlock(&health->lock);
}

void health_set_watch(struct health *health, struct watch *watch)
{
    (void)pthread_mutex_lock(&health->watch_lock);
    health->watch = watch;
    (void)pthread_mutex_unlock(&health->watch_lock);
}

int health_reconfigure(struct health *health, const struct health_options *options)
{
    struct scope *scope;

    int r = scope_new(options->watch, &scope);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&health->lock);
    (void)scope_unref(health->scope);
    health->scope = scope;
    health->rescheduled = health->rescheduled || health->interval_ns != options->interval_ns;
    health->interval_ns = options->interval_ns;
    health->patience_ns = options->patience_ns;
    if (options->interval_ns == 0)
        health->status.problem[0] = '\0'; /* nobody finds out whether it still is so */
    (void)pthread_cond_broadcast(&health->changed);
    (void)pthread_mutex_unlock(&health->lock);
    return 0;
}

/* ---- life ----------------------------------------------------------------------------------- */

static int start_thread(struct health *health)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&health->thread, NULL, run, health);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void free_health(struct health *health)
{
    for (size_t i = 0; i < health->marker_count; i++)
        marker_done(&health->markers[i]);
    (void)scope_unref(health->scope);
    (void)pthread_cond_destroy(&health->changed);
    (void)pthread_mutex_destroy(&health->lock);
    (void)pthread_mutex_destroy(&health->watch_lock);
    free(health);
}

int health_start(const struct health_options *options, const struct health_parts *parts,
                 struct health **ret_health)
{
    struct health *health = calloc(1, sizeof *health);

    if (health == NULL)
        return -ENOMEM;
    health->parts = *parts;
    (void)pthread_mutex_init(&health->watch_lock, NULL);
    (void)pthread_mutex_init(&health->lock, NULL);
    (void)pthread_cond_init(&health->changed, NULL);
    int r = health_reconfigure(health, options);
    if (r == 0) {
        scan_pipeline_set_own_file(parts->pipeline, take_verdict, health);
        r = start_thread(health);
    }
    if (r < 0) {
        scan_pipeline_set_own_file(parts->pipeline, NULL, NULL);
        free_health(health);
        return r;
    }
    *ret_health = health;
    return 0;
}

void health_cancel(struct health *health)
{
    if (health == NULL)
        return;
    (void)pthread_mutex_lock(&health->lock);
    health->stopping = true;
    (void)pthread_cond_broadcast(&health->changed);
    (void)pthread_mutex_unlock(&health->lock);
}

struct health *health_stop(struct health *health)
{
    if (health == NULL)
        return NULL;
    health_cancel(health);
    (void)pthread_join(health->thread, NULL);
    scan_pipeline_set_own_file(health->parts.pipeline, NULL, NULL);
    free_health(health);
    return NULL;
}
