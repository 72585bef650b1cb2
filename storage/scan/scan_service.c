/* The scanner's thread. Owns: the event loop, the client, and scans on their way. Hands off: a
 * verdict to whoever waits for it; nobody waits for a scan that was given up, and then its last
 * reference is ours. */
#include "storage/scan/scan_service.h"

#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/scan/scanner_metric.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

struct scan {
    struct scan_service *service;
    int fd; /* -1 once the client has its own */
    unsigned references;
    bool done, given_up;
    struct scan_result result;
    pthread_cond_t changed;
    struct scan *next;
};

struct scan_service {
    const struct storage_settings *settings;
    struct signature_mirror *mirror; /* NULL = none */
    struct event_loop *loop;
    struct scanner_client *client;
    struct event_timer *age_timer;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct scan *first, **last; /* not yet handed to the client */
    struct scanner_status status;
    bool abandoned, started;
    enum scanner_state told;
};

/* ---- scans ---- */

/* With the lock. */
static void drop(struct scan *scan)
{
    if (--scan->references > 0)
        return;
    if (scan->fd >= 0)
        (void)close(scan->fd);
    (void)pthread_cond_destroy(&scan->changed);
    free(scan);
}

static struct scan *take_first(struct scan_service *service)
{
    struct scan *scan = service->first;

    if (scan != NULL) {
        service->first = scan->next;
        if (service->first == NULL)
            service->last = &service->first;
    }
    return scan;
}

static void finish(struct scan *scan, const struct scan_result *result)
{
    scan->result = *result;
    scan->done = true;
    (void)pthread_cond_signal(&scan->changed);
    drop(scan);
}

/* In the loop's thread, with the lock. The client never calls back from within a submission. */
static void feed(struct scan_service *service)
{
    while (service->first != NULL && service->client != NULL) {
        struct scan *scan = service->first;
        int r =
            scan->given_up ? -ECANCELED : scanner_client_submit(service->client, scan->fd, scan);
        if (r == -EAGAIN)
            return;
        (void)take_first(service);
        if (r < 0) {
            finish(scan,
                   &(struct scan_result){.verdict = SCAN_ERROR, .reason = SCAN_REASON_INTERNAL});
        } else {
            (void)close(scan->fd);
            scan->fd = -1;
        }
    }
}

static void on_scanned(void *owner, void *job, const struct scan_result *result)
{
    struct scan_service *service = owner;

    (void)pthread_mutex_lock(&service->lock);
    finish(job, result);
    (void)pthread_mutex_unlock(&service->lock);
}

static void on_ready(void *owner)
{
    struct scan_service *service = owner;

    (void)pthread_mutex_lock(&service->lock);
    feed(service);
    (void)pthread_mutex_unlock(&service->lock);
}

static void on_post(void *user)
{
    on_ready(user);
}

/* ---- state ---- */

static void tell_age(void *user)
{
    struct scan_service *service = user;
    struct scanner_status status;

    scan_service_status(service, &status);
    uint64_t now = clock_realtime_ns(), made = status.database_time_ns;
    uint64_t age = made != 0 && now > made ? now - made : 0;
    const char *name = storage_settings_text(service->settings, STORAGE_METRICS);
    if (name[0] != '\0' && made != 0)
        scanner_metric_tell(name, age, status.sandbox);
    if (age > storage_settings_number(service->settings, STORAGE_DATABASE_AGE))
        log_warning("signatures_old", "days",
                    log_number((int64_t)(age / (24 * 3600 * NS_PER_SECOND))), "cure",
                    "update them in the image, the mirror or the file system they come from", NULL);
}

static void tell_state(struct scan_service *service)
{
    const struct scanner_status *status = &service->status;

    if (status->state == service->told)
        return;
    service->told = status->state;
    /* What the platform does not allow is left out, and is never left unsaid. */
    enum log_level level =
        strstr(status->sandbox, "missing") != NULL ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO;
    if (status->state == SCANNER_READY)
        log_event(level, "scanner_ready", "signatures", log_number((int64_t)status->signatures),
                  "engine", status->engine_version, "sandbox", status->sandbox, "problem",
                  status->problem[0] != '\0' ? status->problem : NULL, NULL);
    else if (status->state == SCANNER_NO_SIGNATURES || status->state == SCANNER_FAILED)
        log_error("scanner_not_ready", "problem", status->problem, NULL);
}

static void on_changed(void *owner)
{
    struct scan_service *service = owner;
    struct scanner_status status;

    if (service->client == NULL)
        return;
    scanner_client_status(service->client, &status);
    (void)pthread_mutex_lock(&service->lock);
    bool loaded = status.generation != service->status.generation;
    service->status = status;
    tell_state(service);
    feed(service);
    (void)pthread_cond_broadcast(&service->changed);
    (void)pthread_mutex_unlock(&service->lock);
    if (loaded)
        tell_age(service);
}

/* ---- the thread ---- */

