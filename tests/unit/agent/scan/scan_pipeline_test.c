/* The whole pipeline over real files, with a scanner, responder and store in memory. */
#include "agent/scan/file_lease.h"
#include "agent/scan/scan_pipeline.h"

#include "tests/unit/agent/scan/fakes.h"

#include "agent/scan/scan_task.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64], state[96], cache[128];
    struct scan_pipeline *pipeline;
    struct scan_pipeline_options options;
    const char *own[2], *paths[2];
};

/* A gate between threads: no test waits by the clock. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned opened;
    int result;
    struct scan_job_totals totals;
    unsigned results;
    char last_path[512];
    struct scan_result last;
};

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
}

static void gate_open(void *user)
{
    struct gate *gate = user;

    (void)pthread_mutex_lock(&gate->lock);
    gate->opened++;
    (void)pthread_cond_broadcast(&gate->changed);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void gate_wait(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    while (gate->opened == 0)
        (void)pthread_cond_wait(&gate->changed, &gate->lock);
    (void)pthread_mutex_unlock(&gate->lock);
}

static bool gate_is_open(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->lock);
    bool open = gate->opened > 0;
    (void)pthread_mutex_unlock(&gate->lock);
    return open;
}

static void start(struct fixture *fixture)
{
    assert_int_equal(scan_pipeline_start(&fixture->options, NULL, NULL, &fixture->pipeline), 0);
}

static void stop(struct fixture *fixture)
{
    fixture->pipeline = scan_pipeline_stop(fixture->pipeline);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    fakes_reset();
    (void)text_copy(fixture->directory, sizeof fixture->directory, "/tmp/yagura-pipeline-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    (void)text_format(fixture->state, sizeof fixture->state, "%s/state", fixture->directory);
    (void)text_format(fixture->cache, sizeof fixture->cache, "%s/verdicts", fixture->state);
    assert_int_equal(mkdir(fixture->state, 0700), 0);
    fixture->own[0] = fixture->state;
    fixture->paths[0] = fixture->directory;
    fixture->options = (struct scan_pipeline_options){
        .cache_path = fixture->cache,
        .own_directories = fixture->own,
        .rescan_paths = fixture->paths,
        .rescan_on_update = true,
        .rescan_rate = 100000,
    };
    start(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    int root;

    stop(fixture);
    assert_int_equal(file_open_directory("/tmp", true, &root), 0);
    assert_int_equal(file_remove_tree(root, fixture->directory + 5), 0);
    (void)close(root);
    free(fixture);
    return 0;
}

/* The file's path, and the file with this content; its times are a minute old. */
static const char *put_file(struct fixture *fixture, const char *name, const char *content)
{
    static char path[8][512];
    static unsigned turn;
    char *mine = path[turn++ % 8];
    int fd;

    (void)text_format(mine, sizeof path[0], "%s/%s", fixture->directory, name);
    assert_int_equal(file_open_at(AT_FDCWD, mine, O_WRONLY | O_CREAT | O_TRUNC, 0644, &fd), 0);
    assert_int_equal(file_write(fd, content, strlen(content)), 0);
    (void)close(fd);
    return mine;
}

static void tell(struct fixture *fixture, enum watch_event_kind kind, const char *path)
{
    struct watch_event event = {
        .kind = kind,
        .path = path,
        .path_length = strlen(path),
        .time_ns = clock_realtime_ns(),
    };

    scan_pipeline_take_event(fixture->pipeline, &event);
}

static void drain(struct fixture *fixture)
{
    struct gate gate;

    gate_init(&gate);
    assert_int_equal(scan_pipeline_drain(fixture->pipeline, gate_open, &gate), 0);
    gate_wait(&gate);
}

static struct scan_pipeline_status status_of(struct fixture *fixture)
{
    struct scan_pipeline_status status;

    scan_pipeline_status(fixture->pipeline, &status);
    return status;
}

/* The pipeline's idea of the date (not the kernel's) goes an hour ahead, so that files made just
 * now are old enough to be remembered. */
static void let_an_hour_pass(void)
{
    clock_set_fake(0, clock_realtime_ns() + 3600 * NS_PER_SECOND);
}

static void job_result(void *user, const char *path, const struct scan_result *result)
{
    struct gate *gate = user;

    (void)pthread_mutex_lock(&gate->lock);
    gate->results++;
    gate->last = *result;
    (void)text_copy(gate->last_path, sizeof gate->last_path, path);
    (void)pthread_mutex_unlock(&gate->lock);
}

