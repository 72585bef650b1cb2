/* Owns: the thread, its turns, what waits for it, and its settings. Must not own: what a change is
 * (compare.c), what is told (report.c). */
#include "agent/integrity/integrity_private.h"

#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

enum { NICENESS = 10 };

/* A file is looked at this long after it was first touched, so that writing it in many steps is one
 * change, and one that only passes by is none. */
static const uint64_t SETTLE_NS = 500 * NS_PER_MS;
/* What package managers write beside a file before they rename it. */
static const uint64_t PACKAGE_SETTLE_NS = 30 * NS_PER_SECOND;
/* After a failure of the baseline's disk. */
static const uint64_t RETRY_NS = 10 * NS_PER_SECOND;
/* Between two looks at the clock of the schedule. */
static const uint64_t LOOK_NS = 60 * NS_PER_SECOND;

static const char *const state_names[] = {"off", "building", "checking", "watching", "failed"};

const char *integrity_state_name(enum integrity_state state)
{
    return (size_t)state < ARRAY_LENGTH(state_names) ? state_names[state] : "unknown";
}

/* ---- settings ---- */

struct integrity_settings *integrity_settings_ref(struct integrity_settings *settings)
{
    atomic_fetch_add(&settings->references, 1);
    return settings;
}

struct integrity_settings *integrity_settings_unref(struct integrity_settings *settings)
{
    if (settings != NULL && atomic_fetch_sub(&settings->references, 1) == 1) {
        (void)change_authors_stop(settings->authors);
        (void)integrity_rules_unref(settings->rules);
        free(settings);
    }
    return NULL;
}

static int settings_new(const struct integrity_options *options,
                        struct integrity_settings **ret_settings)
{
    struct integrity_settings *settings = calloc(1, sizeof *settings);

    if (settings == NULL)
        return -ENOMEM;
    atomic_init(&settings->references, 1);
    settings->enabled = options->enabled;
    settings->trust_packages = options->trust_packages;
    settings->most_bytes = options->most_bytes;
    settings->schedule = options->schedule;
    int r = integrity_rules_new(&options->lists, &settings->rules);
    if (r < 0) {
        (void)integrity_settings_unref(settings);
        return r;
    }
    if (options->enabled && options->attribution)
        r = change_authors_start(settings->rules, &settings->authors);
    if (r < 0)
        log_warning("change_authors_unknown", "error", log_error_text(r), NULL);
    *ret_settings = settings;
    return 0;
}

/* ---- from other threads ---- */

static bool is_half_written(const char *path, size_t length)
{
    static const char *const endings[] = {".dpkg-new", ".dpkg-tmp", ".rpmnew"};

    for (size_t i = 0; i < ARRAY_LENGTH(endings); i++) {
        size_t size = strlen(endings[i]);
        if (length > size && memcmp(path + length - size, endings[i], size) == 0)
            return true;
    }
    return false;
}

/* What changed after the check at the start looked at it, and before the watch stood. */
static void take_walked(struct integrity *integrity)
{
    (void)pthread_mutex_lock(&integrity->lock);
    if (integrity->settings->enabled) {
        integrity->check_all = true;
        (void)pthread_cond_signal(&integrity->changed);
    }
    (void)pthread_mutex_unlock(&integrity->lock);
}

void integrity_take_event(struct integrity *integrity, const struct watch_event *event)
{
    bool deep = event->kind == WATCH_DIRECTORY_ARRIVED || event->kind == WATCH_DIRECTORY_REMOVED ||
                event->kind == WATCH_GAP_CLOSED;
    uint64_t now = clock_monotonic_ns();

    if (event->kind == WATCH_FILE_FOUND)
        return; /* the first walk: its end has everything compared */
    if (event->kind == WATCH_WALKED) {
        take_walked(integrity);
        return;
    }
    (void)pthread_mutex_lock(&integrity->lock);
    const struct integrity_rules *rules = integrity->settings->rules;
    if (integrity->settings->enabled &&
        (deep ? integrity_rules_reach(rules, event->path, event->path_length)
              : integrity_rules_care(rules, event->path, event->path_length) != CARE_NONE)) {
        bool slow = is_half_written(event->path, event->path_length);
        uint64_t due = pending_due_ns(integrity->pending);
        if (pending_add(integrity->pending, event->path, event->path_length, deep,
                        slow ? PENDING_SLOW : PENDING_SETTLES,
                        now + (slow ? PACKAGE_SETTLE_NS : SETTLE_NS)) < 0)
            integrity->check_all = true;
        integrity->status.waiting = pending_count(integrity->pending);
        if (integrity->check_all || pending_due_ns(integrity->pending) < due)
            (void)pthread_cond_signal(&integrity->changed);
    }
    (void)pthread_mutex_unlock(&integrity->lock);
}

