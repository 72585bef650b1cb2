/* Owns: the threads, the rules in force, maintenance as it is ordered. Must not own: decisions
 * (judge.c), the walk (walker.c). The first policy that switches it on opens the inventory and
 * starts the threads; they stay until the agent ends. */
#include "agent/application_control/application_control_private.h"

#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define NS_PER_MINUTE (60 * NS_PER_SECOND)
#define TICK_NS       (10 * NS_PER_MS) /* a file's times lag behind the clock by a tick */

/* ---- rules ---- */

static void free_rules(struct application_rules *rules)
{
    for (size_t i = 0; rules->paths != NULL && rules->paths[i] != NULL; i++)
        free(rules->paths[i]);
    free(rules->paths);
    (void)exclusions_free(rules->exclusions);
    digest_table_done(&rules->allow);
    digest_table_done(&rules->block);
    free(rules);
}

static int copy_paths(struct application_rules *rules, const char *const *paths)
{
    size_t count = 0;

    while (paths[count] != NULL)
        count++;
    rules->paths = calloc(count + 1, sizeof *rules->paths);
    for (size_t i = 0; rules->paths != NULL && i < count; i++)
        if ((rules->paths[i] = strdup(paths[i])) == NULL)
            return -ENOMEM;
    return rules->paths != NULL ? 0 : -ENOMEM;
}

static int fill_table(struct digest_table *table, const char *const *hashes)
{
    int r = 0;

    for (size_t i = 0; r == 0 && hashes[i] != NULL; i++)
        r = digest_table_add_hex(table, hashes[i]);
    return r;
}

static int rules_new(const struct application_control_options *options,
                     struct application_rules **ret_rules)
{
    const struct exclusion_lists lists = {.directories = options->exclude_directories,
                                          .own_directories = options->own_directories};
    struct application_rules *rules = calloc(1, sizeof *rules);

    if (rules == NULL)
        return -ENOMEM;
    rules->references = 1;
    rules->mode = options->mode;
    rules->trust_packages = options->trust_packages;
    rules->deny_late = options->deny_late;
    rules->most_bytes = options->most_bytes;
    int r = copy_paths(rules, options->paths);
    if (r == 0)
        r = exclusions_new(&lists, &rules->exclusions);
    if (r == 0)
        r = fill_table(&rules->allow, options->allow_hashes);
    if (r == 0)
        r = fill_table(&rules->block, options->block_hashes);
    if (r < 0) {
        free_rules(rules);
        return r;
    }
    *ret_rules = rules;
    return 0;
}

struct application_rules *application_rules_take(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    struct application_rules *rules = control->rules;
    rules->references++;
    (void)pthread_mutex_unlock(&control->lock);
    return rules;
}

void application_rules_drop(struct application_control *control, struct application_rules *rules)
{
    (void)pthread_mutex_lock(&control->lock);
    bool last = --rules->references == 0;
    (void)pthread_mutex_unlock(&control->lock);
    if (last)
        free_rules(rules);
}

/* ---- what others of this folder ask ---- */

bool application_control_is_learning(struct application_control *control)
{
    return control->rules->mode == APPLICATION_LEARN ||
           inventory_marks(control->inventory).complete_ns == 0;
}

bool application_control_in_maintenance(struct application_control *control)
{
    return inventory_marks(control->inventory).maintenance_from_ns != 0;
}

bool application_control_lets_all_run(struct application_control *control,
                                      enum inventory_origin *ret_origin)
{
    (void)pthread_mutex_lock(&control->lock);
    bool learning = application_control_is_learning(control);
    (void)pthread_mutex_unlock(&control->lock);
    struct inventory_marks marks = inventory_marks(control->inventory);
    *ret_origin = learning ? INVENTORY_RUN : INVENTORY_MAINTENANCE;
    return learning || clock_realtime_ns() < marks.maintenance_until_ns;
}

bool application_control_came_in_maintenance(const struct inventory_marks *marks,
                                             const struct stat *status)
{
    uint64_t changed_ns = file_identity_of(status).ctime_ns;
    bool in_gap = changed_ns > marks->gap_from_ns && changed_ns + TICK_NS < marks->gap_until_ns;

    return marks->maintenance_from_ns != 0 && changed_ns + TICK_NS >= marks->maintenance_from_ns &&
           changed_ns <= marks->maintenance_until_ns && !in_gap;
}

void application_control_record(struct application_control *control, const char *kind,
                                enum event_severity severity, const char *subject,
                                const char *detail)
{
    const struct event_draft draft = {
        .module = "application_control",
        .kind = kind,
        .severity = severity,
        .subject = subject,
        .detail = detail,
    };

    int r = store_append(control->store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "subject", subject, "error", log_error_text(r),
                  NULL);
}

