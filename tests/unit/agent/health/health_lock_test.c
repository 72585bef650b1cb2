/* A file system that never answers holds nobody up but the thread that asked it: each call that
 * asks one about a test file is made to find out whether others still get theirs. */
#include "agent/health/health_private.h"
#include "agent/store/store.h"
#include "common/event_loop/event_loop.h"
#include "common/time/clock.h"
#include "tests/unit/agent/health/watched_folder.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/yagura-health-lock-XXXXXX";
static struct health *health;
static struct scan_pipeline *const pipeline = (struct scan_pipeline *)&directory; /* never read */

/* How often each was called, and what went wrong then. Of health's thread until it has answered. */
static struct {
    unsigned opened, created, looked, removed, filled;
    unsigned locked, strangers;
} calls;

/* ---- what health uses ---- */

void scan_pipeline_set_own_file(struct scan_pipeline *scanned UNUSED,
                                scan_own_file *own_file UNUSED, void *user UNUSED)
{
}

void scan_pipeline_status(struct scan_pipeline *scanned UNUSED,
                          struct scan_pipeline_status *ret_status)
{
    *ret_status = (struct scan_pipeline_status){.scanner = {.state = SCANNER_NO_SIGNATURES}};
}

int store_append(struct store *store UNUSED, const struct event_draft *draft UNUSED,
                 store_work *work UNUSED, store_committed *committed UNUSED, void *user UNUSED)
{
    return 0;
}

int event_loop_post(struct event_loop *loop UNUSED, event_post_handler *handler UNUSED,
                    void *user UNUSED)
{
    return 0;
}

/* ---- the file system ---- */

/* Others hold it for a moment at most. */
static bool expect_unlocked(unsigned *calls_of_it)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 2;
    ++*calls_of_it;
    if (pthread_mutex_timedlock(&health->lock, &until) != 0)
        calls.locked++;
    else
        (void)pthread_mutex_unlock(&health->lock);
    return calls.locked == 0;
}

/* The watch, which tells the file before its maker has come back. */
static void tell(const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    const struct watch_event event = {.kind = WATCH_FILE_CHANGED,
                                      .path = path,
                                      .path_length = strlen(path)};
    if (!health_take_event(health, &event))
        calls.strangers++;
}

int __real_file_open_directory(const char *path, bool readable, int *ret_fd);
int __wrap_file_open_directory(const char *path, bool readable, int *ret_fd);
int __wrap_file_open_directory(const char *path, bool readable, int *ret_fd)
{
    (void)expect_unlocked(&calls.opened);
    return __real_file_open_directory(path, readable, ret_fd);
}

int __real_file_open_at(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd);
int __wrap_file_open_at(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd);
int __wrap_file_open_at(int directory_fd, const char *path, int flags, mode_t mode, int *ret_fd)
{
    bool unlocked = expect_unlocked(&calls.created);
    int r = __real_file_open_at(directory_fd, path, flags, mode, ret_fd);
    if (r == 0 && unlocked)
        tell(path);
    return r;
}

int __real_file_write(int fd, const void *bytes, size_t length);
int __wrap_file_write(int fd, const void *bytes, size_t length);
int __wrap_file_write(int fd, const void *bytes, size_t length)
{
    (void)expect_unlocked(&calls.filled);
    return __real_file_write(fd, bytes, length);
}

int __real_fstatat64(int directory_fd, const char *path, struct stat *status, int flags);
int __wrap_fstatat64(int directory_fd, const char *path, struct stat *status, int flags);
int __wrap_fstatat64(int directory_fd, const char *path, struct stat *status, int flags)
{
    (void)expect_unlocked(&calls.looked);
    return __real_fstatat64(directory_fd, path, status, flags);
}

int __real_unlinkat(int directory_fd, const char *path, int flags);
int __wrap_unlinkat(int directory_fd, const char *path, int flags);
int __wrap_unlinkat(int directory_fd, const char *path, int flags)
{
    (void)expect_unlocked(&calls.removed);
    return __real_unlinkat(directory_fd, path, flags);
}

/* ---- the test ---- */

static void ignore_place(void *user UNUSED, const struct health_place *place UNUSED) {}

static void no_file_system_is_asked_under_the_lock(void **state UNUSED)
{
    const char *const paths[] = {directory, NULL};
    const struct watch_options watch = watched_folder(paths);
    const struct health_options options = {.watch = &watch, .patience_ns = NS_PER_MS};
    const struct health_parts parts = {.pipeline = pipeline};
    struct health_status status;

    assert_non_null(mkdtemp(directory));
    assert_int_equal(health_start(&options, &parts, &health), 0);
    assert_int_equal(health_check(health, 60 * NS_PER_SECOND, ignore_place, NULL), 0);
    health_status(health, &status);
    assert_int_equal(status.places, 1);
    assert_int_equal(status.silent, 1); /* there is no watch */
    assert_true(calls.opened > 0 && calls.created > 0 && calls.filled > 0);
    assert_true(calls.looked > 0 && calls.removed > 0);
    assert_int_equal(calls.locked, 0);
    assert_int_equal(calls.strangers, 0);
    health = health_stop(health);
    assert_int_equal(rmdir(directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_file_system_is_asked_under_the_lock)};

    return cmocka_run_group_tests_name("agent/health/lock", tests, NULL, NULL);
}
