/* Scanning without the agent.
 * Owns: a walker thread that opens files into a short queue, and the event loop that feeds them to
 * the scanner client. Must not own how a file is scanned (scanner/client) nor how results look
 * (scan_output.c).
 * Hands off: an open descriptor from the walker to the loop by the queue; the scanner client dups
 * it and the loop closes its own. */
#include "agent/control/standalone_scan.h"

#include "agent/control/command.h"
#include "agent/scan/mount_classes.h"
#include "agent/scan/tree_walk.h"
#include "agent/watch/exclusions.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/scanner_client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#define QUEUE_FILES  128 /* opened and waiting: bounds our descriptors */
#define DRAW_NS      (200 * NS_PER_MS)
#define RESULT_BYTES (LIMIT_PATH_BYTES * 8 + 2048)

struct file {
    struct file *next;
    char *path;
    int fd;    /* -1: could not be opened */
    int error; /* why */
    uint64_t size;
};

struct standalone {
    const struct standalone_options *options;
    struct scan_output *output;
    struct event_loop *loop;
    struct scanner_client *client;
    struct exclusions *exclusions;
    struct mount_classes *mounts;
    uint64_t changed_since_ns;

    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t room;
    struct file *first, **end;
    size_t queued;
    bool walked; /* the walker has ended */
    atomic_bool cancelled;
    atomic_ullong expected; /* files the walker has seen */
    atomic_ullong excluded;

    /* the loop's own */
    size_t in_flight;
    uint64_t scanned, clean, infected, incomplete, errors, bytes;
    uint64_t drawn_ns;
    int problem; /* the scan cannot go on: -errno, told already */
};

/* --- results: the loop's thread --------------------------------------------------------------- */

static void show(struct standalone *scan, const char *key, struct buffer *text)
{
    json_error_t error;
    if (buffer_failed(text) < 0)
        return;
    json_t *value = json_loads(buffer_text(text), 0, &error);
    (void)scan_output_line(scan->output, key, value, buffer_text(text));
    json_decref(value);
}

static void show_result(struct standalone *scan, const char *path, const struct scan_result *result)
{
    if (result->verdict == SCAN_CLEAN && !scan->options->report_all)
        return;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(RESULT_BYTES);
    AUTO_FREE char *shown = text_escape_new(path, strlen(path));
    struct json_writer json;
    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_string(&json, "path", shown != NULL ? shown : "");
    json_write_field_string(&json, "verdict", scan_verdict_name(result->verdict));
    json_write_field_string(&json, "reason", scan_reason_name(result->reason));
    json_write_field_string(&json, "signature", result->signature);
    json_write_object_end(&json);
    show(scan, "result", &text);
}

static void show_totals(struct standalone *scan, const char *key, bool walking)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(2048);
    struct json_writer json;
    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "files_seen", scan->scanned);
    json_write_field_unsigned(&json, "files_scanned", scan->scanned);
    json_write_field_unsigned(&json, "files_cached", 0);
    json_write_field_unsigned(&json, "files_excluded", atomic_load(&scan->excluded));
    json_write_field_unsigned(&json, "files_expected", atomic_load(&scan->expected));
    json_write_field_bool(&json, "walking", walking);
    json_write_field_unsigned(&json, "clean", scan->clean);
    json_write_field_unsigned(&json, "infected", scan->infected);
    json_write_field_unsigned(&json, "incomplete", scan->incomplete);
    json_write_field_unsigned(&json, "errors", scan->errors);
    json_write_field_unsigned(&json, "bytes", scan->bytes);
    json_write_field_unsigned(&json, "unsent", 0);
    json_write_object_end(&json);
    show(scan, key, &text);
}