int integrity_drain(struct integrity *integrity, void (*done)(void *user), void *user)
{
    struct waiting_drain *drain = calloc(1, sizeof *drain);

    if (drain == NULL)
        return -ENOMEM;
    *drain = (struct waiting_drain){.done = done, .user = user};
    (void)pthread_mutex_lock(&integrity->lock);
    *integrity->last_drain = drain;
    integrity->last_drain = &drain->next;
    (void)pthread_cond_signal(&integrity->changed);
    (void)pthread_mutex_unlock(&integrity->lock);
    return 0;
}

void integrity_status(struct integrity *integrity, struct integrity_status *ret_status)
{
    (void)pthread_mutex_lock(&integrity->lock);
    *ret_status = integrity->status;
    (void)pthread_mutex_unlock(&integrity->lock);
}

const char *integrity_baseline_path(const struct integrity *integrity)
{
    return integrity->baseline_path;
}

/* ---- the thread: what it says ---- */

static void publish(struct integrity *integrity, enum integrity_state state)
{
    (void)pthread_mutex_lock(&integrity->lock);
    struct integrity_status *status = &integrity->status;
    status->state = state;
    if (state != INTEGRITY_FAILED)
        status->problem[0] = '\0';
    status->files_checked = integrity->totals.files;
    status->checked_ns = integrity->checked_ns;
    status->waiting = pending_count(integrity->pending);
    if (integrity->baseline != NULL) {
        status->tampered = baseline_is_tampered(integrity->baseline);
        (void)text_copy(status->key_id, sizeof status->key_id,
                        baseline_key_id(integrity->baseline));
        status->entries = baseline_count(integrity->baseline);
        status->changed = baseline_changed(integrity->baseline);
        status->approved_ns = baseline_approved_ns(integrity->baseline);
    }
    (void)pthread_mutex_unlock(&integrity->lock);
}

/* Everything is looked at again once it works. */
static void note_failure(struct integrity *integrity, const char *what, int error)
{
    integrity->failed_ns = clock_monotonic_ns();
    (void)pthread_mutex_lock(&integrity->lock);
    integrity->check_all = true;
    (void)text_format(integrity->status.problem, sizeof integrity->status.problem, "%s: %s", what,
                      log_error_text(error));
    (void)pthread_mutex_unlock(&integrity->lock);
    log_error("integrity_failed", "what", what, "error", log_error_text(error), NULL);
    publish(integrity, INTEGRITY_FAILED);
}

/* ---- the thread: checks ---- */

static int approve_all(struct integrity *integrity)
{
    struct baseline *baseline = integrity->baseline;
    int r = baseline_begin(baseline);

    if (r < 0)
        return r;
    r = baseline_use_rules(baseline, integrity_rules_text(integrity->now->rules));
    if (r == 0)
        r = baseline_approve(baseline);
    if (r < 0) {
        baseline_rollback(baseline);
        return r;
    }
    integrity->told_tampering = false;
    return baseline_commit(baseline);
}

static int use_rules(struct integrity *integrity)
{
    int r = baseline_begin(integrity->baseline);

    if (r < 0)
        return r;
    r = baseline_use_rules(integrity->baseline, integrity_rules_text(integrity->now->rules));
    if (r < 0) {
        baseline_rollback(integrity->baseline);
        return r;
    }
    return baseline_commit(integrity->baseline);
}