static enum scanner_reload reload_of(const struct storage_settings *settings)
{
    const char *word = storage_settings_text(settings, STORAGE_RELOAD);

    if (text_equal(word, "overlap"))
        return SCANNER_RELOAD_OVERLAP;
    return text_equal(word, "sequential") ? SCANNER_RELOAD_SEQUENTIAL : SCANNER_RELOAD_AUTO;
}

/* The mirror's folder; beside it, as long as that is empty, those that were there before. */
static size_t list_databases(const struct scan_service *service,
                             const char *ret_list[static LIMIT_DATABASE_PATHS + 1])
{
    char *const *own = storage_settings_list(service->settings, STORAGE_DATABASES);
    size_t count = 0;
    bool mirrored = false;

    if (service->mirror != NULL) {
        mirrored = signature_mirror_wait(service->mirror);
        ret_list[count++] = signature_mirror_folder(service->mirror);
    }
    for (; !mirrored && *own != NULL && count < LIMIT_DATABASE_PATHS; own++)
        ret_list[count++] = *own;
    ret_list[count] = NULL;
    return count;
}

static int start_client(struct scan_service *service)
{
    const char *databases[LIMIT_DATABASE_PATHS + 1];
    static const struct scanner_callbacks callbacks = {.scanned = on_scanned,
                                                       .ready = on_ready,
                                                       .changed = on_changed};
    const struct storage_settings *settings = service->settings;
    const char *user = storage_settings_text(settings, STORAGE_USER);
    AUTO_FREE char *directory =
        text_format_new("%s/yagura-scanner", storage_settings_text(settings, STORAGE_DIRECTORY));
    const struct scanner_options options = {
        .program = storage_settings_text(settings, STORAGE_SCANNER),
        .databases = databases,
        .user = user[0] != '\0'  ? user
                : geteuid() == 0 ? "nobody"
                                 : NULL,
        .temporary_directory = directory,
        .temporary_bytes = storage_settings_number(settings, STORAGE_TEMPORARY),
        .workers = (size_t)storage_settings_number(settings, STORAGE_WORKERS),
        .recycle_files = storage_settings_number(settings, STORAGE_RECYCLE),
        .reload = reload_of(settings),
        .accept_unconfined = storage_settings_number(settings, STORAGE_UNCONFINED) != 0,
        .limits =
            {
                .max_file_size = storage_settings_number(settings, STORAGE_MAXIMUM_OBJECT),
                .max_scan_size = storage_settings_number(settings, STORAGE_SCAN_SIZE),
                .max_files = storage_settings_number(settings, STORAGE_SCAN_FILES),
                .max_recursion = storage_settings_number(settings, STORAGE_SCAN_RECURSION),
                .max_time_ns = storage_settings_number(settings, STORAGE_SCAN_TIME),
                .heuristics = storage_settings_number(settings, STORAGE_SCAN_HEURISTICS) != 0,
                .report_encrypted = storage_settings_number(settings, STORAGE_SCAN_ENCRYPTED) != 0,
                .detect_macros = storage_settings_number(settings, STORAGE_SCAN_MACROS) != 0,
                .unwanted_applications =
                    storage_settings_number(settings, STORAGE_SCAN_UNWANTED) != 0,
            },
    };

    (void)list_databases(service, databases);
    return directory != NULL ? scanner_client_start(service->loop, &options, &callbacks, service,
                                                    &service->client)
                             : -ENOMEM;
}

/* A mirror takes its time; who waits for the scanner waits here, too. */
static void start_late(struct scan_service *service)
{
    int r = start_client(service);

    if (r == 0)
        return;
    log_error("scanner_not_started", "problem", log_error_text(r), NULL);
    (void)pthread_mutex_lock(&service->lock);
    service->status.state = SCANNER_FAILED;
    (void)text_copy(service->status.problem, sizeof service->status.problem, log_error_text(r));
    (void)pthread_cond_broadcast(&service->changed);
    (void)pthread_mutex_unlock(&service->lock);
}

static void *run(void *user)
{
    struct scan_service *service = user;

    if (service->mirror != NULL)
        start_late(service);
    on_changed(service);
    int r = event_loop_run(service->loop);
    if (r < 0)
        log_error("scanner_loop_failed", "problem", log_error_text(r), NULL);
    return NULL;
}

static int start_parts(struct scan_service *service)
{
    enum { AGE_PERIOD_HOURS = 6 };
    const uint64_t period_ns = AGE_PERIOD_HOURS * 3600 * NS_PER_SECOND;

    int r = event_loop_new(&service->loop);
    if (r == 0)
        r = event_timer_new(service->loop, tell_age, service, &service->age_timer);
    if (r == 0 && service->mirror == NULL)
        r = start_client(service);
    if (r < 0)
        return r;
    event_timer_start(service->age_timer, period_ns, period_ns);
    r = -pthread_create(&service->thread, NULL, run, service);
    service->started = r == 0;
    return r;
}

