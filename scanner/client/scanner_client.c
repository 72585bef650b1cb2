/* Scanning by yagura-scanner, whatever happens to it.
 *
 * Owns: which engine works and which one loads, jobs between engines, retries, status. Must not
 * own: processes and sockets (scanner_host.c), signature files (database_*.c), the meaning of a
 * verdict. Hands off: each job's result, exactly once, to the callback.
 *
 * Read in this order: struct scanner_client, the life of a job, the life of an engine. */
#include "scanner/client/scanner_client.h"

#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/database_files.h"
#include "scanner/client/database_watch.h"
#include "scanner/client/memory_room.h"
#include "scanner/client/scanner_host.h"
#include "scanner/client/scanner_options.h"
#include "scanner/client/temporary_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_NS           (50 * NS_PER_MS)
#define FIRST_BACK_OFF_NS NS_PER_SECOND
#define LAST_BACK_OFF_NS  (60 * NS_PER_SECOND)
#define MOST_RETIRED      4
#define MOST_FREE_JOBS    256
#define CRASHES           3 /* within CRASH_SPAN_NS: a fresh loader, with new addresses */
#define CRASH_SPAN_NS     (60 * NS_PER_SECOND)
#define MOST_ATTEMPTS     2
#define DEFAULT_TIME_NS   (120 * NS_PER_SECOND)

struct scanner_client {
    struct event_loop *loop;
    struct scanner_options options; /* a deep copy */
    struct scanner_callbacks callbacks;
    void *owner;

    struct scanner_host *current;               /* loaded; gets the files. NULL while none is */
    struct scanner_host *next;                  /* loads */
    struct scanner_host *retired[MOST_RETIRED]; /* finish what they hold; no new files */
    bool draining;          /* sequential: the next one loads when current has finished */
    bool load_again;        /* something changed while next was loading */
    bool no_signatures;     /* the last load found none to use, and there is no older engine */
    bool prefer_sequential; /* the last overlap was killed, likely for memory */
    bool resting;           /* there was an engine, and will be one for the next file */
    bool stopping;
    bool told_priority;
    unsigned next_crashes;

    struct scanner_job *waiting; /* first of those that no worker has */
    struct scanner_job **waiting_end;
    size_t waiting_count;
    struct scanner_job *free_jobs;
    size_t free_count;
    uint64_t last_job;

    struct event_timer *tick, *retry, *sweep, *load_limit;
    bool ticking;
    uint64_t back_off_ns;
    uint64_t crash_times[CRASHES];
    uint64_t crash_count;
    uint64_t fingerprint; /* of the files that the last load began with */
    uint64_t in_use;      /* of those that the engine in use was made of */
    struct database_watch *watch;
    struct scanner_status status;
    struct scanner_configuration configuration;
};

static void begin_load(struct scanner_client *client);
static void dispatch_waiting(struct scanner_client *client);

/* ---- status ---------------------------------------------------------------------------- */

static enum scanner_state state_of(const struct scanner_client *client)
{
    if (client->current != NULL && !client->draining)
        return client->next != NULL ? SCANNER_RELOADING : SCANNER_READY;
    if (client->next != NULL || client->draining)
        return SCANNER_LOADING;
    if (client->resting)
        return SCANNER_RESTING;
    if (client->no_signatures)
        return SCANNER_NO_SIGNATURES;
    /* Before the first turn nothing has been tried yet. */
    return client->status.problem[0] != '\0' ? SCANNER_FAILED : SCANNER_LOADING;
}

static void tell_change(struct scanner_client *client)
{
    if (!client->stopping)
        client->callbacks.changed(client->owner);
}

static void set_problem(struct scanner_client *client, const char *format, ...) PRINTF_LIKE(2, 3);
static void set_problem(struct scanner_client *client, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(client->status.problem, sizeof(client->status.problem), format,
                           arguments);
    va_end(arguments);
}

static void tell_room(struct scanner_client *client)
{
    if (!client->stopping && scanner_client_room(client) > 0)
        client->callbacks.ready(client->owner);
}

static void start_ticking(struct scanner_client *client)
{
    if (client->ticking)
        return;
    client->ticking = true;
    event_timer_start(client->tick, TICK_NS, TICK_NS);
}

/* ---- the life of a job ----------------------------------------------------------------- */

static struct scanner_job *take_free_job(struct scanner_client *client)
{
    struct scanner_job *job = client->free_jobs;
    if (job == NULL)
        return malloc(sizeof(*job));
    client->free_jobs = job->next;
    client->free_count--;
    return job;
}

