#include "tests/system/watch/watch_harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>

#include <setjmp.h>

#include <cmocka.h>

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define SYNC_TIMEOUT_NS (120 * NS_PER_SECOND)
#define KINDS           (WATCH_WALKED + 1)
#define BUCKETS         65536U
#define RING            256U

struct told_path {
    struct told_path *next;
    unsigned int counts[KINDS];
    off_t size_seen; /* of the file when it was last told */
    char path[];
};

struct recorder {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct told_path *buckets[BUCKETS];
    uint64_t totals[KINDS];
    char details[KINDS][256];
    bool hold, held;
};

static unsigned int bucket_of(const char *path)
{
    unsigned int hash = 2166136261U;

    for (; *path != '\0'; path++)
        hash = (hash ^ (unsigned char)*path) * 16777619U;
    return hash % BUCKETS;
}

struct recorder *recorder_new(void)
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));

    assert_non_null(recorder);
    (void)pthread_mutex_init(&recorder->lock, NULL);
    (void)pthread_cond_init(&recorder->changed, NULL);
    return recorder;
}

void recorder_clear(struct recorder *recorder)
{
    (void)pthread_mutex_lock(&recorder->lock);
    for (unsigned int i = 0; i < BUCKETS; i++) {
        while (recorder->buckets[i] != NULL) {
            struct told_path *next = recorder->buckets[i]->next;

            free(recorder->buckets[i]);
            recorder->buckets[i] = next;
        }
    }
    memset(recorder->totals, 0, sizeof(recorder->totals));
    memset(recorder->details, 0, sizeof(recorder->details));
    (void)pthread_mutex_unlock(&recorder->lock);
}

struct recorder *recorder_free(struct recorder *recorder)
{
    recorder_clear(recorder);
    free(recorder);
    return NULL;
}

static struct told_path *find(struct recorder *recorder, const char *path)
{
    struct told_path *told = recorder->buckets[bucket_of(path)];

    while (told != NULL && !text_equal(told->path, path))
        told = told->next;
    return told;
}

void recorder_sink(void *user, const struct watch_event *event)
{
    struct recorder *recorder = user;
    struct told_path *told;

    (void)pthread_mutex_lock(&recorder->lock);
    while (recorder->hold) {
        recorder->held = true;
        (void)pthread_cond_broadcast(&recorder->changed);
        (void)pthread_cond_wait(&recorder->changed, &recorder->lock);
    }
    recorder->held = false;
    told = find(recorder, event->path);
    if (told == NULL) {
        told = calloc(1, sizeof(*told) + event->path_length + 1);
        if (told == NULL)
            abort();
        memcpy(told->path, event->path, event->path_length);
        told->next = recorder->buckets[bucket_of(told->path)];
        recorder->buckets[bucket_of(told->path)] = told;
    }
    told->counts[event->kind]++;
    if (event->kind <= WATCH_FILE_FOUND) {
        struct stat status;

        told->size_seen = lstat(event->path, &status) == 0 ? status.st_size : -1;
    }
    recorder->totals[event->kind]++;
    (void)pthread_cond_broadcast(&recorder->changed);
    if (event->detail != NULL)
        (void)text_copy(recorder->details[event->kind], sizeof(recorder->details[0]),
                        event->detail);
    (void)pthread_mutex_unlock(&recorder->lock);
}

unsigned int recorder_count(struct recorder *recorder, enum watch_event_kind kind, const char *path)
{
    const struct told_path *told;
    unsigned int count;

    (void)pthread_mutex_lock(&recorder->lock);
    told = find(recorder, path);
    count = told == NULL ? 0 : told->counts[kind];
    (void)pthread_mutex_unlock(&recorder->lock);
    return count;
}

unsigned int recorder_told(struct recorder *recorder, const char *path)
{
    return recorder_count(recorder, WATCH_FILE_WRITTEN, path) +
           recorder_count(recorder, WATCH_FILE_ARRIVED, path) +
           recorder_count(recorder, WATCH_FILE_FOUND, path);
}

/* Told when it had this size, the last time. */
static bool told_whole(struct recorder *recorder, const char *path, off_t size)
{
    const struct told_path *told;
    bool whole;

    (void)pthread_mutex_lock(&recorder->lock);
    told = find(recorder, path);
    whole = told != NULL && told->size_seen == size &&
            told->counts[WATCH_FILE_WRITTEN] + told->counts[WATCH_FILE_ARRIVED] +
                    told->counts[WATCH_FILE_FOUND] >
                0;
    (void)pthread_mutex_unlock(&recorder->lock);
    return whole;
}

uint64_t recorder_total(struct recorder *recorder, enum watch_event_kind kind)
{
    uint64_t total;

    (void)pthread_mutex_lock(&recorder->lock);
    total = recorder->totals[kind];
    (void)pthread_mutex_unlock(&recorder->lock);
    return total;
}

void recorder_detail(struct recorder *recorder, enum watch_event_kind kind, char *text, size_t size)
{
    (void)pthread_mutex_lock(&recorder->lock);
    (void)text_copy(text, size, recorder->details[kind]);
    (void)pthread_mutex_unlock(&recorder->lock);
}