static void take_result(struct standalone *scan, const char *path, uint64_t size,
                        const struct scan_result *result)
{
    scan->scanned++;
    scan->bytes += size;
    scan->clean += result->verdict == SCAN_CLEAN;
    scan->infected += result->verdict == SCAN_INFECTED;
    scan->incomplete += result->verdict == SCAN_INCOMPLETE;
    scan->errors += result->verdict == SCAN_ERROR;
    show_result(scan, path, result);
    uint64_t now = clock_monotonic_ns();
    if (now - scan->drawn_ns > DRAW_NS) {
        scan->drawn_ns = now;
        (void)pthread_mutex_lock(&scan->lock);
        bool walking = !scan->walked;
        (void)pthread_mutex_unlock(&scan->lock);
        show_totals(scan, "progress", walking);
    }
}

/* --- the queue -------------------------------------------------------------------------------- */

static void file_free(struct file *file)
{
    if (file == NULL)
        return;
    if (file->fd >= 0)
        (void)close(file->fd);
    free(file->path);
    free(file);
}

static struct file *file_new(const char *path, int fd, int error, uint64_t size)
{
    struct file *file = calloc(1, sizeof(*file));
    if (file == NULL)
        return NULL;
    *file = (struct file){.path = strdup(path), .fd = fd, .error = error, .size = size};
    if (file->path == NULL) {
        free(file);
        return NULL;
    }
    return file;
}

static void feed(void *user);

/* The walker's side: waits for room. */
static int push(struct standalone *scan, struct file *file)
{
    (void)pthread_mutex_lock(&scan->lock);
    while (scan->queued >= QUEUE_FILES && !atomic_load(&scan->cancelled))
        (void)pthread_cond_wait(&scan->room, &scan->lock);
    bool wakes = scan->queued == 0;
    file->next = NULL;
    *scan->end = file;
    scan->end = &file->next;
    scan->queued++;
    (void)pthread_mutex_unlock(&scan->lock);
    return wakes ? event_loop_post(scan->loop, feed, scan) : 0;
}

static struct file *pop(struct standalone *scan, bool *ret_last)
{
    (void)pthread_mutex_lock(&scan->lock);
    struct file *file = scan->first;
    if (file != NULL) {
        scan->first = file->next;
        if (scan->first == NULL)
            scan->end = &scan->first;
        scan->queued--;
        (void)pthread_cond_signal(&scan->room);
    }
    *ret_last = scan->walked && file == NULL;
    (void)pthread_mutex_unlock(&scan->lock);
    return file;
}

/* --- the walker: a thread of its own ---------------------------------------------------------- */

static bool enters(void *user, const char *path, size_t length)
{
    struct standalone *scan = user;
    const char *slash = memrchr(path, '/', length);
    size_t name = slash == NULL ? length : length - (size_t)(slash + 1 - path);
    return !exclusions_match_directory(scan->exclusions, path, length, name);
}

static int visit(void *user, const struct tree_walk_file *found)
{
    struct standalone *scan = user;
    struct stat status = *found->status;
    AUTO_CLOSE int fd = -1;
    if (exclusions_match_file(scan->exclusions, found->path, found->path_length,
                              strlen(found->name)) ||
        timespec_to_ns(status.st_ctim) < scan->changed_since_ns) {
        atomic_fetch_add(&scan->excluded, 1);
        return 0;
    }
    int r = file_open_regular(found->directory_fd, found->name, &fd, &status);
    if (r == -ENOENT || r == -ELOOP || r == -EISDIR || r == -ENXIO)
        return 0; /* vanished, or no file any more */
    struct file *file = file_new(found->path, fd, r, (uint64_t)status.st_size);
    if (file == NULL)
        return -ENOMEM;
    (void)TAKE_FD(fd);
    atomic_fetch_add(&scan->expected, 1);
    return push(scan, file);
}

static void problem(void *user, const char *path, size_t length UNUSED, int error)
{
    struct file *file = file_new(path, -1, error, 0);
    if (file != NULL)
        (void)push(user, file);
}

static void skipped(void *user UNUSED, const char *path UNUSED, enum mount_class class UNUSED) {}

static int checks(void *user)
{
    struct standalone *scan = user;
    return atomic_load(&scan->cancelled) ? -ECANCELED : 0;
}