static void put_free_job(struct scanner_client *client, struct scanner_job *job)
{
    if (client->free_count >= MOST_FREE_JOBS) {
        free(job);
        return;
    }
    job->next = client->free_jobs;
    client->free_jobs = job;
    client->free_count++;
}

static void finish_job(struct scanner_client *client, struct scanner_job *job,
                       const struct scan_result *result)
{
    void *user = job->user;
    (void)close(job->fd);
    put_free_job(client, job);
    client->callbacks.scanned(client->owner, user, result);
}

static void fail_job(struct scanner_client *client, struct scanner_job *job,
                     enum scan_reason reason)
{
    struct scan_result result = {.verdict = SCAN_ERROR,
                                 .reason = reason,
                                 .generation = client->status.generation};
    finish_job(client, job, &result);
}

static void push_waiting(struct scanner_client *client, struct scanner_job *job)
{
    job->next = NULL;
    *client->waiting_end = job;
    client->waiting_end = &job->next;
    client->waiting_count++;
}

static struct scanner_job *remove_waiting(struct scanner_client *client, struct scanner_job **link)
{
    struct scanner_job *job = *link;
    *link = job->next;
    if (client->waiting_end == &job->next)
        client->waiting_end = link;
    client->waiting_count--;
    return job;
}

static void fail_waiting(struct scanner_client *client, enum scan_reason reason)
{
    while (client->waiting != NULL)
        fail_job(client, remove_waiting(client, &client->waiting), reason);
}

static void dispatch_waiting(struct scanner_client *client)
{
    if (client->current == NULL || client->draining)
        return;
    for (struct scanner_job **link = &client->waiting; *link != NULL;) {
        struct scanner_job *job = *link;
        if (scanner_host_submit(client->current, job) == 0)
            (void)remove_waiting(client, link);
        else
            link = &job->next;
    }
}

static void on_scanned(void *owner, struct scanner_job *job, const struct scanner_verdict *verdict)
{
    struct scanner_client *client = owner;
    client->status.scanned++;
    struct scan_result result;
    result.verdict = (enum scan_verdict)verdict->verdict;
    result.reason = (enum scan_reason)verdict->reason;
    result.generation = client->status.generation;
    result.scan_ns = verdict->scan_ns;
    memcpy(result.signature, verdict->signature, verdict->signature_length + 1);
    if (client->waiting != NULL)
        dispatch_waiting(client);
    finish_job(client, job, &result);
    tell_room(client);
}

static void on_returned(void *owner, struct scanner_job *job)
{
    struct scanner_client *client = owner;
    push_waiting(client, job);
    event_timer_start(client->sweep, 0, 0); /* not now: the host is in the middle of something */
}

static void on_died(void *owner, struct scanner_job *job, bool timed_out)
{
    struct scanner_client *client = owner;
    if (++job->attempts >= MOST_ATTEMPTS)
        fail_job(client, job, timed_out ? SCAN_REASON_TIME : SCAN_REASON_CRASHED);
    else
        on_returned(client, job);
}

/* Not now: the caller is in the middle of something, and told of each change. */
static int wake(struct scanner_client *client)
{
    event_timer_start(client->retry, 0, 0);
    return -EAGAIN;
}

static int submit(struct scanner_client *client, int fd, void *user, bool urgent)
{
    if (client->resting)
        return wake(client);
    struct scanner_job *job = take_free_job(client);
    if (job == NULL)
        return -ENOMEM;
    *job =
        (struct scanner_job){.user = user, .fd = fcntl(fd, F_DUPFD_CLOEXEC, 3), .urgent = urgent};
    if (job->fd < 0) {
        int result = -errno;
        put_free_job(client, job);
        return result;
    }
    job->id = ++client->last_job;
    int result = scanner_host_submit(client->current, job);
    if (result < 0) {
        (void)close(job->fd);
        put_free_job(client, job);
        return result;
    }
    start_ticking(client);
    return 0;
}

int scanner_client_submit(struct scanner_client *client, int fd, void *user)
{
    return scanner_client_room(client) == 0 ? -EAGAIN : submit(client, fd, user, false);
}

int scanner_client_submit_urgent(struct scanner_client *client, int fd, void *user)
{
    return scanner_client_has_urgent_room(client) ? submit(client, fd, user, true) : -EAGAIN;
}

