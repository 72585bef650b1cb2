/* The agent dies (SIGKILL) while it quarantines: at every named step, and at random moments. After
 * the restart each file is either in its place and reported, or in the quarantine once and
 * restorable byte by byte; none is lost, none is doubled.
 *
 * A child process runs store and responder; respond_step, replaced at link time, kills it. */
#include "agent/respond/respond_step.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

#define FILES 12
#define LARGE (LIMIT_QUARANTINE_JOURNAL + 1000)

/* Large ones are synced before their result is told, small ones after. */
static size_t content_bytes;

/* In the child: the step and how many times it passes before the end; -1 = never. */
static int fatal_step = -1;
static atomic_int passes_left;

void __wrap_respond_step(enum respond_step step);
void __wrap_respond_step(enum respond_step step)
{
    if ((int)step == fatal_step && atomic_fetch_sub(&passes_left, 1) == 0)
        (void)kill(getpid(), SIGKILL);
}

static void name_of(char name[static 16], int number)
{
    (void)text_format(name, 16, "file%d", number);
}

static char *content_of(int number)
{
    char *content = malloc(content_bytes + 64);

    assert_non_null(content);
    memset(content, '.', content_bytes);
    (void)text_format(content + content_bytes, 64, "content of malware number %d", number);
    return content;
}

static void make_files(const struct respond_fixture *fixture)
{
    for (int i = 0; i < FILES; i++) {
        AUTO_FREE char *content = content_of(i);
        char name[16];

        name_of(name, i);
        fixture_make(fixture, name, content);
    }
}

static void submit(struct respond_fixture *fixture, int number)
{
    char name[16];
    struct detection detection = {.result = {.verdict = SCAN_INFECTED, .signature = "Test.M"}};
    struct stat status;
    AUTO_FREE char *path = NULL;
    AUTO_CLOSE int fd = -1;
    int r;

    name_of(name, number);
    path = fixture_path(fixture, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) < 0)
        return; /* quarantined in an earlier round */
    detection.path = path;
    detection.fd = fd;
    detection.identity = file_identity_of(&status);
    r = responder_submit(fixture->responder, &detection, NULL, NULL);
    assert_int_equal(r, 0);
}

/* The agent's life until it is killed; ends by itself when nothing kills it. */
static void live(struct respond_fixture *fixture, int step, int passes)
{
    fatal_step = step;
    atomic_store(&passes_left, passes);
    fixture_start(fixture);
    for (int i = 0; i < FILES; i++)
        submit(fixture, i);
    fixture_settle(fixture);
    fixture_stop(fixture); /* finishes what was told */
    _exit(0);
}

/* Returns whether it was killed. delay_us: killed from outside after that long; 0: by the step. */
static bool run_and_kill(struct respond_fixture *fixture, int step, int passes, unsigned delay_us)
{
    struct timespec delay = {.tv_nsec = (long)delay_us * 1000};
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0)
        live(fixture, step, passes);
    if (delay_us > 0) {
        (void)nanosleep(&delay, NULL);
        (void)kill(child, SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status);
}

/* ---- what must be true afterwards ---- */

struct findings {
    unsigned rows[FILES];
    struct quarantine *quarantine;
    unsigned strangers;
};

static int find_row(void *user, const struct quarantine_entry *entry)
{
    struct findings *findings = user;
    const char *slash = strrchr(entry->path, '/');
    uint64_t number;

    if (slash && text_starts_with(slash, "/file") && text_parse_u64(slash + 5, &number) == 0 &&
        number < FILES)
        findings->rows[number]++;
    else
        findings->strangers++;
    return 0;
}

static int restore_row(void *user, const struct quarantine_entry *entry)
{
    struct findings *findings = user;
    struct quarantine_restore in_place = {0};
    int missing;

    assert_int_equal(quarantine_restore(findings->quarantine, entry->id, &in_place, &missing), 0);
    return 0;
}

static int count_found(void *user, const struct event_record *event)
{
    unsigned *found = user;
    const char *slash = strrchr(event->subject, '/');
    uint64_t number;

    if (slash && text_parse_u64(slash + 5, &number) == 0 && number < FILES)
        found[number]++;
    return 0;
}

static void check_place(const struct respond_fixture *fixture, int number)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(LARGE + 4096);
    AUTO_FREE char *path = NULL, *expected = content_of(number);
    struct stat status;
    char name[16];

    name_of(name, number);
    path = fixture_path(fixture, name);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(file_read_all(path, &content), 0);
    assert_string_equal(buffer_text(&content), expected);
}

/* Nothing may be left in the folder that files are moved through. */
static void check_holding_is_empty(const struct respond_fixture *fixture)
{
    AUTO_FREE char *path = text_format_new("%s/moved", fixture->state);

    if (rmdir(path) < 0)
        assert_int_equal(errno, ENOENT);
}

/* A file that was killed before its intent was committed is still there unreported; the agent's
 * next scan sees it: submit all again. */