static int build(struct integrity *integrity, const char *kind, const char *who)
{
    const struct compare_options options = {.mode = WALK_APPROVE};

    publish(integrity, INTEGRITY_BUILDING);
    int r = walk_everything(integrity, &options);
    if (r == 0)
        r = approve_all(integrity);
    if (r == 0)
        report_baseline(integrity, kind, who);
    return r;
}

/* With other rules than last time, what they did not cover then is taken as it is. */
static int compare_all(struct integrity *integrity, bool read_all)
{
    struct compare_options options = {.mode = WALK_COMPARE, .read_all = read_all};
    const char *before = baseline_rules_text(integrity->baseline);
    struct integrity_rules *adopted_from = NULL;
    int r = 0;

    publish(integrity, INTEGRITY_CHECKING);
    bool other_rules = !text_equal(before, integrity_rules_text(integrity->now->rules));
    if (other_rules) {
        r = integrity_rules_from_text(before, &adopted_from);
        options.mode = WALK_ADOPT;
        options.adopted_from = adopted_from;
    }
    if (r == 0)
        r = walk_everything(integrity, &options);
    if (r == 0 && other_rules)
        r = use_rules(integrity);
    (void)integrity_rules_unref(adopted_from);
    return r;
}

static int check(struct integrity *integrity, enum integrity_request request, const char *who)
{
    uint64_t began = clock_monotonic_ns();
    int r;

    integrity->totals = (struct integrity_totals){.files = 0};
    if (baseline_is_empty(integrity->baseline))
        return build(integrity, "baseline_built", who);
    if (request == INTEGRITY_REBUILD) {
        r = build(integrity, "baseline_rebuilt", who);
    } else {
        r = compare_all(integrity, request == INTEGRITY_FULL);
        if (r == 0 || r == -ECANCELED)
            report_checked(integrity, who, r, began);
    }
    if (r == 0)
        integrity->checked_ns = clock_realtime_ns();
    return r;
}

/* ---- the thread: turns ---- */

static int verify_at_start(struct integrity *integrity)
{
    int r = baseline_verify(integrity->baseline);

    if (r != -EBADMSG)
        return r;
    integrity->told_tampering = true;
    return report_event(integrity, "baseline_tampered", EVENT_CRITICAL, "",
                        "{\"reason\":\"the baseline was changed by somebody else while the agent "
                        "did not run\"}");
}

/* Opens the baseline when it is first needed. */
static int prepare(struct integrity *integrity)
{
    char notice[512];

    if (integrity->baseline != NULL)
        return 0;
    int r =
        baseline_open(integrity->baseline_path, integrity->key_path, &integrity->baseline, notice);
    if (r < 0)
        return r;
    if (notice[0] != '\0') {
        log_warning("baseline_notice", "notice", notice, NULL);
        (void)!report_event(integrity, "baseline_lost", EVENT_HIGH, "",
                            "{\"reason\":\"the baseline was corrupt and is built anew\"}");
    }
    r = verify_at_start(integrity);
    if (r < 0)
        integrity->baseline = baseline_close(integrity->baseline);
    return r;
}

struct turn {
    struct waiting_drain *drains;
    bool check_all, pending;
};

static void take_turn(struct integrity *integrity, struct turn *turn)
{
    uint64_t now = clock_monotonic_ns();
    bool can = integrity->failed_ns == 0 || now - integrity->failed_ns >= RETRY_NS;

    *turn = (struct turn){.drains = integrity->drains};
    turn->check_all = can && TAKE_FLAG(integrity->check_all);
    turn->pending = turn->drains != NULL || pending_due_ns(integrity->pending) <= now;
    (void)integrity_settings_unref(integrity->now);
    integrity->now = integrity_settings_ref(integrity->settings);
}

static uint64_t next_check_ns(struct integrity *integrity)
{
    return integrity->settings->enabled && integrity->started
               ? schedule_plan_next(&integrity->plan, &integrity->settings->schedule,
                                    integrity->checked_ns, clock_realtime_ns())
               : UINT64_MAX;
}