bool scanner_client_has_urgent_room(const struct scanner_client *client)
{
    if (client->resting)
        return !client->stopping;
    return client->current != NULL && !client->draining && !client->stopping &&
           client->waiting_count < LIMIT_SCANNER_WAITING &&
           scanner_host_has_urgent_room(client->current);
}

size_t scanner_client_room(const struct scanner_client *client)
{
    if (client->resting && !client->stopping)
        return 1;
    if (client->current == NULL || client->draining || client->stopping ||
        client->waiting_count >= LIMIT_SCANNER_WAITING)
        return 0;
    return scanner_host_room(client->current);
}

/* ---- the life of an engine ------------------------------------------------------------- */

/* Stopped by the sweep: never from within one of its own callbacks. */
static void retire(struct scanner_client *client, struct scanner_host *host)
{
    start_ticking(client);
    for (size_t i = 0; i < MOST_RETIRED; i++) {
        if (client->retired[i] == NULL) {
            client->retired[i] = host;
            event_timer_start(client->sweep, 0, 0);
            return;
        }
    }
    /* Reloads faster than files finish: the oldest gives its files back. The caller is a callback
     * of another host. */
    struct scanner_host *oldest = client->retired[0];
    memmove(&client->retired[0], &client->retired[1], (MOST_RETIRED - 1) * sizeof(oldest));
    client->retired[MOST_RETIRED - 1] = host;
    (void)scanner_host_stop(oldest);
    event_timer_start(client->sweep, 0, 0);
}

static void try_later(struct scanner_client *client)
{
    event_timer_start(client->retry, client->back_off_ns, 0);
    client->back_off_ns = MIN(client->back_off_ns * 2, LAST_BACK_OFF_NS);
}

static void load_ended(struct scanner_client *client)
{
    client->next = NULL;
    client->next_crashes = 0;
    event_timer_stop(client->load_limit);
    if (TAKE_FLAG(client->load_again))
        begin_load(client);
}

static void promote(struct scanner_client *client)
{
    const struct scanner_loaded *facts = scanner_host_facts(client->next);
    struct scanner_status *status = &client->status;
    if (status->generation != 0)
        status->reloads++;
    if (client->current != NULL)
        retire(client, client->current);
    client->current = client->next;
    client->in_use = client->fingerprint;
    client->no_signatures = false;
    client->prefer_sequential = false;
    client->back_off_ns = FIRST_BACK_OFF_NS;
    client->crash_count = 0;
    status->generation = facts->generation;
    status->signatures = facts->signatures;
    status->database_time_ns = facts->database_time_ns;
    (void)text_copy(status->engine_version, sizeof(status->engine_version), facts->engine_version);
    set_problem(client, "%s", facts->problem);
    load_ended(client);
    dispatch_waiting(client);
    tell_change(client);
}

static void on_loaded(void *owner, struct scanner_host *host)
{
    (void)owner;
    (void)host; /* its first ready worker promotes it */
}

static void on_worker_ready(void *owner, struct scanner_host *host)
{
    struct scanner_client *client = owner;
    if (host == client->next && scanner_host_workers(host) > 0)
        promote(client);
    if (host != client->current)
        return;
    dispatch_waiting(client);
    tell_room(client);
}

static void on_refused(void *owner, struct scanner_host *host,
                       const struct scanner_refused *refused)
{
    struct scanner_client *client = owner;
    if (host != client->next)
        return;
    retire(client, host);
    bool kept = client->current != NULL;
    set_problem(client, kept ? "new signatures are not used: %s" : "%s", refused->problem);
    if (refused->refusal == SCANNER_REFUSAL_INTERNAL)
        try_later(client);
    else
        client->no_signatures = !kept;
    load_ended(client);
    event_timer_start(client->sweep, 0, 0);
    tell_change(client);
}

static void describe_end(struct scanner_client *client, int wait_status)
{
    if (WIFSIGNALED(wait_status))
        set_problem(client, "the scanner's loader was killed by signal %d%s", WTERMSIG(wait_status),
                    WTERMSIG(wait_status) == SIGKILL ? " (out of memory?)" : "");
    else
        set_problem(client, "the scanner's loader ended with status %d", WEXITSTATUS(wait_status));
}

