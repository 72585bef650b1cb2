/* Owns: a round: which files it writes, how long it waits for them, what their fate means. Must not
 * own: when a round is due (health.c). */
#include "agent/health/health_private.h"
#include "agent/health/marker_places.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/store/store.h"
#include "agent/watch/mounts.h"
#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* While the watch walks, or the scanner loads, it may be late, not dead: so often the patience,
 * then that is no excuse. */
#define BUSY_PATIENCES 10U

/* ---- events --------------------------------------------------------------------------------- */

static void record(const struct health *health, const char *kind, enum event_severity severity,
                   const char *directory, const char *reason)
{
    AUTO_FREE char *subject = text_escape_new(directory, strlen(directory));
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "reason", reason);
    json_write_object_end(&json);
    const struct event_draft draft = {.module = "health",
                                      .kind = kind,
                                      .severity = severity,
                                      .subject = subject,
                                      .detail = buffer_text(&detail)};
    int r = store_append(health->parts.store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "error", log_error_text(r), NULL);
    log_event(severity > EVENT_INFO ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, kind, "path", subject,
              "reason", reason, NULL);
}

/* ---- writing -------------------------------------------------------------------------------- */

static bool is_tried(const struct health *health, uint64_t device)
{
    for (size_t i = 0; i < health->marker_count; i++) {
        if (health->markers[i].device == device)
            return true;
    }
    return false;
}

/* What was written before is forgotten, and with it what the watch tells of its removal. */
static void forget_markers(struct health *health)
{
    (void)pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->marker_count; i++)
        marker_done(&health->markers[i]);
    health->marker_count = 0;
    (void)pthread_mutex_unlock(&health->lock);
}

static struct marker *add_marker(struct health *health, const struct marker *marker)
{
    (void)pthread_mutex_lock(&health->lock);
    struct marker *added = &health->markers[health->marker_count++];
    *added = *marker;
    added->creating = true;
    (void)pthread_mutex_unlock(&health->lock);
    return added;
}

/* What it is, or that there is none (error). */
static void tell_created(struct health *health, struct marker *marker, const struct marker *created,
                         int error)
{
    (void)pthread_mutex_lock(&health->lock);
    marker->creating = false;
    marker->written = created->written;
    marker->directory_fd = created->directory_fd;
    marker->held = created->held;
    marker->device = created->device;
    marker->inode = created->inode;
    marker->written_ns = created->written_ns;
    if (error < 0) {
        marker->place.outcome = HEALTH_UNTRIED;
        marker->place.error = error;
    }
    (void)pthread_mutex_unlock(&health->lock);
}

/* What is not there whole proves nothing, whoever saw it. */
static void tell_unfilled(struct health *health, struct marker *marker, int error)
{
    (void)pthread_mutex_lock(&health->lock);
    marker->place.outcome = HEALTH_UNTRIED;
    marker->place.error = error;
    (void)pthread_mutex_unlock(&health->lock);
}

/* Known before it appears, for the watch may be quicker than we are. False: it is not there. */
static bool write_marker(struct health *health, const char *directory, bool eicar)
{
    struct marker made;
    int fd = -1;

    int r = marker_init(&made, directory);
    if (r == 0)
        r = marker_open(&made);
    if (r < 0 || is_tried(health, made.device)) {
        marker_done(&made); /* a file is mounted there, it is gone, or a bind mount */
        return false;
    }
    made.eicar = eicar;
    struct marker *marker = add_marker(health, &made);
    r = marker_create(&made, &fd);
    tell_created(health, marker, &made, r);
    if (r == 0) {
        r = marker_fill(&made, fd);
        if (r < 0)
            tell_unfilled(health, marker, r);
    }
    return r == 0;
}

static int find_places(struct health *health, char ***ret_places, size_t *ret_count)
{
    AUTO_CLOSE int fd = -1;
    struct mounts *mounts = NULL;

    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &fd);
    if (r == 0)
        r = mounts_read(fd, &mounts);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&health->lock);
    struct scope *scope = scope_ref(health->scope);
    (void)pthread_mutex_unlock(&health->lock);
    r = marker_places_of(scope, mounts, ret_places, ret_count);
    (void)scope_unref(scope);
    (void)mounts_free(mounts);
    return r;
}

/* -ENOENT: of the places that there are, none can be opened. */
static int write_markers(struct health *health, bool engine)
{
    char **places;
    size_t count;

    forget_markers(health);
    int r = find_places(health, &places, &count);
    if (r < 0)
        return r;
    bool eicar = engine;
    for (size_t i = 0; i < count && health->marker_count < HEALTH_PLACES; i++) {
        /* One that can be tried, is: the next that may be written to. */
        if (write_marker(health, places[(health->cursor + i) % count], eicar))
            eicar = false;
    }
    health->cursor = count > 0 ? (health->cursor + HEALTH_PLACES) % count : 0;
    (void)marker_places_free(places, count);
    return count > 0 && health->marker_count == 0 ? -ENOENT : 0;
}