static void job_done(void *user, int result, const struct scan_job_totals *totals)
{
    struct gate *gate = user;

    gate->result = result;
    gate->totals = *totals;
    gate_open(gate);
}

static const struct scan_job_callbacks job_callbacks = {.result = job_result, .done = job_done};

static struct scan_job *start_job(struct fixture *fixture, const char *path, bool use_cache,
                                  struct gate *gate)
{
    const char *const paths[] = {path, NULL};
    struct scan_job_options options = {
        .paths = paths,
        .cause = SCAN_CAUSE_DEMAND,
        .use_cache = use_cache,
        .act = true,
    };
    struct scan_job *job;

    gate_init(gate);
    assert_int_equal(scan_job_start(fixture->pipeline, &options, &job_callbacks, gate, &job), 0);
    return job;
}

static void run_job(struct fixture *fixture, const char *path, bool use_cache, struct gate *gate)
{
    (void)start_job(fixture, path, use_cache, gate);
    gate_wait(gate);
}

/* ---- files that cannot be opened ---- */

static atomic_int busy_times;

int __real_scan_task_open(int directory_fd, const char *path, int *ret_fd);
int __wrap_scan_task_open(int directory_fd, const char *path, int *ret_fd);
enum file_evidence __wrap_file_lease_evidence(int fd);

/* Wherever the test's files lie. */
static _Atomic(enum file_evidence) evidence = FILE_EVIDENCE_FULL;

enum file_evidence __wrap_file_lease_evidence(int fd UNUSED)
{
    return atomic_load(&evidence);
}

int __wrap_scan_task_open(int directory_fd, const char *path, int *ret_fd)
{
    if (strstr(path, "unreadable") != NULL)
        return -EIO;
    if (strstr(path, "busy") != NULL && atomic_fetch_sub(&busy_times, 1) > 0)
        return -EMFILE;
    return __real_scan_task_open(directory_fd, path, ret_fd);
}

static void test_unreadable_files_are_told_once(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    const char *path = put_file(fixture, "unreadable", "virus");

    tell(fixture, WATCH_FILE_WRITTEN, path);
    drain(fixture);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    drain(fixture);
    run_job(fixture, path, true, &gate);
    assert_int_equal(gate.totals.errors, 1);
    assert_int_equal(gate.last.reason, SCAN_REASON_READ);
    assert_int_equal(fake_store_count("scan_error"), 1);
    assert_int_equal(status_of(fixture).errors, 3);
}

static void test_a_shortage_of_descriptors_passes(void **state)
{
    struct fixture *fixture = *state;

    atomic_store(&busy_times, 3);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "busy", "virus"));
    drain(fixture);
    assert_int_equal(fake_responder_count(), 1);
    assert_int_equal(status_of(fixture).errors, 0);
}

/* It is no error of the file. */
static void test_a_shortage_between_opening_and_scanning_passes(void **state)
{
    struct fixture *fixture = *state;

    fake_scanner_refuse(-EMFILE, 2);
    int log_fd = memfd_create("log", MFD_CLOEXEC), error_fd = dup(STDERR_FILENO);
    assert_int_equal(dup2(log_fd, STDERR_FILENO), STDERR_FILENO);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "first", "virus"));
    drain(fixture);
    assert_int_equal(dup2(error_fd, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(close(error_fd), 0);
    char said[4096] = "";
    assert_true(pread(log_fd, said, sizeof(said) - 1, 0) > 0);
    assert_int_equal(close(log_fd), 0);
    assert_non_null(strstr(said, "files_wait"));
    assert_int_equal(fake_responder_count(), 1);
    fake_scanner_refuse(-ENOMEM, 2);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "second", "virus"));
    drain(fixture);
    assert_int_equal(fake_responder_count(), 2);
    assert_int_equal(fake_store_count("scan_error"), 0);
    assert_int_equal(status_of(fixture).errors, 0);
}

/* ---- real time ---- */

static void test_a_written_file_gets_its_verdict(void **state)
{
    struct fixture *fixture = *state;
    const char *bad = put_file(fixture, "bad", "a virus"), *good = put_file(fixture, "good", "x");

    tell(fixture, WATCH_FILE_WRITTEN, bad);
    tell(fixture, WATCH_FILE_WRITTEN, good);
    drain(fixture);
    assert_true(fake_responder_saw(bad));
    assert_int_equal(fake_responder_count(), 1);
    struct scan_pipeline_status status = status_of(fixture);
    assert_int_equal(status.infected, 1);
    assert_int_equal(status.clean, 1);
    assert_int_equal(status.backlog_files, 0);
}