/* Waits until there is something to do; with the lock. */
static void wait_for_work(struct integrity *integrity)
{
    for (;;) {
        uint64_t now = clock_monotonic_ns(), realtime = clock_realtime_ns();
        uint64_t due = pending_due_ns(integrity->pending), next = next_check_ns(integrity);
        bool retries = integrity->failed_ns != 0;
        integrity->status.next_ns = next == UINT64_MAX ? 0 : next;
        if (integrity->stopping || integrity->requests != NULL || integrity->drains != NULL ||
            integrity->settings != integrity->now || (integrity->check_all && !retries))
            return;
        if (next <= realtime)
            integrity->check_all = true;
        if (((due <= now || integrity->check_all) && !retries) ||
            (retries && now - integrity->failed_ns >= RETRY_NS))
            return;
        uint64_t wait = due > now ? MIN(due - now, LOOK_NS) : LOOK_NS;
        if (next > realtime)
            wait = MIN(wait, next - realtime);
        if (retries)
            wait = MIN(wait, RETRY_NS - (now - integrity->failed_ns));
        struct timespec until = clock_wait_until(MAX(wait, NS_PER_MS));
        (void)pthread_cond_clockwait(&integrity->changed, &integrity->lock, CLOCK_MONOTONIC,
                                     &until);
    }
}

/* Drains that waited when the turn began: others are those of the next. */
static void end_drains(struct integrity *integrity, struct waiting_drain *last)
{
    for (bool more = last != NULL; more;) {
        (void)pthread_mutex_lock(&integrity->lock);
        struct waiting_drain *drain = integrity->drains;
        integrity->drains = drain->next;
        if (integrity->drains == NULL)
            integrity->last_drain = &integrity->drains;
        (void)pthread_mutex_unlock(&integrity->lock);
        more = drain != last;
        drain->done(drain->user);
        free(drain);
    }
}

static struct waiting_drain *last_of(struct waiting_drain *drain)
{
    while (drain != NULL && drain->next != NULL)
        drain = drain->next;
    return drain;
}

static int work(struct integrity *integrity, const struct turn *turn)
{
    bool first = !integrity->started;
    int r = prepare(integrity);

    if (r == 0 && (first || turn->check_all))
        r = check(integrity, INTEGRITY_CHECK, first ? "start" : "schedule");
    if (r == 0 && turn->pending)
        r = examine_pending(integrity, turn->drains != NULL);
    if (r < 0 && r != -ECANCELED) {
        note_failure(integrity, "the baseline", r);
        return r;
    }
    integrity->started = true;
    integrity->failed_ns = 0;
    publish(integrity, INTEGRITY_WATCHING);
    return 0;
}

/* What waits is of no use any more, and a failure is over: whoever switches it on again has
 * everything looked at. */
static void rest(struct integrity *integrity)
{
    struct pending_path *path;

    integrity->started = false;
    integrity->failed_ns = 0;
    (void)pthread_mutex_lock(&integrity->lock);
    while ((path = pending_take(integrity->pending, UINT64_MAX)) != NULL)
        free(path);
    (void)pthread_mutex_unlock(&integrity->lock);
    publish(integrity, INTEGRITY_OFF);
}

/* Of one who asked, after what was due anyway (result: how that went). */
static void serve(struct integrity *integrity, int result)
{
    struct waiting_request *request = integrity_take_request(integrity);
    int r = result;

    if (request == NULL)
        return;
    if (r == 0) {
        r = check(integrity, request->order.request, request->who);
        if (r < 0 && r != -ECANCELED)
            note_failure(integrity, "the check", r);
        else
            publish(integrity, INTEGRITY_WATCHING);
    }
    integrity_end_request(integrity, request, r, &integrity->totals);
}

static void run_turn(struct integrity *integrity, const struct turn *turn,
                     struct waiting_drain *last)
{
    int r = -EOPNOTSUPP;

    if (integrity->now->enabled)
        r = work(integrity, turn);
    else
        rest(integrity);
    serve(integrity, r);
    end_drains(integrity, last);
}