bool application_control_add(struct application_control *control,
                             const struct inventory_program *program)
{
    int r = inventory_add(control->inventory, program);

    (void)pthread_mutex_lock(&control->lock);
    control->added += r == 1 && program->origin == INVENTORY_MAINTENANCE;
    (void)pthread_mutex_unlock(&control->lock);
    return r >= 0;
}

static uint64_t generation_of(void *user)
{
    struct application_control *control = user;

    (void)pthread_mutex_lock(&control->lock);
    uint64_t generation = control->generation;
    (void)pthread_mutex_unlock(&control->lock);
    return generation;
}

/* ---- the start, when it is first wanted ---- */

static void tell_by(struct application_control *control, const char *kind,
                    enum event_severity severity, const char *key, const char *text)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(1024);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, key, text);
    json_write_object_end(&json);
    application_control_record(control, kind, severity, "", buffer_text(&detail));
}

static int open_inventory(struct application_control *control)
{
    struct inventory *inventory = NULL;
    char notice[512];
    int r = inventory_open(control->inventory_path, control->key_path, &inventory, notice);

    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&control->lock);
    control->inventory = inventory;
    (void)pthread_mutex_unlock(&control->lock);
    if (notice[0] == '\0' && inventory_is_tampered(control->inventory))
        (void)text_copy(notice, sizeof notice, "programs were added or removed by somebody else");
    if (notice[0] != '\0')
        tell_by(control, "application_inventory_tampered", EVENT_HIGH, "problem", notice);
    return 0;
}

static int start_threads(struct application_control *control)
{
    const struct {
        pthread_t *thread;
        void *(*run)(void *user);
    } wanted[] = {
        {&control->judge, application_judge_run},
        {&control->keeper, application_keeper_run},
        {&control->walker, application_walker_run},
    };
    sigset_t all, before;
    size_t started = 0;
    int r = 0;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; started < ARRAY_LENGTH(wanted) && r == 0; started += r == 0)
        r = -pthread_create(wanted[started].thread, NULL, wanted[started].run, control);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    control->has_threads = r == 0;
    if (r == 0)
        return 0;
    (void)pthread_mutex_lock(&control->lock);
    control->stopping = true;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    while (started-- > 0)
        (void)pthread_join(*wanted[started].thread, NULL);
    control->stopping = false;
    return r;
}

/* With the mode on. */
static int engage(struct application_control *control)
{
    if (control->inventory == NULL) {
        int r = open_inventory(control);
        if (r < 0)
            return r;
    }
    return control->has_threads ? 0 : start_threads(control);
}

static struct prevention_options guard_options(const struct application_control *control,
                                               const struct application_control_options *from,
                                               bool enabled)
{
    static const char *const none[] = {NULL};

    return (struct prevention_options){
        .enabled = enabled,
        .exec_only = true,
        .deny_late = from->deny_late,
        .deny_crowds = from->mode == APPLICATION_BLOCK,
        .deadline_ns = from->deadline_ns,
        .guard_program = control->guard_program,
        .paths = from->paths,
        .exclude_directories = from->exclude_directories,
        .exclude_files = none,
        .exclude_extensions = none,
        .own_directories = from->own_directories,
    };
}

static struct open_judge judge_of(struct application_control *control)
{
    return (struct open_judge){
        .module = "application_control",
        .started_kind = "application_control_started",
        .degraded_kind = "application_control_degraded",
        .ask = application_judge_ask,
        .generation = generation_of,
        .user = control,
    };
}

static int use_guard(struct application_control *control,
                     const struct application_control_options *options, bool enabled)
{
    const struct prevention_options guard = guard_options(control, options, enabled);
    const struct prevention_parts parts = {.store = control->store, .judge = &control->open_judge};

    if (control->guard != NULL)
        return prevention_reconfigure(control->guard, &guard);
    return enabled ? prevention_start(&guard, &parts, &control->guard) : 0;
}

static void put_rules(struct application_control *control, struct application_rules *rules)
{
    (void)pthread_mutex_lock(&control->lock);
    struct application_rules *before = control->rules;
    control->rules = rules;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    if (before != NULL)
        application_rules_drop(control, before);
}

/* Whoever switches it off may do so because of the walk. The keeper wants it again. */
static void stop_walk(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    control->walk_wanted = control->maintenance_ends = false;
    control->walk_stops = true;
    (void)pthread_mutex_unlock(&control->lock);
}