void recorder_hold(struct recorder *recorder)
{
    (void)pthread_mutex_lock(&recorder->lock);
    recorder->hold = true;
    (void)pthread_mutex_unlock(&recorder->lock);
}

void recorder_await_held(struct recorder *recorder)
{
    (void)pthread_mutex_lock(&recorder->lock);
    while (!recorder->held)
        (void)pthread_cond_wait(&recorder->changed, &recorder->lock);
    (void)pthread_mutex_unlock(&recorder->lock);
}

void recorder_release(struct recorder *recorder)
{
    (void)pthread_mutex_lock(&recorder->lock);
    recorder->hold = false;
    (void)pthread_cond_broadcast(&recorder->changed);
    (void)pthread_mutex_unlock(&recorder->lock);
}

bool recorder_await(struct recorder *recorder, enum watch_event_kind kind, const char *path)
{
    return recorder_await_within(recorder, kind, path, 60 * NS_PER_SECOND);
}

bool recorder_await_within(struct recorder *recorder, enum watch_event_kind kind, const char *path,
                           uint64_t timeout_ns)
{
    struct timespec deadline = timespec_from_ns(clock_realtime_ns() + timeout_ns);
    const struct told_path *told;
    int r = 0;

    (void)pthread_mutex_lock(&recorder->lock);
    while (((told = find(recorder, path)) == NULL || told->counts[kind] == 0) && r == 0)
        r = pthread_cond_timedwait(&recorder->changed, &recorder->lock, &deadline);
    (void)pthread_mutex_unlock(&recorder->lock);
    return r == 0;
}

/* --- harness ------------------------------------------------------------------------------------
 */

void harness_init(struct harness *harness)
{
    *harness = (struct harness){0};
    (void)text_copy(harness->path, sizeof(harness->path), "/tmp/yagura-watch-XXXXXX");
    assert_non_null(mkdtemp(harness->path));
    (void)text_format(harness->root, sizeof(harness->root), "%s/root", harness->path);
    make_directory(harness->root);
    harness->recorder = recorder_new();
    harness->paths[0] = harness->root;
    harness->options = (struct watch_options){.paths = harness->paths,
                                              .settle_ns = 2 * NS_PER_SECOND,
                                              .report_found = false};
}

void harness_start(struct harness *harness)
{
    assert_int_equal(
        watch_start(&harness->options, recorder_sink, harness->recorder, &harness->watch), 0);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int result;
};

static void on_done(void *user, int result)
{
    struct waiter *waiter = user;

    (void)pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    waiter->result = result;
    (void)pthread_cond_signal(&waiter->changed);
    (void)pthread_mutex_unlock(&waiter->lock);
}

int harness_sync(struct harness *harness)
{
    return harness_sync_within(harness, SYNC_TIMEOUT_NS);
}

int harness_sync_within(struct harness *harness, uint64_t timeout_ns)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

    int r = watch_sync(harness->watch, timeout_ns, on_done, &waiter);
    if (r < 0)
        return r;
    (void)pthread_mutex_lock(&waiter.lock);
    while (!waiter.done)
        (void)pthread_cond_wait(&waiter.changed, &waiter.lock);
    (void)pthread_mutex_unlock(&waiter.lock);
    return waiter.result;
}

void harness_stop(struct harness *harness)
{
    harness->watch = watch_stop(harness->watch);
}

void harness_done(struct harness *harness)
{
    harness_stop(harness);
    assert_int_equal(file_remove_tree(AT_FDCWD, harness->path), 0);
    harness->recorder = recorder_free(harness->recorder);
}

const char *harness_path(struct harness *harness, const char *format, ...)
{
    static _Thread_local char ring[RING][512];
    static _Thread_local unsigned int next;
    char *path = ring[next++ % RING];
    va_list arguments;

    int length = text_format(path, sizeof(ring[0]), "%s/", harness->root);
    assert_true(length > 0);
    va_start(arguments, format);
    assert_true(
        text_format_list(path + length, sizeof(ring[0]) - (size_t)length, format, arguments) >= 0);
    va_end(arguments);
    return path;
}

void write_file(const char *path, const char *content)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0 || file_write(fd, content, strlen(content)) < 0)
        fail_msg("cannot write %s: %s", path, strerrordesc_np(errno));
}

void make_directory(const char *path)
{
    if (mkdir(path, 0755) < 0 && errno != EEXIST)
        fail_msg("cannot make %s: %s", path, strerrordesc_np(errno));
}

static struct harness *missed_of;
static unsigned int missed, looked_at;

static int count_missed(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)walk;
    if (type != FTW_F || !S_ISREG(status->st_mode))
        return 0;
    looked_at++;
    if (!told_whole(missed_of->recorder, path, status->st_size) && ++missed <= 10)
        print_message("missed: %s\n", path);
    return 0;
}

unsigned int harness_missed(struct harness *harness, unsigned int *ret_files)
{
    missed_of = harness;
    missed = looked_at = 0;
    assert_int_equal(nftw(harness->root, count_missed, 64, FTW_PHYS), 0);
    *ret_files = looked_at;
    return missed;
}