static void on_ended(void *owner, struct scanner_host *host, int wait_status)
{
    struct scanner_client *client = owner;
    if (host == client->next) {
        client->prefer_sequential = client->current != NULL;
        describe_end(client, wait_status);
        retire(client, host);
        client->load_again = false;
        load_ended(client);
        try_later(client);
        tell_change(client);
    } else if (host == client->current) {
        describe_end(client, wait_status);
        client->current = NULL;
        client->draining = false;
        retire(client, host);
        try_later(client);
        tell_change(client);
    } else {
        event_timer_start(client->sweep, 0, 0);
    }
}

/* A loader that hangs would hold off all signatures to come, and the memory of a second engine. */
static void on_load_limit(void *user)
{
    struct scanner_client *client = user;
    if (client->next == NULL)
        return;
    set_problem(client, "the signatures were not loaded within %d minutes: the loader was ended",
                LIMIT_SCANNER_LOAD_SECONDS / 60);
    retire(client, client->next);
    client->load_again = false;
    load_ended(client);
    try_later(client);
    tell_change(client);
}

/* Three within a minute: someone may be guessing addresses, which all workers of a loader share. */
static bool crash_storm(struct scanner_client *client)
{
    uint64_t now_ns = clock_monotonic_ns();
    client->crash_times[client->crash_count++ % CRASHES] = now_ns;
    if (client->crash_count < CRASHES)
        return false;
    uint64_t first_ns = client->crash_times[client->crash_count % CRASHES];
    return now_ns - first_ns <= CRASH_SPAN_NS;
}

static void on_crashed(void *owner, struct scanner_host *host, const char *how)
{
    struct scanner_client *client = owner;
    client->status.crashed++;
    if (host == client->next) {
        if (++client->next_crashes < CRASHES)
            return;
        set_problem(client, "workers of the new engine die at once: %s", how);
        retire(client, host);
        load_ended(client);
        try_later(client);
    } else if (host == client->current) {
        set_problem(client, "%s; it was replaced and its file is tried again", how);
        if (crash_storm(client)) {
            client->crash_count = 0;
            begin_load(client);
        }
    }
    tell_change(client);
}

static void on_timed_out(void *owner)
{
    struct scanner_client *client = owner;
    client->status.timed_out++;
    tell_change(client);
}

static void on_recycled(void *owner)
{
    struct scanner_client *client = owner;
    client->status.recycled++;
}

static const struct scanner_host_callbacks host_callbacks = {
    .loaded = on_loaded,
    .refused = on_refused,
    .ended = on_ended,
    .worker_ready = on_worker_ready,
    .scanned = on_scanned,
    .returned = on_returned,
    .died = on_died,
    .crashed = on_crashed,
    .timed_out = on_timed_out,
    .recycled = on_recycled,
};

static uint64_t current_fingerprint(const struct scanner_client *client)
{
    struct database_files files;
    if (database_files_list(client->options.databases,
                            scanner_options_database_count(&client->options), &files, NULL) < 0)
        return 0;
    uint64_t fingerprint = database_files_fingerprint(&files);
    database_files_done(&files);
    return fingerprint;
}

static uint64_t kill_after_ns(const struct scanner_limits *limits)
{
    uint64_t limit_ns = limits->max_time_ns > 0 ? limits->max_time_ns : DEFAULT_TIME_NS;
    return limit_ns + limit_ns / 4 + NS_PER_SECOND; /* libclamav's own limit comes first */
}

static void fill_configuration(struct scanner_client *client, const char *directory)
{
    const struct scanner_options *options = &client->options;
    struct scanner_configuration *configuration = &client->configuration;
    configuration->user = options->user != NULL ? options->user : "";
    configuration->directory = directory;
    configuration->database_count = scanner_options_database_count(options);
    for (size_t i = 0; i < configuration->database_count; i++)
        configuration->databases[i] = options->databases[i];
    configuration->temporary_bytes = options->temporary_bytes;
    configuration->slots = (uint32_t)(2 * (options->workers + 1) + 2);
    configuration->skip_broken = client->current == NULL;
    configuration->seccomp_debug = options->seccomp_debug;
    configuration->accept_unconfined = options->accept_unconfined;
    configuration->limits = options->limits;
}

static void tell_priority(struct scanner_client *client)
{
    int r = scanner_host_priority_error(client->next);

    if (r < 0 && !client->told_priority)
        log_warning("priority_not_lowered", "who", "yagura-scanner", "error", log_error_text(r),
                    NULL);
    client->told_priority |= r < 0;
}