int application_control_reconfigure(struct application_control *control,
                                    const struct application_control_options *options)
{
    struct application_rules *rules;
    int r = rules_new(options, &rules);

    if (r < 0)
        return r;
    bool on = options->mode != APPLICATION_OFF;
    put_rules(control, rules);
    if (!on)
        stop_walk(control);
    int problem = on ? engage(control) : 0;
    if (problem < 0)
        log_error("application_control_not_started", "error", log_error_text(problem), NULL);
    (void)pthread_mutex_lock(&control->lock);
    control->start_problem = problem;
    (void)pthread_mutex_unlock(&control->lock);
    return use_guard(control, options, on && problem == 0);
}

/* ---- life ---- */

static int copy_texts(struct application_control *control,
                      const struct application_control_options *options)
{
    control->guard_program = strdup(options->guard_program);
    control->inspector_program = strdup(options->inspector_program);
    control->inventory_path = strdup(options->inventory_path);
    control->key_path = strdup(options->key_path);
    return control->guard_program != NULL && control->inspector_program != NULL &&
                   control->inventory_path != NULL && control->key_path != NULL
               ? 0
               : -ENOMEM;
}

int application_control_start(const struct application_control_options *options,
                              struct store *store, struct application_control **ret_control)
{
    struct application_control *control = calloc(1, sizeof *control);
    pthread_condattr_t monotonic;

    if (control == NULL)
        return -ENOMEM;
    control->store = store;
    control->open_judge = judge_of(control);
    (void)pthread_mutex_init(&control->lock, NULL);
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&control->changed, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    int r = copy_texts(control, options);
    if (r == 0)
        r = application_control_reconfigure(control, options);
    if (r < 0) {
        (void)application_control_stop(control);
        return r;
    }
    *ret_control = control;
    return 0;
}

static void stop_threads(struct application_control *control)
{
    if (!control->has_threads)
        return;
    (void)pthread_mutex_lock(&control->lock);
    control->stopping = true;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    (void)pthread_join(control->judge, NULL);
    (void)pthread_join(control->walker, NULL);
    (void)pthread_join(control->keeper, NULL);
}

/* The guard has gone: nobody waits for these. */
static void answer_all(struct application_queue *queue)
{
    while (queue->first != NULL) {
        struct application_ask *ask = queue->first;
        queue->first = ask->next;
        application_answers_give(ask, true, false);
    }
}

/* The guard's side waits for the answers of its asks in no way; but it is freed after the last. */
struct application_control *application_control_stop(struct application_control *control)
{
    if (control == NULL)
        return NULL;
    control->guard = prevention_stop(control->guard);
    stop_threads(control);
    answer_all(&control->asked);
    answer_all(&control->packaged);
    (void)inventory_close(control->inventory);
    if (control->rules != NULL)
        application_rules_drop(control, control->rules);
    free(control->guard_program);
    free(control->inspector_program);
    free(control->inventory_path);
    free(control->key_path);
    (void)pthread_cond_destroy(&control->changed);
    (void)pthread_mutex_destroy(&control->lock);
    free(control);
    return NULL;
}

/* ---- status ---- */

static enum application_state state_of(struct application_control *control,
                                       const struct prevention_status *guard)
{
    if (control->rules->mode == APPLICATION_OFF)
        return APPLICATION_STATE_OFF;
    if (control->inventory == NULL || control->start_problem < 0 ||
        guard->state == PREVENTION_DEGRADED)
        return APPLICATION_STATE_DEGRADED;
    if (application_control_is_learning(control))
        return APPLICATION_STATE_LEARNING;
    if (application_control_in_maintenance(control))
        return APPLICATION_STATE_MAINTENANCE;
    return guard->state == PREVENTION_WORKING ? APPLICATION_STATE_WORKING
                                              : APPLICATION_STATE_LEARNING;
}

/* The one that there is, or the gravest. */
static void fill_problem(const struct application_control *control,
                         struct application_control_status *status)
{
    char *problem = status->problem;
    const size_t size = sizeof status->problem;

    if (status->state == APPLICATION_STATE_OFF || status->guard.state == PREVENTION_DEGRADED)
        (void)text_copy(problem, size, status->guard.problem);
    else if (control->start_problem < 0)
        (void)text_format(problem, size,
                          "it could not be started: %s; yaguractl reload tries again",
                          log_error_text(control->start_problem));
    else if (control->write_problem < 0)
        (void)text_format(problem, size, "the inventory of programs cannot be written: %s",
                          log_error_text(control->write_problem));
    else if (control->walk_problem < 0 && control->walk_place[0] != '\0')
        (void)text_format(problem, size, "programs could not be learned at %s: %s",
                          control->walk_place, log_error_text(control->walk_problem));
    else if (control->walk_problem < 0)
        (void)text_format(problem, size, "programs could not be learned: %s",
                          log_error_text(control->walk_problem));
    else if (control->inventory != NULL && inventory_is_full(control->inventory))
        (void)text_copy(problem, size,
                        "as many programs are known as there can be: leave folders with many of "
                        "them out with application_control.exclude_directories, then yaguractl "
                        "applications learn");
    else
        (void)text_copy(problem, size, status->guard.problem);
}