/* ---- waiting -------------------------------------------------------------------------------- */

static bool is_settled(const struct health *health, bool engine)
{
    for (size_t i = 0; i < health->marker_count; i++) {
        enum health_outcome outcome = health->markers[i].place.outcome;
        if (outcome == HEALTH_WAITING || (outcome == HEALTH_SEEN && engine))
            return false;
    }
    return true;
}

/* One that was at rest has to load first. */
static bool is_scanner_waking(struct health *health)
{
    struct scan_pipeline_status scan;

    scan_pipeline_status(health->parts.pipeline, &scan);
    return scan.scanner.state == SCANNER_RESTING || scan.scanner.state == SCANNER_LOADING;
}

static bool is_watch_busy(struct health *health)
{
    struct watch_status status = {.complete = true};

    (void)pthread_mutex_lock(&health->watch_lock);
    if (health->watch != NULL)
        watch_status(health->watch, &status);
    (void)pthread_mutex_unlock(&health->watch_lock);
    return status.gaps_open > 0 || status.walks_running > 0 ||
           (!status.complete && status.directories_unwatched == 0);
}

static bool is_busy(struct health *health, bool engine)
{
    return is_watch_busy(health) || (engine && is_scanner_waking(health));
}

/* What was busy until just now has had no time for the files yet: one more patience. */
static void wait_for_markers(struct health *health, bool engine)
{
    bool busy = is_busy(health, engine);

    (void)pthread_mutex_lock(&health->lock);
    uint64_t patience_ns = health->patience_ns;
    for (unsigned i = 0; i < BUSY_PATIENCES; i++) {
        const struct timespec until = clock_deadline(patience_ns);
        while (!health->stopping && !is_settled(health, engine)) {
            if (pthread_cond_clockwait(&health->changed, &health->lock, CLOCK_MONOTONIC, &until) ==
                ETIMEDOUT)
                break;
        }
        if (health->stopping || is_settled(health, engine))
            break;
        (void)pthread_mutex_unlock(&health->lock);
        bool was_busy = busy;
        busy = is_busy(health, engine);
        (void)pthread_mutex_lock(&health->lock);
        if (!busy && !was_busy)
            break;
    }
    (void)pthread_mutex_unlock(&health->lock);
}

/* What came until now counts. */
static void end_waiting(struct health *health, bool engine)
{
    (void)pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->marker_count; i++) {
        struct health_place *place = &health->markers[i].place;
        if (place->outcome == HEALTH_WAITING)
            place->outcome = HEALTH_SILENT;
        else if (place->outcome == HEALTH_SEEN && engine)
            place->outcome = HEALTH_UNSCANNED;
    }
    (void)pthread_mutex_unlock(&health->lock);
}

static void remove_markers(struct health *health)
{
    for (size_t i = 0; i < health->marker_count; i++) {
        struct marker *marker = &health->markers[i];
        marker_unlink(marker);
        (void)pthread_mutex_lock(&health->lock);
        struct marker_hold hold = marker_release(marker);
        (void)pthread_mutex_unlock(&health->lock);
        marker_let_go(hold);
    }
}

/* ---- judging -------------------------------------------------------------------------------- */

static void count_place(struct health_status *status, const struct health_place *place)
{
    status->silent += place->outcome == HEALTH_SILENT;
    status->unscanned += place->outcome == HEALTH_UNSCANNED;
    status->untried += place->outcome == HEALTH_UNTRIED;
    status->seen_ns = MAX(status->seen_ns, place->seen_ns);
    status->verdict_ns = MAX(status->verdict_ns, place->verdict_ns);
}

static void say_problem(struct health *health, const struct marker *marker)
{
    struct health_status *status = &health->status;
    AUTO_FREE char *shown = text_escape_new(marker->directory, strlen(marker->directory));
    const char *where = shown != NULL ? shown : "";

    if (marker->place.outcome == HEALTH_SILENT) {
        (void)text_format(status->problem, sizeof status->problem,
                          "a test file in %.300s was not seen by the watch", where);
        (void)text_copy(status->cure, sizeof status->cure,
                        "the watch is started anew; if it stays so, look into the agent's log");
    } else if (marker->eicar && marker->place.verdict_ns > 0) {
        (void)text_copy(status->problem, sizeof status->problem,
                        "the EICAR test file is not detected: the signatures lack what all have");
        (void)text_copy(status->cure, sizeof status->cure,
                        "update the signatures, for example with freshclam; then yaguractl "
                        "self-test");
    } else {
        (void)text_format(status->problem, sizeof status->problem,
                          "a test file in %.300s got no verdict in time", where);
        (void)text_copy(status->cure, sizeof status->cure,
                        "look at the scanner and the backlog in yaguractl status");
    }
}

static void say_untried(struct health_status *status, int error)
{
    (void)text_format(status->problem, sizeof status->problem,
                      "no watched mount could be tried: %s", log_error_text(error));
    (void)text_copy(status->cure, sizeof status->cure,
                    "see that the directories of watch.paths exist; then yaguractl self-test");
}