static int start_host(struct scanner_client *client)
{
    char directory[LIMIT_TEMPORARY_PATH_BYTES];
    int result =
        temporary_directory_make(client->options.temporary_directory, directory, sizeof(directory));
    if (result < 0) {
        set_problem(client, "cannot make a folder in %s: %s", client->options.temporary_directory,
                    strerrordesc_np(-result));
        return result;
    }
    fill_configuration(client, directory);
    struct scanner_host_options options = {.program = client->options.program,
                                           .configuration = &client->configuration,
                                           .directory = directory,
                                           .workers = client->options.workers,
                                           .recycle_files = client->options.recycle_files,
                                           .niceness = client->options.niceness,
                                           .time_limit_ns = kill_after_ns(&client->options.limits)};
    result = scanner_host_start(client->loop, &options, &host_callbacks, client, &client->next);
    if (result < 0)
        set_problem(client, "cannot start %s: %s", client->options.program,
                    strerrordesc_np(-result));
    else
        tell_priority(client);
    return result;
}

static bool overlap_wanted(const struct scanner_client *client)
{
    if (client->current == NULL || client->options.reload == SCANNER_RELOAD_OVERLAP)
        return true;
    if (client->options.reload == SCANNER_RELOAD_SEQUENTIAL || client->prefer_sequential)
        return false;
    return memory_room_for_second(scanner_host_pid(client->current));
}

static void load_now(struct scanner_client *client)
{
    client->resting = false;
    client->next_crashes = 0;
    client->fingerprint = current_fingerprint(client);
    if (start_host(client) < 0)
        try_later(client);
    else
        event_timer_start(client->load_limit, LIMIT_SCANNER_LOAD_SECONDS * NS_PER_SECOND, 0);
    tell_change(client);
}

static void begin_load(struct scanner_client *client)
{
    event_timer_stop(client->retry);
    if (client->stopping)
        return;
    if (client->next != NULL || client->draining) {
        client->load_again = client->next != NULL;
        return;
    }
    if (overlap_wanted(client)) {
        load_now(client);
        return;
    }
    client->draining = true;
    start_ticking(client);
    event_timer_start(client->sweep, 0, 0);
    tell_change(client);
}

static void on_retry(void *user)
{
    begin_load(user);
}

static void on_files_changed(void *owner)
{
    struct scanner_client *client = owner;
    if (current_fingerprint(client) != client->fingerprint)
        begin_load(client);
}

/* Ends retired hosts that hold no more files. Their memory takes its time to go: nobody waits for
 * it. Returns how many are left. */
static size_t sweep_retired(struct scanner_client *client)
{
    size_t left = 0;
    for (size_t i = 0; i < MOST_RETIRED; i++) {
        struct scanner_host *host = client->retired[i];
        if (host == NULL)
            continue;
        if (scanner_host_pid(host) == 0) {
            client->retired[i] = NULL;
            (void)scanner_host_stop(host);
            continue;
        }
        left++;
        if (scanner_host_in_flight(host) == 0 || !scanner_host_is_loaded(host))
            scanner_host_kill(host);
    }
    return left;
}

/* What must not happen inside a host's callback. */
static void on_sweep(void *user)
{
    struct scanner_client *client = user;
    if (client->draining && client->current != NULL && scanner_host_in_flight(client->current) == 0)
        retire(client, TAKE_POINTER(client->current));
    size_t left = sweep_retired(client);
    if (client->draining && client->current == NULL && left == 0) {
        client->draining = false;
        load_now(client);
    }
    dispatch_waiting(client);
    if (state_of(client) == SCANNER_NO_SIGNATURES)
        fail_waiting(client, SCAN_REASON_NO_ENGINE);
    tell_room(client);
}

static bool is_busy(const struct scanner_client *client)
{
    bool busy = client->waiting != NULL || client->draining;
    for (size_t i = 0; i < MOST_RETIRED; i++)
        busy = busy || client->retired[i] != NULL;
    return busy || (client->current != NULL && scanner_host_in_flight(client->current) > 0);
}

static void on_tick(void *user)
{
    struct scanner_client *client = user;
    if (client->current != NULL)
        scanner_host_tick(client->current);
    for (size_t i = 0; i < MOST_RETIRED; i++) {
        if (client->retired[i] != NULL)
            scanner_host_tick(client->retired[i]);
    }
    on_sweep(client);
    if (!is_busy(client)) {
        client->ticking = false;
        event_timer_stop(client->tick);
    }
}

/* ---- the client ------------------------------------------------------------------------ */