static void check_after_restart(struct respond_fixture *fixture)
{
    struct findings findings = {0};
    unsigned found[FILES] = {0};
    struct event_filter filter = {.kind = "malware_found"};

    fatal_step = -1;
    fixture_start(fixture);
    fixture_settle(fixture);
    assert_int_equal(store_read_events(fixture->store, &filter, count_found, found), 0);
    findings.quarantine = responder_quarantine(fixture->responder);
    assert_int_equal(quarantine_list(findings.quarantine, NULL, 0, find_row, &findings), 0);
    assert_int_equal(findings.strangers, 0);
    for (int i = 0; i < FILES; i++) {
        char name[16];

        name_of(name, i);
        assert_true(findings.rows[i] + (fixture_exists(fixture, name) ? 1U : 0U) == 1U);
        assert_true(found[i] <= 1);
        if (found[i] > 0)
            assert_int_equal(findings.rows[i], 1); /* reported: dealt with after the restart */
    }
    for (int i = 0; i < FILES; i++)
        submit(fixture, i);
    fixture_settle(fixture);
    assert_int_equal(fixture_rows(fixture, NULL), FILES);
    assert_int_equal(quarantine_list(findings.quarantine, NULL, 0, restore_row, &findings), 0);
    for (int i = 0; i < FILES; i++)
        check_place(fixture, i);
    fixture_stop(fixture);
    check_holding_is_empty(fixture);
}

static void kill_at(int step, int passes)
{
    struct respond_fixture fixture;

    fixture_open(&fixture, "/tmp");
    make_files(&fixture);
    assert_true(run_and_kill(&fixture, step, passes, 0));
    check_after_restart(&fixture);
    fixture_close(&fixture);
}

static void killed_at_each_step(void **state)
{
    (void)state;
    content_bytes = 0;
    for (int step = 0; step < RESPOND_STEP_COUNT; step++)
        for (int passes = 0; passes < FILES; passes += 5)
            if (step != RESPOND_STEP_SYNCED && (step != RESPOND_STEP_BEFORE_SYNC || passes == 0))
                kill_at(step, passes);
}

static void killed_with_large_files(void **state)
{
    (void)state;
    content_bytes = LARGE;
    for (int step = RESPOND_STEP_SEALED; step <= RESPOND_STEP_UNLINKED; step++)
        kill_at(step, 0);
    content_bytes = 0;
}

static void killed_again_while_it_recovers(void **state)
{
    (void)state;
    for (int step = 0; step < RESPOND_STEP_COUNT; step++) {
        struct respond_fixture fixture;

        fixture_open(&fixture, "/tmp");
        make_files(&fixture);
        assert_true(run_and_kill(&fixture, RESPOND_STEP_SEALED, 3, 0));
        (void)run_and_kill(&fixture, step, 0, 0);
        (void)run_and_kill(&fixture, step, 1, 0);
        check_after_restart(&fixture);
        fixture_close(&fixture);
    }
}

static void killed_at_random_moments(void **state)
{
    unsigned seed = 20261122, killed = 0;

    (void)state;
    for (int round = 0; round < 25; round++) {
        struct respond_fixture fixture;

        fixture_open(&fixture, "/tmp");
        make_files(&fixture);
        killed += run_and_kill(&fixture, -1, 0, 500 + (unsigned)rand_r(&seed) % 40000);
        check_after_restart(&fixture);
        fixture_close(&fixture);
    }
    assert_true(killed > 0);
}

/* The store's file is lost as well: what lay moved or sealed is still restorable. */
static void the_store_is_lost_with_the_crash(void **state)
{
    (void)state;
    for (int step = RESPOND_STEP_MOVED; step < RESPOND_STEP_COUNT; step++) {
        AUTO_FREE char *database = NULL, *log = NULL, *index = NULL;
        struct respond_fixture fixture;
        unsigned kept, present = 0;

        if (step == RESPOND_STEP_SYNCED)
            continue; /* only of large ones */
        fixture_open(&fixture, "/tmp");
        make_files(&fixture);
        assert_true(run_and_kill(&fixture, step, step == RESPOND_STEP_BEFORE_SYNC ? 0 : 2, 0));
        database = text_format_new("%s/events.db", fixture.state);
        log = text_format_new("%s-wal", database);
        index = text_format_new("%s-shm", database);
        assert_int_equal(unlink(database), 0);
        assert_true(unlink(log) == 0 || errno == ENOENT);
        assert_true(unlink(index) == 0 || errno == ENOENT);
        fixture_start(&fixture);
        fixture_settle(&fixture);
        kept = fixture_rows(&fixture, NULL);
        for (int i = 0; i < FILES; i++) {
            char name[16];

            name_of(name, i);
            present += fixture_exists(&fixture, name);
        }
        /* A file sealed and still lying moved may be there twice, never not at all. */
        assert_true(kept + present >= FILES);
        fixture_close(&fixture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_each_step),
        cmocka_unit_test(killed_with_large_files),
        cmocka_unit_test(killed_again_while_it_recovers),
        cmocka_unit_test(killed_at_random_moments),
        cmocka_unit_test(the_store_is_lost_with_the_crash),
    };

    cmocka_set_test_filter(getenv("YAGURA_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