static void test_what_is_no_regular_file_is_left_alone(void **state)
{
    struct fixture *fixture = *state;
    char path[256];

    (void)text_format(path, sizeof path, "%s/fifo", fixture->directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    (void)text_format(path, sizeof path, "%s/link", fixture->directory);
    assert_int_equal(symlink(put_file(fixture, "target", "a virus"), path), 0);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    (void)text_format(path, sizeof path, "%s/gone", fixture->directory);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    tell(fixture, WATCH_FILE_WRITTEN, fixture->directory);
    drain(fixture);
    assert_int_equal(fake_scanner_submitted(), 0);
    assert_int_equal(status_of(fixture).vanished, 1);
    assert_int_equal(status_of(fixture).errors, 0);
}

static void test_drain_waits_for_the_responder(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;

    fake_responder_hold(true);
    gate_init(&gate);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "bad", "virus"));
    assert_int_equal(scan_pipeline_drain(fixture->pipeline, gate_open, &gate), 0);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "good", "x"));
    assert_false(gate_is_open(&gate));
    fake_responder_let_go();
    gate_wait(&gate);
}

static void test_a_full_responder_holds_work_back(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;

    fake_responder_set_room(false);
    gate_init(&gate);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "bad", "virus"));
    assert_int_equal(scan_pipeline_drain(fixture->pipeline, gate_open, &gate), 0);
    while (status_of(fixture).infected == 0)
        (void)sched_yield();
    assert_false(gate_is_open(&gate));
    fake_responder_set_room(true);
    gate_wait(&gate);
    assert_int_equal(fake_responder_count(), 1);
}

static void test_a_file_written_while_scanned_is_scanned_again(void **state)
{
    struct fixture *fixture = *state;
    const char *path = put_file(fixture, "file", "harmless");

    fake_scanner_hold(true);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    fake_scanner_wait_held(1);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    fake_scanner_hold(false);
    drain(fixture);
    assert_int_equal(fake_scanner_submitted(), 2);
}

static void test_a_file_that_keeps_changing_is_incomplete(void **state)
{
    struct fixture *fixture = *state;
    const char *path = put_file(fixture, "log", "line");
    struct gate gate;

    fake_scanner_hold(true);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    gate_init(&gate);
    assert_int_equal(scan_pipeline_drain(fixture->pipeline, gate_open, &gate), 0);
    for (uint64_t scans = 1; scans <= 3; scans++) {
        while (fake_scanner_submitted() < scans)
            (void)sched_yield();
        fake_scanner_wait_held(1);
        int fd = open(path, O_WRONLY | O_APPEND);
        assert_int_equal(file_write(fd, "more", 4), 0);
        (void)close(fd);
        fake_scanner_let_go();
    }
    gate_wait(&gate);
    assert_int_equal(fake_scanner_submitted(), 3);
    assert_int_equal(status_of(fixture).incomplete, 1);
    assert_int_equal(fake_store_count("scan_incomplete"), 1);
    fake_scanner_hold(false);
}

static void test_work_waits_for_an_engine(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;

    fake_scanner_set_generation(0);
    while (status_of(fixture).scanner.generation != 0)
        (void)sched_yield();
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "bad", "virus"));
    gate_init(&gate);
    assert_int_equal(scan_pipeline_drain(fixture->pipeline, gate_open, &gate), 0);
    assert_int_equal(status_of(fixture).backlog_files, 1);
    assert_false(gate_is_open(&gate));
    fake_scanner_set_generation(2);
    gate_wait(&gate);
    assert_int_equal(fake_responder_count(), 1);
}

static void test_unfinished_scans_are_told_once(void **state)
{
    struct fixture *fixture = *state;
    const char *bomb = put_file(fixture, "bomb", "a bomb");
    const char *crash = put_file(fixture, "crash", "a crash");

    for (int turn = 0; turn < 3; turn++) {
        tell(fixture, WATCH_FILE_WRITTEN, bomb);
        tell(fixture, WATCH_FILE_WRITTEN, crash);
        drain(fixture);
    }
    assert_int_equal(fake_store_count("scan_incomplete"), 1);
    assert_int_equal(fake_store_count("scan_error"), 1);
    assert_int_equal(status_of(fixture).incomplete, 3);
}