int scan_service_start(const struct storage_settings *settings, struct signature_mirror *mirror,
                       struct scan_service **ret_service)
{
    struct scan_service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return -ENOMEM;
    service->settings = settings;
    service->mirror = mirror;
    service->status.state = SCANNER_LOADING;
    service->last = &service->first;
    service->told = SCANNER_LOADING;
    (void)pthread_mutex_init(&service->lock, NULL);
    (void)pthread_cond_init(&service->changed, NULL);
    int r = start_parts(service);
    if (r < 0) {
        (void)scan_service_stop(service);
        return r;
    }
    *ret_service = service;
    return 0;
}

struct scan_service *scan_service_stop(struct scan_service *service)
{
    if (service == NULL)
        return NULL;
    if (service->started) {
        event_loop_stop(service->loop);
        (void)pthread_join(service->thread, NULL);
    }
    service->client = scanner_client_stop(service->client);
    for (struct scan *scan; (scan = take_first(service)) != NULL;)
        drop(scan);
    (void)event_timer_free(service->age_timer);
    (void)event_loop_free(service->loop);
    (void)pthread_cond_destroy(&service->changed);
    (void)pthread_mutex_destroy(&service->lock);
    free(service);
    return NULL;
}

/* ---- callers ---- */

/* False when the moment came. */
static bool wait_until(struct scan_service *service, pthread_cond_t *changed, uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();

    if (now >= deadline_ns)
        return false;
    struct timespec until = clock_deadline(deadline_ns - now);
    (void)pthread_cond_clockwait(changed, &service->lock, CLOCK_MONOTONIC, &until);
    return true;
}

int scan_service_wait(struct scan_service *service, uint64_t deadline_ns)
{
    int r = -EAGAIN;

    (void)pthread_mutex_lock(&service->lock);
    while (r == -EAGAIN) {
        enum scanner_state state = service->status.state;
        if (state == SCANNER_READY || state == SCANNER_RELOADING)
            r = 0;
        else if (state == SCANNER_NO_SIGNATURES)
            r = -ENOENT;
        else if (state == SCANNER_FAILED)
            r = -ENOEXEC;
        else if (service->abandoned || !wait_until(service, &service->changed, deadline_ns))
            r = -ETIMEDOUT;
    }
    (void)pthread_mutex_unlock(&service->lock);
    return r;
}

static struct scan *scan_new(struct scan_service *service, int fd)
{
    struct scan *scan = calloc(1, sizeof *scan);

    if (scan == NULL)
        return NULL;
    scan->service = service;
    scan->references = 2; /* ours and the caller's */
    scan->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    (void)pthread_cond_init(&scan->changed, NULL);
    return scan;
}

static void give_up(struct scan_service *service, struct scan *scan, struct scan_result *result)
{
    bool loaded = service->status.generation != 0;

    scan->given_up = true;
    *result = (struct scan_result){.verdict = SCAN_ERROR,
                                   .reason = loaded ? SCAN_REASON_TIME : SCAN_REASON_NO_ENGINE};
}

void scan_service_scan(struct scan_service *service, int fd, uint64_t deadline_ns,
                       struct scan_result *ret_result)
{
    struct scan *scan = scan_new(service, fd);

    *ret_result = (struct scan_result){.verdict = SCAN_ERROR, .reason = SCAN_REASON_INTERNAL};
    if (scan == NULL)
        return;
    (void)pthread_mutex_lock(&service->lock);
    *service->last = scan;
    service->last = &scan->next;
    bool posted = scan->fd >= 0 && event_loop_post(service->loop, on_post, service) == 0;
    /* Not posted: it goes with the next one; nobody waits for it. */
    scan->given_up = !posted;
    while (posted && !scan->done && !service->abandoned &&
           wait_until(service, &scan->changed, deadline_ns))
        ;
    if (scan->done)
        *ret_result = scan->result;
    else if (posted)
        give_up(service, scan, ret_result);
    drop(scan);
    (void)pthread_mutex_unlock(&service->lock);
}

void scan_service_abandon(struct scan_service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    service->abandoned = true;
    for (struct scan *scan = service->first; scan != NULL; scan = scan->next)
        (void)pthread_cond_signal(&scan->changed);
    (void)pthread_cond_broadcast(&service->changed);
    (void)pthread_mutex_unlock(&service->lock);
}

void scan_service_status(struct scan_service *service, struct scanner_status *ret_status)
{
    (void)pthread_mutex_lock(&service->lock);
    *ret_status = service->status;
    (void)pthread_mutex_unlock(&service->lock);
}

void scan_service_signatures(struct scan_service *service, char text[static SCAN_SIGNATURES_BYTES])
{
    char date[CLOCK_TEXT_BYTES];
    struct scanner_status status;

    scan_service_status(service, &status);
    text[0] = '\0';
    if (status.generation == 0)
        return;
    clock_format(date, status.database_time_ns);
    (void)text_format(text, SCAN_SIGNATURES_BYTES, "%.19sZ/%016" PRIx64, date, status.generation);
}