/* error: of write_markers. */
static void judge_markers(struct health *health, int error)
{
    struct health_status *status = &health->status;
    const struct marker *worst = NULL;

    status->places = health->marker_count;
    status->silent = status->unscanned = status->untried = 0;
    status->seen_ns = status->verdict_ns = 0;
    status->problem[0] = status->cure[0] = '\0';
    for (size_t i = 0; i < health->marker_count; i++) {
        const struct marker *marker = &health->markers[i];
        count_place(status, &marker->place);
        if (marker->place.outcome == HEALTH_SILENT ||
            (marker->place.outcome == HEALTH_UNSCANNED &&
             (worst == NULL || worst->place.outcome != HEALTH_SILENT)))
            worst = marker;
    }
    if (worst != NULL)
        say_problem(health, worst);
    else if (error < 0)
        say_untried(status, error);
    status->rounds++;
    status->checked_ns = clock_realtime_ns();
}

/* Of the first file, when it came so far. */
static void judge_self_test(struct health *health, uint64_t engine)
{
    enum health_self_test before = health->status.self_test;

    for (size_t i = 0; i < health->marker_count; i++) {
        const struct marker *marker = &health->markers[i];
        if (!marker->eicar || marker->place.verdict_ns == 0)
            continue;
        health->status.self_test =
            marker->detected ? HEALTH_SELF_TEST_PASSED : HEALTH_SELF_TEST_FAILED;
        bool first = health->tested_generation != engine || before != health->status.self_test;
        health->tested_generation = engine;
        if (!first)
            return;
        if (marker->detected)
            record(health, "self_test_passed", EVENT_INFO, marker->directory,
                   "the EICAR test file was seen and detected");
        else
            record(health, "self_test_failed", EVENT_HIGH, marker->directory,
                   health->status.problem);
        return;
    }
}

/* ---- what follows --------------------------------------------------------------------------- */

/* Walking a large tree again and again would be worse than the fault: after the 1st, 2nd, 4th, 8th
 * silent round. */
static void restart_watch(struct health *health, const char *directory)
{
    uint64_t rounds = ++health->silent_rounds;

    (void)pthread_mutex_lock(&health->watch_lock);
    struct watch_status status = {0};
    if (health->watch != NULL)
        watch_status(health->watch, &status);
    bool known = health->watch == NULL || status.directories_unwatched > 0;
    (void)pthread_mutex_unlock(&health->watch_lock);
    if (known || (rounds & (rounds - 1)) != 0)
        return;
    record(health, "sensor_silent", EVENT_HIGH, directory,
           "a test file was not seen by the watch, which is started anew");
    if (event_loop_post(health->parts.loop, health->parts.restart, health->parts.user) < 0)
        return;
    (void)pthread_mutex_lock(&health->lock);
    health->status.restarts++;
    (void)pthread_mutex_unlock(&health->lock);
}

/* The first place that the watch is blind for. Its name is this thread's. */
static const char *find_silent(struct health *health)
{
    const char *directory = NULL;

    (void)pthread_mutex_lock(&health->lock);
    for (size_t i = 0; i < health->marker_count && directory == NULL; i++) {
        if (health->markers[i].place.outcome == HEALTH_SILENT)
            directory = health->markers[i].directory;
    }
    (void)pthread_mutex_unlock(&health->lock);
    return directory;
}

static void act(struct health *health, bool was_well)
{
    const char *silent = find_silent(health);
    struct health_status status;

    if (silent != NULL) {
        restart_watch(health, silent);
        return;
    }
    if (health->silent_rounds > 0)
        record(health, "sensor_recovered", EVENT_INFO, "", "every test file was seen again");
    health->silent_rounds = 0;
    health_status(health, &status);
    if (status.unscanned > 0 && was_well && status.self_test != HEALTH_SELF_TEST_FAILED)
        record(health, "scan_silent", EVENT_HIGH, "", status.problem);
}

/* Removed before it is answered: who asked finds nothing of it. */
void health_round(struct health *health, uint64_t engine)
{
    (void)pthread_mutex_lock(&health->lock);
    uint64_t asked = health->asked;
    bool was_well = health->status.problem[0] == '\0';
    health->scanned = engine != 0;
    (void)pthread_mutex_unlock(&health->lock);
    int r = write_markers(health, engine != 0);
    if (r < 0)
        log_warning("health_check_failed", "error", log_error_text(r), NULL);
    wait_for_markers(health, engine != 0);
    end_waiting(health, engine != 0);
    remove_markers(health);
    (void)pthread_mutex_lock(&health->lock);
    bool whole = !health->stopping;
    if (whole) {
        judge_markers(health, r);
        judge_self_test(health, engine);
        health->answered = asked;
    }
    (void)pthread_cond_broadcast(&health->changed);
    (void)pthread_mutex_unlock(&health->lock);
    if (whole)
        act(health, was_well);
}