int scanner_client_start(struct event_loop *loop, const struct scanner_options *options,
                         const struct scanner_callbacks *callbacks, void *owner,
                         struct scanner_client **ret_client)
{
    struct scanner_client *client = calloc(1, sizeof(*client));
    if (client == NULL)
        return -ENOMEM;
    client->loop = loop;
    client->callbacks = *callbacks;
    client->owner = owner;
    client->waiting_end = &client->waiting;
    client->back_off_ns = FIRST_BACK_OFF_NS;
    int result = scanner_options_copy(options, &client->options);
    if (result == 0)
        result = event_timer_new(loop, on_tick, client, &client->tick);
    if (result == 0)
        result = event_timer_new(loop, on_retry, client, &client->retry);
    if (result == 0)
        result = event_timer_new(loop, on_sweep, client, &client->sweep);
    if (result == 0)
        result = event_timer_new(loop, on_load_limit, client, &client->load_limit);
    if (result == 0)
        result = database_watch_start(loop, client->options.databases,
                                      scanner_options_database_count(&client->options),
                                      on_files_changed, client, &client->watch);
    if (result < 0) {
        (void)scanner_client_stop(client);
        return result;
    }
    temporary_directory_clean(client->options.temporary_directory);
    event_timer_start(client->retry, 0, 0); /* the caller gets its pointer before any callback */
    *ret_client = client;
    return 0;
}

struct scanner_client *scanner_client_stop(struct scanner_client *client)
{
    if (client == NULL)
        return NULL;
    client->stopping = true;
    client->watch = database_watch_free(client->watch);
    client->current = scanner_host_stop(client->current);
    client->next = scanner_host_stop(client->next);
    for (size_t i = 0; i < MOST_RETIRED; i++)
        client->retired[i] = scanner_host_stop(client->retired[i]);
    fail_waiting(client, SCAN_REASON_NO_ENGINE);
    (void)event_timer_free(client->tick);
    (void)event_timer_free(client->retry);
    (void)event_timer_free(client->sweep);
    (void)event_timer_free(client->load_limit);
    while (client->free_jobs != NULL)
        free(take_free_job(client));
    scanner_options_done(&client->options);
    free(client);
    return NULL;
}

int scanner_client_reconfigure(struct scanner_client *client, const struct scanner_options *options)
{
    struct scanner_options copy;
    int result = scanner_options_copy(options, &copy);
    if (result < 0)
        return result;
    struct database_watch *watch;
    result =
        database_watch_start(client->loop, copy.databases, scanner_options_database_count(&copy),
                             on_files_changed, client, &watch);
    if (result < 0) {
        scanner_options_done(&copy);
        return result;
    }
    bool same_engine = scanner_options_same_engine(&client->options, &copy);
    (void)database_watch_free(client->watch);
    scanner_options_done(&client->options);
    client->watch = watch;
    client->options = copy;
    /* What the watch before had not told yet is seen by comparing. */
    if (!same_engine || current_fingerprint(client) != client->fingerprint)
        begin_load(client);
    else if (client->current != NULL)
        scanner_host_adjust(client->current, copy.workers, copy.recycle_files);
    return 0;
}

int scanner_client_rest(struct scanner_client *client)
{
    if (client->current == NULL || client->next != NULL || is_busy(client))
        return -EBUSY;
    if (client->in_use != client->fingerprint)
        return -EBUSY; /* what it was made of is gone */
    scanner_sandbox_describe(scanner_host_sandbox(client->current), client->status.sandbox,
                             sizeof(client->status.sandbox));
    retire(client, TAKE_POINTER(client->current));
    client->resting = true;
    tell_change(client);
    return 0;
}

int scanner_client_reload(struct scanner_client *client)
{
    begin_load(client);
    return 0;
}

void scanner_client_status(const struct scanner_client *client, struct scanner_status *ret_status)
{
    *ret_status = client->status;
    ret_status->state = state_of(client);
    if (client->current == NULL)
        return;
    ret_status->loader_pid = scanner_host_pid(client->current);
    ret_status->workers = scanner_host_workers(client->current);
    ret_status->in_flight = scanner_host_in_flight(client->current);
    for (size_t i = 0; i < MOST_RETIRED; i++) {
        if (client->retired[i] != NULL)
            ret_status->in_flight += scanner_host_in_flight(client->retired[i]);
    }
    scanner_sandbox_describe(scanner_host_sandbox(client->current), ret_status->sandbox,
                             sizeof(ret_status->sandbox));
}