void application_control_status(struct application_control *control,
                                struct application_control_status *ret_status)
{
    struct application_control_status status = {.state = APPLICATION_STATE_OFF};

    if (control->guard != NULL)
        prevention_status(control->guard, &status.guard);
    (void)pthread_mutex_lock(&control->lock);
    status.mode = control->rules->mode;
    status.state = state_of(control, &status.guard);
    status.known = control->known;
    status.unknown = control->unknown;
    status.blocked = control->blocked;
    status.trusted = control->trusted;
    status.walking = control->walking || control->walk_wanted;
    status.looked_at = control->looked_at;
    fill_problem(control, &status);
    struct inventory *inventory = control->inventory;
    (void)pthread_mutex_unlock(&control->lock);
    if (inventory != NULL) {
        struct inventory_marks marks = inventory_marks(inventory);
        status.programs = inventory_count(inventory);
        status.tampered = inventory_is_tampered(inventory);
        status.complete_ns = marks.complete_ns;
        status.maintenance_until_ns = marks.maintenance_until_ns;
    }
    *ret_status = status;
}

/* ---- orders ---- */

static bool is_off(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    bool off = control->rules->mode == APPLICATION_OFF || control->inventory == NULL;
    (void)pthread_mutex_unlock(&control->lock);
    return off;
}

/* Put on again before what came in it has been found: nobody allowed what comes in between. There
 * is one gap; another one takes in what came since the one before and has not been found either. */
static void leave_gap(struct inventory_marks *marks, uint64_t now)
{
    if (marks->gap_until_ns == 0)
        marks->gap_from_ns = marks->maintenance_until_ns;
    marks->gap_until_ns = now;
}

static void set_maintenance(struct application_control *control, uint64_t minutes)
{
    struct inventory_marks marks = inventory_marks(control->inventory);
    uint64_t now = clock_realtime_ns();

    if (minutes > 0 && marks.maintenance_from_ns == 0)
        marks.maintenance_from_ns = now;
    else if (minutes > 0 && marks.maintenance_until_ns < now)
        leave_gap(&marks, now);
    if (minutes > 0)
        marks.maintenance_until_ns = now + minutes * NS_PER_MINUTE;
    else /* its time may be over already */
        marks.maintenance_until_ns = MIN(marks.maintenance_until_ns, now);
    inventory_set_marks(control->inventory, &marks);
}

int application_control_maintain(struct application_control *control, uint64_t minutes,
                                 const char *by)
{
    char text[128];

    if (minutes > APPLICATION_MAINTENANCE_MOST_MINUTES)
        return -ERANGE;
    if (is_off(control))
        return -EOPNOTSUPP;
    (void)pthread_mutex_lock(&control->lock);
    bool learning = application_control_is_learning(control);
    bool starts = minutes > 0 && !application_control_in_maintenance(control);
    if (!learning)
        set_maintenance(control, minutes);
    if (starts)
        control->added = 0;
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    if (learning)
        return -EALREADY;
    int r = inventory_commit(control->inventory);
    (void)text_format(text, sizeof text, "%s, %llu minutes", by, (unsigned long long)minutes);
    if (minutes > 0)
        tell_by(control, "maintenance_started", EVENT_MEDIUM, "by", text);
    return r;
}

/* A walk that was wanted before would tell what it found as all there is. */
static void begin_clearing(struct application_control *control)
{
    (void)pthread_mutex_lock(&control->lock);
    while (control->clearing && !control->stopping)
        application_control_wait(control, UINT64_MAX);
    control->clearing = control->walk_stops = true;
    while (control->walking && !control->stopping)
        application_control_wait(control, UINT64_MAX);
    control->walk_wanted = control->maintenance_ends = false;
    (void)pthread_mutex_unlock(&control->lock);
}

int application_control_learn(struct application_control *control, const char *by)
{
    if (is_off(control))
        return -EOPNOTSUPP;
    begin_clearing(control);
    int r = inventory_clear(control->inventory);
    (void)pthread_mutex_lock(&control->lock);
    control->clearing = false;
    if (r == 0) {
        control->walk_wanted = control->walk_everything = true;
        control->walk_problem = 0;
        control->generation++;
    }
    (void)pthread_cond_broadcast(&control->changed);
    (void)pthread_mutex_unlock(&control->lock);
    if (r == 0)
        tell_by(control, "application_learning_started", EVENT_MEDIUM, "by", by);
    return r;
}