static void test_arrivals_of_a_file_just_scanned_are_folded(void **state)
{
    struct fixture *fixture = *state;
    const char *path = put_file(fixture, "file", "x");

    tell(fixture, WATCH_FILE_WRITTEN, path);
    drain(fixture);
    tell(fixture, WATCH_FILE_ARRIVED, path);
    tell(fixture, WATCH_FILE_FOUND, path);
    drain(fixture);
    assert_int_equal(fake_scanner_submitted(), 1);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    drain(fixture);
    assert_int_equal(fake_scanner_submitted(), 2);
}

static void test_written_files_come_first_and_none_starves(void **state)
{
    struct fixture *fixture = *state;
    char name[32], order[64];

    fake_scanner_set_room(1);
    fake_scanner_hold(true);
    tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, "first", "1"));
    fake_scanner_wait_held(1);
    for (int i = 0; i < 20; i++) {
        (void)text_format(name, sizeof name, "found%d", i);
        tell(fixture, WATCH_FILE_FOUND, put_file(fixture, name, "f"));
        (void)text_format(name, sizeof name, "written%d", i);
        tell(fixture, WATCH_FILE_WRITTEN, put_file(fixture, name, "w"));
    }
    fake_scanner_hold(false);
    drain(fixture);
    fake_scanner_order(order, sizeof order);
    assert_int_equal(strlen(order), 41);
    unsigned found_early = 0;
    for (int i = 1; i < 21; i++)
        found_early += order[i] == 'f';
    assert_in_range(found_early, 1, 4);
}

/* While no engine is there, more is told than the backlog holds. */
static void test_a_flood_is_folded_and_nothing_is_lost(void **state)
{
    struct fixture *fixture = *state;
    char name[64], path[256];

    fake_scanner_set_generation(0);
    while (status_of(fixture).scanner.generation != 0)
        (void)sched_yield();
    for (int i = 0; i < 40; i++) {
        (void)text_format(name, sizeof name, "flood%d", i * 4000);
        (void)put_file(fixture, name, "virus");
    }
    for (int i = 0; i < 160000; i++) {
        (void)text_format(path, sizeof path, "%s/flood%d", fixture->directory, i);
        tell(fixture, WATCH_FILE_WRITTEN, path);
    }
    struct scan_pipeline_status status = status_of(fixture);
    assert_true(status.folded > 0);
    assert_in_range(status.backlog_directories, 1, 4);
    assert_true(status.backlog_files <= LIMIT_BACKLOG_FILES);
    fake_scanner_set_generation(1);
    drain(fixture);
    assert_int_equal(fake_responder_count(), 40);
}

/* ---- jobs and the cache ---- */

static void test_a_job_tells_what_it_found(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    const char *bad = put_file(fixture, "bad", "virus");

    (void)put_file(fixture, "good", "x");
    (void)put_file(fixture, "state/own", "virus");
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.result, 0);
    assert_int_equal(gate.totals.files_scanned, 2);
    assert_int_equal(gate.totals.infected, 1);
    assert_int_equal(gate.results, 1);
    assert_string_equal(gate.last_path, bad);
    assert_true(fake_responder_saw(bad));
    run_job(fixture, bad, true, &gate);
    assert_int_equal(gate.totals.infected, 1);
    run_job(fixture, "/nonexistent/place", true, &gate);
    assert_int_equal(gate.result, -ENOENT);
    assert_int_equal(gate.totals.errors, 1);
}

static void test_unchanged_files_are_settled_by_the_cache(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    char name[32];

    for (int i = 0; i < 50; i++) {
        (void)text_format(name, sizeof name, "file%d", i);
        (void)put_file(fixture, name, "x");
    }
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.totals.files_scanned, 50);
    /* Too fresh: the same time could cover another write. */
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.totals.files_scanned, 50);
    let_an_hour_pass();
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.totals.files_scanned, 50);
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.totals.files_scanned, 0);
    assert_int_equal(gate.totals.files_cached, 50);
    (void)put_file(fixture, "file7", "changed");
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.totals.files_scanned, 1);
    run_job(fixture, fixture->directory, false, &gate);
    assert_int_equal(gate.totals.files_scanned, 50);
    /* A close after writing is never answered by the cache; an arrival is. */
    uint64_t before = fake_scanner_submitted();
    tell(fixture, WATCH_FILE_ARRIVED, put_file(fixture, "file9", "y"));
    drain(fixture);
    assert_int_equal(fake_scanner_submitted(), before + 1);
    clock_set_fake(0, 0);
}