static void *run(void *user)
{
    struct integrity *integrity = user;
    struct turn turn;

    (void)pthread_setname_np(pthread_self(), "integrity");
    /* EACCES: we are nicer already. */
    if (setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), NICENESS) < 0 && errno != EACCES)
        log_warning("priority_not_lowered", "who", "integrity", "error", log_error_text(-errno),
                    NULL);
    (void)pthread_mutex_lock(&integrity->lock);
    while (!integrity->stopping) {
        take_turn(integrity, &turn);
        struct waiting_drain *last = last_of(turn.drains);
        (void)pthread_mutex_unlock(&integrity->lock);
        run_turn(integrity, &turn, last);
        (void)pthread_mutex_lock(&integrity->lock);
        wait_for_work(integrity);
    }
    (void)pthread_mutex_unlock(&integrity->lock);
    return NULL;
}

/* ---- life ---- */

static void free_integrity(struct integrity *integrity)
{
    while (integrity->requests != NULL) {
        struct waiting_request *next = integrity->requests->next;
        integrity_end_request(integrity, integrity->requests, -ECANCELED, &integrity->totals);
        integrity->requests = next;
    }
    while (integrity->drains != NULL) {
        struct waiting_drain *next = integrity->drains->next;
        integrity->drains->done(integrity->drains->user);
        free(integrity->drains);
        integrity->drains = next;
    }
    changes_done(&integrity->changes);
    baseline_close(integrity->baseline);
    package_owner_free(integrity->packages);
    mount_classes_free(integrity->mounts);
    pending_free(integrity->pending);
    (void)integrity_settings_unref(integrity->settings);
    (void)integrity_settings_unref(integrity->now);
    (void)pthread_cond_destroy(&integrity->changed);
    (void)pthread_mutex_destroy(&integrity->lock);
    free(integrity->baseline_path);
    free(integrity->key_path);
    free(integrity);
}

static int make_parts(struct integrity *integrity, const struct integrity_options *options)
{
    integrity->baseline_path = text_format_new("%s/integrity.db", options->state_directory);
    integrity->key_path = text_format_new("%s/integrity.key", options->state_directory);
    if (integrity->baseline_path == NULL || integrity->key_path == NULL)
        return -ENOMEM;
    int r = settings_new(options, &integrity->settings);
    if (r == 0)
        r = pending_new(LIMIT_INTEGRITY_PENDING, &integrity->pending);
    if (r == 0)
        r = mount_classes_new(&integrity->mounts);
    if (r == 0 && options->inspector_program != NULL)
        r = package_owner_new(options->inspector_program, &integrity->packages);
    return r;
}

static int start_thread(struct integrity *integrity)
{
    sigset_t all, before;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = -pthread_create(&integrity->thread, NULL, run, integrity);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int integrity_start(const struct integrity_options *options, struct store *store,
                    struct integrity **ret_integrity)
{
    struct integrity *integrity = calloc(1, sizeof *integrity);

    if (integrity == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&integrity->lock, NULL);
    (void)pthread_cond_init(&integrity->changed, NULL);
    integrity->store = store;
    integrity->last_request = &integrity->requests;
    integrity->last_drain = &integrity->drains;
    int r = make_parts(integrity, options);
    if (r == 0)
        r = start_thread(integrity);
    if (r < 0) {
        free_integrity(integrity);
        return r;
    }
    *ret_integrity = integrity;
    return 0;
}

int integrity_reconfigure(struct integrity *integrity, const struct integrity_options *options)
{
    struct integrity_settings *settings;
    int r = settings_new(options, &settings);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&integrity->lock);
    struct integrity_settings *before = integrity->settings;
    integrity->settings = settings;
    integrity->check_all =
        settings->enabled &&
        (integrity->check_all || !before->enabled ||
         !text_equal(integrity_rules_text(before->rules), integrity_rules_text(settings->rules)));
    (void)pthread_cond_signal(&integrity->changed);
    (void)pthread_mutex_unlock(&integrity->lock);
    (void)integrity_settings_unref(before);
    return 0;
}

struct integrity *integrity_stop(struct integrity *integrity)
{
    if (integrity == NULL)
        return NULL;
    (void)pthread_mutex_lock(&integrity->lock);
    integrity->stopping = true;
    (void)pthread_cond_signal(&integrity->changed);
    (void)pthread_mutex_unlock(&integrity->lock);
    (void)pthread_join(integrity->thread, NULL);
    free_integrity(integrity);
    return NULL;
}