static void *walk(void *user)
{
    static const struct tree_walk_visitor visitor = {
        .enters = enters, .file = visit, .problem = problem, .skipped = skipped, .checks = checks};
    struct standalone *scan = user;
    for (const char *const *path = scan->options->paths; *path != NULL; path++) {
        int r = tree_walk(*path, true, scan->mounts, &visitor, scan);
        if (r < 0 && r != -ECANCELED)
            problem(scan, *path, strlen(*path), r);
    }
    (void)pthread_mutex_lock(&scan->lock);
    scan->walked = true;
    (void)pthread_mutex_unlock(&scan->lock);
    (void)!event_loop_post(scan->loop, feed, scan);
    return NULL;
}

/* --- the loop --------------------------------------------------------------------------------- */

static void give_up(struct standalone *scan, int error)
{
    scan->problem = error;
    atomic_store(&scan->cancelled, true);
    (void)pthread_mutex_lock(&scan->lock);
    (void)pthread_cond_broadcast(&scan->room);
    (void)pthread_mutex_unlock(&scan->lock);
    event_loop_stop(scan->loop);
}

/* Gives the scanner what it has room for; ends the loop when all is done. */
static void feed(void *user)
{
    static const struct scan_result unreadable = {.verdict = SCAN_ERROR,
                                                  .reason = SCAN_REASON_READ};
    struct standalone *scan = user;
    bool last = false;
    while (scan->problem == 0 && scanner_client_room(scan->client) > 0) {
        struct file *file = pop(scan, &last);
        if (file == NULL)
            break;
        int r = file->fd < 0 ? file->error : scanner_client_submit(scan->client, file->fd, file);
        if (r < 0) {
            take_result(scan, file->path, 0, &unreadable);
            file_free(file);
            continue;
        }
        (void)close(file->fd);
        file->fd = -1;
        scan->in_flight++;
    }
    if (last && scan->in_flight == 0)
        event_loop_stop(scan->loop);
}

static void on_scanned(void *owner, void *job, const struct scan_result *result)
{
    struct standalone *scan = owner;
    struct file *file = job;
    scan->in_flight--;
    if (scan->problem == 0)
        take_result(scan, file->path, file->size, result);
    file_free(file);
}

static void on_ready(void *owner)
{
    feed(owner);
}

static void on_changed(void *owner)
{
    struct standalone *scan = owner;
    struct scanner_status status;
    scanner_client_status(scan->client, &status);
    if (scan->problem != 0)
        return;
    if (status.state == SCANNER_NO_SIGNATURES) {
        (void)command_fail("%s", status.problem[0] != '\0'
                                     ? status.problem
                                     : "there are no signatures; get some with freshclam, or name "
                                       "them with --database");
        give_up(scan, -ENOENT);
    } else if (status.state == SCANNER_FAILED) {
        (void)command_fail("the scanner cannot be started: %s", status.problem);
        give_up(scan, -ENOEXEC);
    } else {
        feed(scan);
    }
}

/* --- putting it together ---------------------------------------------------------------------- */

static int start_scanner(struct standalone *scan, const char *temporary)
{
    static const struct scanner_callbacks callbacks = {.scanned = on_scanned,
                                                       .ready = on_ready,
                                                       .changed = on_changed};
    const struct policy *policy = scan->options->policy;
    const struct scanner_options options = {
        .program = scan->options->program,
        .databases = scan->options->databases,
        .user = scan->options->user,
        .temporary_directory = temporary,
        .temporary_bytes = policy_number(policy, POLICY_SCAN_TEMPORARY),
        .workers = (size_t)policy_number(policy, POLICY_SCAN_WORKERS),
        .recycle_files = policy_number(policy, POLICY_SCAN_RECYCLE),
        .reload = SCANNER_RELOAD_SEQUENTIAL,
        .limits =
            {
                .max_file_size = policy_number(policy, POLICY_SCAN_MAX_FILE_SIZE),
                .max_scan_size = policy_number(policy, POLICY_SCAN_MAX_SCAN_SIZE),
                .max_files = policy_number(policy, POLICY_SCAN_MAX_FILES),
                .max_recursion = policy_number(policy, POLICY_SCAN_MAX_RECURSION),
                .max_time_ns = policy_number(policy, POLICY_SCAN_MAX_TIME),
                .heuristics = policy_bool(policy, POLICY_SCAN_HEURISTICS),
                .report_encrypted = policy_bool(policy, POLICY_SCAN_ENCRYPTED),
                .detect_macros = policy_bool(policy, POLICY_SCAN_MACROS),
                .detect_broken = policy_bool(policy, POLICY_SCAN_BROKEN),
                .unwanted_applications = policy_bool(policy, POLICY_SCAN_UNWANTED),
            },
    };
    return scanner_client_start(scan->loop, &options, &callbacks, scan, &scan->client);
}