static void test_nothing_is_cached_where_times_do_not_tell_of_writes(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;

    (void)put_file(fixture, "file", "x");
    let_an_hour_pass();
    atomic_store(&evidence, FILE_EVIDENCE_LEASE);
    for (int i = 0; i < 3; i++) {
        run_job(fixture, fixture->directory, true, &gate);
        assert_int_equal(gate.totals.files_scanned, 1);
    }
    atomic_store(&evidence, FILE_EVIDENCE_FULL);
    run_job(fixture, fixture->directory, true, &gate);
    run_job(fixture, fixture->directory, true, &gate);
    assert_int_equal(gate.totals.files_scanned, 0);
    clock_set_fake(0, 0);
}

static void test_a_restart_scans_only_what_changed(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    char name[32];

    for (int i = 0; i < 20; i++) {
        (void)text_format(name, sizeof name, "file%d", i);
        (void)put_file(fixture, name, i == 3 ? "bomb" : "x");
    }
    let_an_hour_pass();
    run_job(fixture, fixture->directory, true, &gate);
    stop(fixture);
    (void)put_file(fixture, "file5", "now a virus");
    start(fixture);
    const char *path = NULL;
    for (int i = 0; i < 20; i++) {
        char full[256];
        (void)text_format(full, sizeof full, "%s/file%d", fixture->directory, i);
        path = full;
        tell(fixture, WATCH_FILE_FOUND, path);
    }
    uint64_t before = fake_scanner_submitted();
    drain(fixture);
    assert_in_range(fake_scanner_submitted() - before, 0, 2);
    assert_int_equal(fake_responder_count(), 1);
    assert_int_equal(fake_store_count("scan_incomplete"), 1);
    clock_set_fake(0, 0);
}

static void test_a_dirty_mapping_is_never_remembered(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    const char *path = put_file(fixture, "mapped", "harmless text that stays long enough");
    int fd;

    assert_int_equal(file_open_at(AT_FDCWD, path, O_RDWR, 0, &fd), 0);
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(page, MAP_FAILED);
    (void)close(fd);
    page[0] = 'H'; /* from now on the page is dirty, and writing to it changes no time */
    let_an_hour_pass();
    run_job(fixture, path, true, &gate);
    assert_int_equal(gate.totals.clean, 1);
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    memcpy(page, "virus", 5);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(timespec_to_ns(before.st_ctim), timespec_to_ns(after.st_ctim));
    run_job(fixture, path, true, &gate);
    assert_int_equal(gate.totals.infected, 1);
    (void)munmap(page, 4096);
    clock_set_fake(0, 0);
}

static void test_a_writer_during_the_scan_is_not_held_and_not_remembered(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    const char *path = put_file(fixture, "leased", "harmless");

    let_an_hour_pass();
    fake_scanner_hold(true);
    (void)start_job(fixture, path, true, &gate);
    fake_scanner_wait_held(1);
    struct timespec began, ended;
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    int fd = open(path, O_WRONLY); /* breaks the lease: waits until it is given back */
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    assert_true(fd >= 0);
    assert_in_range(timespec_to_ns(ended) - timespec_to_ns(began), 0, NS_PER_SECOND);
    fake_scanner_hold(false);
    gate_wait(&gate);
    (void)close(fd);
    assert_int_equal(status_of(fixture).leases_broken, 1);
    assert_int_equal(status_of(fixture).cache_entries, 0);
    clock_set_fake(0, 0);
}

static void test_jobs_can_be_cancelled(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;
    char name[32];

    for (int i = 0; i < 400; i++) {
        (void)text_format(name, sizeof name, "file%d", i);
        (void)put_file(fixture, name, "x");
    }
    fake_scanner_hold(true);
    struct scan_job *job = start_job(fixture, fixture->directory, true, &gate);
    fake_scanner_wait_held(4);
    scan_job_cancel(job);
    fake_scanner_hold(false);
    gate_wait(&gate);
    assert_int_equal(gate.result, -ECANCELED);
    /* A pipeline that stops cancels what runs, also with no engine. */
    fake_scanner_set_generation(0);
    (void)start_job(fixture, fixture->directory, true, &gate);
    stop(fixture);
    assert_int_equal(gate.result, -ECANCELED);
    fake_scanner_set_generation(1);
    start(fixture);
}

static atomic_bool told_paused;

