/* Five thousand detections at once, from several threads: all are committed in few groups, all end
 * in the quarantine, none twice. */
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include <cmocka.h>

#define FILES   5000
#define THREADS 4

static atomic_uint done_count, failed_count;

static void note_done(void *user, int result)
{
    (void)user;
    if (result < 0)
        atomic_fetch_add(&failed_count, 1);
    atomic_fetch_add(&done_count, 1);
}

struct part {
    struct respond_fixture *fixture;
    int first;
};

static void submit(struct respond_fixture *fixture, int number)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct detection detection = {.result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    AUTO_FREE char *path = text_format_new("%s/f%d", fixture->files, number);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    int r;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    detection.path = path;
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    while ((r = responder_submit(fixture->responder, &detection, note_done, NULL)) == -EAGAIN)
        (void)nanosleep(&pause, NULL); /* told to hold back */
    assert_int_equal(r, 0);
}

static void *submit_part(void *user)
{
    const struct part *part = user;

    for (int i = part->first; i < FILES; i += THREADS)
        submit(part->fixture, i);
    return NULL;
}

static int note_id(void *user, const struct quarantine_entry *entry)
{
    unsigned char *seen = user;
    uint64_t number;

    assert_int_equal(text_parse_u64(strrchr(entry->path, '/') + 2, &number), 0);
    assert_true(number < FILES);
    assert_int_equal(seen[number], 0);
    seen[number] = 1;
    return 0;
}

static void a_flood_is_quarantined_in_few_commits(void **state)
{
    static unsigned char seen[FILES];
    struct respond_fixture fixture;
    struct part parts[THREADS];
    pthread_t threads[THREADS];
    struct store_status status;

    (void)state;
    fixture_open(&fixture, "/tmp");
    for (int i = 0; i < FILES; i++) {
        char name[16];

        (void)text_format(name, sizeof(name), "f%d", i);
        fixture_make(&fixture, name, name);
    }
    fixture_start(&fixture);
    for (int i = 0; i < THREADS; i++) {
        parts[i] = (struct part){&fixture, i};
        assert_int_equal(pthread_create(&threads[i], NULL, submit_part, &parts[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    fixture_settle(&fixture);
    assert_int_equal(atomic_load(&done_count), FILES);
    assert_int_equal(atomic_load(&failed_count), 0);
    assert_int_equal(fixture_events(&fixture, "malware_found"), FILES);
    assert_int_equal(fixture_events(&fixture, "malware_quarantined"), FILES);
    assert_int_equal(
        quarantine_list(responder_quarantine(fixture.responder), NULL, 0, note_id, seen), 0);
    assert_null(memchr(seen, 0, sizeof(seen)));
    store_status(fixture.store, &status);
    assert_true(status.groups < FILES / 4);
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_flood_is_quarantined_in_few_commits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