static int prepare(struct standalone *scan)
{
    const struct policy *policy = scan->options->policy;
    const struct exclusion_lists lists = {
        .directories = policy_list(policy, POLICY_WATCH_EXCLUDE_DIRECTORIES),
        .files = policy_list(policy, POLICY_WATCH_EXCLUDE_FILES),
        .extensions = policy_list(policy, POLICY_WATCH_EXCLUDE_EXTENSIONS),
    };
    uint64_t now = clock_realtime_ns(), within = scan->options->changed_within_ns;
    scan->changed_since_ns = within == 0 || within > now ? 0 : now - within;
    int r = event_loop_new(&scan->loop);
    if (r == 0)
        r = mount_classes_new(&scan->mounts);
    if (r == 0)
        r = exclusions_new(&lists, &scan->exclusions);
    return r;
}

static int run(struct standalone *scan, const char *temporary)
{
    pthread_t walker;
    int r = start_scanner(scan, temporary);
    if (r < 0)
        return r;
    r = -pthread_create(&walker, NULL, walk, scan);
    if (r == 0) {
        r = scan->problem == 0 ? event_loop_run(scan->loop) : scan->problem;
        give_up(scan, r < 0 ? r : scan->problem);
        (void)pthread_join(walker, NULL);
    }
    scan->client = scanner_client_stop(scan->client);
    return r;
}

static void release(struct standalone *scan)
{
    while (scan->first != NULL) {
        struct file *file = scan->first;
        scan->first = file->next;
        file_free(file);
    }
    (void)exclusions_free(scan->exclusions);
    (void)mount_classes_free(scan->mounts);
    (void)event_loop_free(scan->loop);
    (void)pthread_mutex_destroy(&scan->lock);
    (void)pthread_cond_destroy(&scan->room);
}

static int finish(struct standalone *scan)
{
    if (scan->problem != 0)
        return EXIT_ERROR; /* told already */
    show_totals(scan, "totals", false);
    if (scan->infected > 0)
        return EXIT_FOUND;
    return scan->errors > 0 || scan->incomplete > 0 ? EXIT_ERROR : EXIT_CLEAN;
}

int standalone_scan(const struct standalone_options *options, struct scan_output *output)
{
    struct standalone scan = {.options = options, .output = output};
    char temporary[64];
    scan.end = &scan.first;
    (void)pthread_mutex_init(&scan.lock, NULL);
    (void)pthread_cond_init(&scan.room, NULL);
    (void)text_copy(temporary, sizeof(temporary), "/tmp/yagura-scan-XXXXXX");
    if (mkdtemp(temporary) == NULL)
        return command_fail("no temporary directory can be made in /tmp: %s",
                            log_error_text(-errno));
    int r = prepare(&scan);
    if (r == 0)
        r = run(&scan, temporary);
    int exit_code = r < 0 && scan.problem == 0
                        ? command_fail("the scan could not be done: %s", log_error_text(r))
                        : finish(&scan);
    release(&scan);
    (void)!file_remove_tree(AT_FDCWD, temporary);
    return exit_code;
}