static void note_progress(void *user UNUSED, const struct scan_job_totals *totals)
{
    atomic_store(&told_paused, totals->paused);
}

static void set_load(struct fixture *fixture, const char *text)
{
    assert_int_equal(file_replace(fixture->options.load_path, text, strlen(text), 0600), 0);
}

/* Without an engine at first, so that it is held before its first file. */
static void test_a_polite_job_waits_while_the_host_is_busy(void **state)
{
    static const struct scan_job_callbacks callbacks = {.progress = note_progress,
                                                        .done = job_done};
    struct fixture *fixture = *state;
    char load[128];
    const char *const paths[] = {fixture->directory, NULL};
    struct gate gate;
    struct scan_job *job;

    (void)text_format(load, sizeof load, "%s/load", fixture->state);
    fixture->options.load_path = load;
    fixture->options.most_load = 80;
    set_load(fixture, "4000.00 0.00 0.00 1/1 1\n");
    assert_int_equal(scan_pipeline_reconfigure(fixture->pipeline, &fixture->options), 0);
    (void)put_file(fixture, "one", "1");
    fake_scanner_set_generation(0);
    while (status_of(fixture).scanner.generation != 0)
        (void)sched_yield();
    uint64_t before = fake_scanner_submitted();
    gate_init(&gate);
    const struct scan_job_options options = {
        .paths = paths, .cause = SCAN_CAUSE_DEMAND, .use_cache = true, .polite = true};
    assert_int_equal(scan_job_start(fixture->pipeline, &options, &callbacks, &gate, &job), 0);
    while (!atomic_load(&told_paused))
        (void)sched_yield();
    fake_scanner_set_generation(1);
    drain(fixture);
    assert_int_equal(fake_scanner_submitted(), before);
    set_load(fixture, "0.10 0.00 0.00 1/1 1\n");
    clock_set_fake(clock_monotonic_ns() + 10 * NS_PER_SECOND, clock_realtime_ns());
    gate_wait(&gate);
    clock_set_fake(0, 0);
    assert_int_equal(fake_scanner_submitted(), before + 1);
}

static void test_new_signatures_scan_known_files_again(void **state)
{
    struct fixture *fixture = *state;
    struct gate gate;

    (void)put_file(fixture, "one", "1");
    (void)put_file(fixture, "two", "2");
    let_an_hour_pass();
    run_job(fixture, fixture->directory, true, &gate);
    uint64_t before = fake_scanner_submitted();
    clock_set_fake(0, 0);
    fake_scanner_set_generation(2);
    while (fake_scanner_submitted() < before + 2 || status_of(fixture).rescanning)
        (void)sched_yield();
    assert_int_equal(fake_scanner_submitted(), before + 2);
}

/* The first file's verdict is held back, so that the rescan lives; the second waits for its turn
 * and is held by the host, which stays busy. */
static void test_a_busy_host_does_not_hold_new_signatures_for_ever(void **state)
{
    struct fixture *fixture = *state;
    char load[128];
    struct gate gate;

    (void)put_file(fixture, "one", "1");
    (void)put_file(fixture, "two", "2");
    let_an_hour_pass();
    run_job(fixture, fixture->directory, true, &gate);
    clock_set_fake(0, 0);
    uint64_t before = fake_scanner_submitted();
    (void)text_format(load, sizeof load, "%s/load", fixture->state);
    fixture->options.load_path = load;
    fixture->options.most_load = 80;
    fixture->options.rescan_rate = 5;
    set_load(fixture, "4000.00 0.00 0.00 1/1 1\n");
    assert_int_equal(scan_pipeline_reconfigure(fixture->pipeline, &fixture->options), 0);
    fake_scanner_hold(true);
    fake_scanner_set_generation(2);
    while (fake_scanner_submitted() == before)
        (void)sched_yield();
    uint64_t now = clock_monotonic_ns();
    for (unsigned minutes = 1; fake_store_count("scan_unheld") == 0; minutes++) {
        assert_in_range(minutes, 1, 1000); /* not every drain is a turn that looks at the load */
        clock_set_fake(now + minutes * 60 * NS_PER_SECOND, clock_realtime_ns());
        drain(fixture);
    }
    fake_scanner_hold(false);
    while (fake_scanner_submitted() < before + 2 || status_of(fixture).rescanning)
        (void)sched_yield();
    clock_set_fake(0, 0);
    assert_int_equal(fake_store_count("scan_unheld"), 1);
}

struct own_verdicts {
    atomic_uint told, asked;
    ino_t inode; /* of the descriptor that came last */
};

static bool take_own(void *user, const struct scan_own_verdict *verdict)
{
    struct own_verdicts *own = user;
    struct stat status;

    assert_int_equal(fstat(verdict->fd, &status), 0);
    own->inode = status.st_ino;
    atomic_fetch_add(verdict->asked ? &own->asked : &own->told, 1);
    return !verdict->asked;
}

/* Whose file it is can be told by the descriptor, and who wanted it scanned. */
static void test_a_verdict_on_an_own_file_is_taken(void **state)
{
    struct fixture *fixture = *state;
    struct own_verdicts own = {0};
    const char *path = put_file(fixture, "ours", "virus");
    struct gate gate;
    struct stat status;

    assert_int_equal(stat(path, &status), 0);
    scan_pipeline_set_own_file(fixture->pipeline, take_own, &own);
    tell(fixture, WATCH_FILE_WRITTEN, path);
    drain(fixture);
    assert_int_equal(atomic_load(&own.told), 1);
    assert_int_equal(own.inode, status.st_ino);
    assert_false(fake_responder_saw(path));
    assert_int_equal(status_of(fixture).infected, 0);
    run_job(fixture, path, true, &gate);
    assert_int_equal(atomic_load(&own.asked), 1);
    assert_int_equal(gate.totals.infected, 1);
    assert_true(fake_responder_saw(path));
    scan_pipeline_set_own_file(fixture->pipeline, NULL, NULL);
}

static void answered(void *user, const struct scan_result *result, bool untouched)
{
    struct gate *gate = user;

    (void)untouched;
    gate->last = *result;
    gate_open(gate);
}

static void ask_as(struct fixture *fixture, uid_t user, const char *path, uint64_t until_ns,
                   struct gate *gate)
{
    struct scan_ask ask = {
        .asking_user = user,
        .path = text_new(path, strlen(path)),
        .until_ns = until_ns,
        .answered = answered,
        .user = gate,
    };

    gate_init(gate);
    assert_int_equal(file_open_at(AT_FDCWD, path, O_RDONLY, 0, &ask.fd), 0);
    assert_int_equal(scan_pipeline_ask(fixture->pipeline, &ask), 0);
}

static void ask(struct fixture *fixture, const char *path, uint64_t until_ns, struct gate *gate)
{
    ask_as(fixture, 1000, path, until_ns, gate);
}

static void test_users_who_wait_take_turns(void **state)
{
    static const uid_t users[] = {1000, 1000, 1000, 1001, 1002, 1001};
    static const char names[] = "abcdef";
    struct fixture *fixture = *state;
    struct gate gates[ARRAY_LENGTH(users)];
    uint64_t until_ns;

    clock_set_fake(0, 0);
    until_ns = clock_monotonic_ns() + 3600 * NS_PER_SECOND;
    fake_scanner_set_room(0);
    for (size_t i = 0; i < ARRAY_LENGTH(users); i++) {
        const char content[] = {names[i], '\0'};
        ask_as(fixture, users[i], put_file(fixture, content, content), until_ns, &gates[i]);
    }
    /* One that comes last shows that all others are there. */
    struct gate gone;
    ask_as(fixture, 1003, put_file(fixture, "gone", "gone"), clock_monotonic_ns(), &gone);
    gate_wait(&gone);
    fake_scanner_set_room(8);
    for (size_t i = 0; i < ARRAY_LENGTH(users); i++)
        gate_wait(&gates[i]);
    char order[16];
    fake_scanner_order(order, sizeof order);
    assert_string_equal(order, "adbecf");
    assert_int_equal(fake_scanner_urgent(), ARRAY_LENGTH(users));
}

static void test_an_ask_that_nobody_waits_for_takes_no_worker(void **state)
{
    struct fixture *fixture = *state;
    const char *path = put_file(fixture, "asked", "x");
    struct gate late, waits, gone;

    clock_set_fake(0, 0); /* also after a test that failed */
    uint64_t now = clock_monotonic_ns();
    ask(fixture, path, now - 1, &late); /* before it was looked at */
    gate_wait(&late);
    assert_int_equal(late.last.verdict, SCAN_ERROR);
    fake_scanner_set_room(0);
    ask(fixture, path, now + 3600 * NS_PER_SECOND, &waits);
    ask(fixture, path, now + NS_PER_SECOND / 10, &gone); /* while there is no room */
    gate_wait(&gone);
    assert_int_equal(gone.last.verdict, SCAN_ERROR);
    assert_int_equal(fake_scanner_submitted(), 0);
    assert_false(gate_is_open(&waits));
    fake_scanner_set_room(8);
    gate_wait(&waits);
    assert_int_equal(waits.last.verdict, SCAN_CLEAN);
    assert_int_equal(fake_scanner_submitted(), 1);
}

static void set_scanner_state(struct fixture *fixture, enum scanner_state state)
{
    fake_scanner_set_state(state);
    while (status_of(fixture).scanner.state != state)
        (void)sched_yield();
}

static void test_an_ask_does_not_wait_for_signatures_that_were_given_up(void **state)
{
    struct fixture *fixture = *state;
    const char *path = put_file(fixture, "asked", "x");
    struct gate gates[3];
    uint64_t until_ns;

    clock_set_fake(0, 0);
    until_ns = clock_monotonic_ns() + 3600 * NS_PER_SECOND;
    set_scanner_state(fixture, SCANNER_RESTING);
    ask(fixture, path, until_ns, &gates[0]);
    gate_wait(&gates[0]);
    set_scanner_state(fixture, SCANNER_LOADING);
    ask(fixture, path, until_ns, &gates[1]);
    gate_wait(&gates[1]);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gates[i].last.verdict, SCAN_ERROR);
        assert_int_equal(gates[i].last.reason, SCAN_REASON_NO_ENGINE);
    }
    set_scanner_state(fixture, SCANNER_READY);
    ask(fixture, path, until_ns, &gates[2]);
    gate_wait(&gates[2]);
    assert_int_equal(gates[2].last.verdict, SCAN_CLEAN);
}

static void test_an_ask_waits_for_an_engine_that_died(void **state)
{
    struct fixture *fixture = *state;
    const char *path = put_file(fixture, "asked", "x");
    struct gate waits, gone;

    clock_set_fake(0, 0);
    uint64_t now = clock_monotonic_ns();
    set_scanner_state(fixture, SCANNER_READY);
    set_scanner_state(fixture, SCANNER_FAILED);
    ask(fixture, path, now + 3600 * NS_PER_SECOND, &waits);
    ask(fixture, path, now + NS_PER_SECOND / 10, &gone);
    gate_wait(&gone);
    assert_false(gate_is_open(&waits));
    set_scanner_state(fixture, SCANNER_READY);
    gate_wait(&waits);
    assert_int_equal(waits.last.verdict, SCAN_CLEAN);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_written_file_gets_its_verdict),
        TEST(test_what_is_no_regular_file_is_left_alone),
        TEST(test_drain_waits_for_the_responder),
        TEST(test_a_full_responder_holds_work_back),
        TEST(test_a_file_written_while_scanned_is_scanned_again),
        TEST(test_a_file_that_keeps_changing_is_incomplete),
        TEST(test_work_waits_for_an_engine),
        TEST(test_unfinished_scans_are_told_once),
        TEST(test_arrivals_of_a_file_just_scanned_are_folded),
        TEST(test_written_files_come_first_and_none_starves),
        TEST(test_a_flood_is_folded_and_nothing_is_lost),
        TEST(test_unreadable_files_are_told_once),
        TEST(test_a_shortage_of_descriptors_passes),
        TEST(test_a_shortage_between_opening_and_scanning_passes),
        TEST(test_a_job_tells_what_it_found),
        TEST(test_unchanged_files_are_settled_by_the_cache),
        TEST(test_nothing_is_cached_where_times_do_not_tell_of_writes),
        TEST(test_a_restart_scans_only_what_changed),
        TEST(test_a_dirty_mapping_is_never_remembered),
        TEST(test_a_writer_during_the_scan_is_not_held_and_not_remembered),
        TEST(test_jobs_can_be_cancelled),
        TEST(test_a_polite_job_waits_while_the_host_is_busy),
        TEST(test_new_signatures_scan_known_files_again),
        TEST(test_a_verdict_on_an_own_file_is_taken),
        TEST(test_a_busy_host_does_not_hold_new_signatures_for_ever),
        TEST(test_users_who_wait_take_turns),
        TEST(test_an_ask_that_nobody_waits_for_takes_no_worker),
        TEST(test_an_ask_does_not_wait_for_signatures_that_were_given_up),
        TEST(test_an_ask_waits_for_an_engine_that_died),
    };

    return cmocka_run_group_tests_name("agent/scan/scan_pipeline", tests, NULL, NULL);
}
