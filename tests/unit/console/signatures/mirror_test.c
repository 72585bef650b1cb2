/* What the mirror takes in, what it refuses, and what it sweeps. */
#include "console/signatures/mirror.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/signatures/mirror_entry.h"
#include "console/signatures/mirror_memory.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NO_DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static uint64_t ahead_ns;
static size_t files_read;

ssize_t __real_file_read(int fd, void *bytes, size_t length);
ssize_t __wrap_file_read(int fd, void *bytes, size_t length);
ssize_t __wrap_file_read(int fd, void *bytes, size_t length)
{
    ssize_t r = __real_file_read(fd, bytes, length);
    files_read += r == 0; /* to its end */
    return r;
}

uint64_t __real_clock_realtime_ns(void);
uint64_t __wrap_clock_realtime_ns(void);
uint64_t __wrap_clock_realtime_ns(void)
{
    return __real_clock_realtime_ns() + ahead_ns;
}

struct place {
    struct store_place *store;
    char folder[64], from[96], directory[96], program[96], fifo[96];
    struct mirror mirror;
    struct mirror_memory memory;
    int result; /* of the last file */
    char problem[SIGNATURE_PROBLEM_BYTES];
    unsigned looks;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    if (store_place_open(state) < 0)
        return -1;
    place->store = *state;
    (void)text_copy(place->folder, sizeof place->folder, "/tmp/yagura-mirror-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)text_format(place->from, sizeof place->from, "%s/from", place->folder);
    (void)text_format(place->directory, sizeof place->directory, "%s/mirror", place->folder);
    (void)text_format(place->program, sizeof place->program, "%s/program", place->folder);
    (void)text_format(place->fifo, sizeof place->fifo, "%s/fifo", place->folder);
    assert_int_equal(mkdir(place->from, 0700), 0);
    place->mirror = (struct mirror){.store = place->store->store, .directory = place->directory};
    ahead_ns = 0;
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    void *store = place->store;

    assert_int_equal(file_remove_tree(AT_FDCWD, place->folder), 0);
    free(place);
    return store_place_close(&store);
}

static void told(void *user, const struct mirror_outcome *outcome)
{
    struct place *place = user;

    place->result = outcome->result;
    (void)text_copy(place->problem, sizeof place->problem, outcome->problem);
}

static void write_file(const char *folder, const char *name, const char *text, mode_t mode)
{
    AUTO_FREE char *path = text_format_new("%s/%s", folder, name);

    assert_int_equal(file_replace(path, text, strlen(text), mode), 0);
}

static size_t take_in(struct place *place, bool (*ending)(void *user))
{
    const struct mirror_take take = {.folder = place->from,
                                     .source = "import",
                                     .actor = "test",
                                     .unsigned_too = true,
                                     .told = told,
                                     .ending = ending,
                                     .memory = &place->memory,
                                     .user = place};
    size_t taken = 0;

    place->result = 99;
    assert_int_equal(mirror_take(&place->mirror, &take, &taken), 0);
    return taken;
}

static void test_what_is_refused(void **state)
{
    struct place *place = *state;

    write_file(place->from, "own.ndb", "", 0600);
    assert_int_equal(take_in(place, NULL), 0);
    assert_int_equal(place->result, -EBADMSG);
    write_file(place->from, "own.ndb", "Own.One:0:*:616263\nYagura.Denied.Own:0:*:616263\n", 0600);
    assert_int_equal(take_in(place, NULL), 0);
    assert_int_equal(place->result, -EINVAL);
    assert_non_null(strstr(place->problem, "line 2:"));
    write_file(place->from, "own.ndb", "Own.One:0:*:616263\n", 0600);
    assert_int_equal(take_in(place, NULL), 1);
    assert_int_equal(place->result, 1);
}

static bool stands(const struct place *place, const char *name)
{
    AUTO_FREE char *path = text_format_new("%s/%s", place->directory, name);

    return access(path, F_OK) == 0;
}

/* Whatever a crash can leave there, once it is old. */
static void test_sweep(void **state)
{
    static const char *const names[] = {"take-abcdef", "signatures-abcdef", "scanner-1-abcdef"};
    struct place *place = *state;

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        AUTO_FREE char *path = text_format_new("%s/%s", place->directory, names[i]);
        assert_int_equal(file_make_directories(path, 0700), 0);
        write_file(path, "list.ndb", "x", 0600);
    }
    write_file(place->directory, "other", "x", 0600);
    mirror_sweep(&place->mirror);
    write_file(place->directory, NO_DIGEST, "x", 0600);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_true(stands(place, names[i]));
    ahead_ns = 2ULL * 3600 * NS_PER_SECOND;
    mirror_sweep(&place->mirror);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_false(stands(place, names[i]));
    assert_true(stands(place, NO_DIGEST)); /* somebody may be fetching it */
    ahead_ns = 48ULL * 3600 * NS_PER_SECOND;
    mirror_sweep(&place->mirror);
    assert_false(stands(place, NO_DIGEST));
    assert_true(stands(place, "other"));
}

/* A database's head, and a content of its own. */
static void write_database(const struct place *place, const char *name, unsigned version)
{
    AUTO_FREE char *head = text_format_new("ClamAV-VDB:22 Nov 2026 08-00 -0500:%u:1:90:"
                                           "00000000000000000000000000000000:x:x:1764000000",
                                           version);
    AUTO_FREE char *text = text_format_new("%-512s%s", head, name);

    write_file(place->from, name, text, 0600);
}

static void remove_file(const struct place *place, const char *name)
{
    AUTO_FREE char *path = text_format_new("%s/%s", place->from, name);

    assert_int_equal(unlink(path), 0);
}

static int read_entry(struct sql *sql, void *user)
{
    struct mirror_entry *entry = user;
    char name[SIGNATURE_NAME_BYTES];

    (void)text_copy(name, sizeof name, entry->name);
    return mirror_entry_read(sql, name, entry);
}

static uint64_t offered(const struct place *place, const char *name, const char *as)
{
    struct mirror_entry entry = {.version = 0};

    (void)text_copy(entry.name, sizeof entry.name, name);
    assert_int_equal(console_store_read(place->store->store, read_entry, &entry), 1);
    assert_string_equal(entry.name, as);
    return entry.version;
}

/* freshclam makes a .cld out of a .cvd: the same database. */
static void test_an_older_one_in_another_form(void **state)
{
    struct place *place = *state;

    write_database(place, "daily.cvd", 20);
    assert_int_equal(take_in(place, NULL), 1);
    remove_file(place, "daily.cvd");
    write_database(place, "daily.cld", 21);
    assert_int_equal(take_in(place, NULL), 1);
    assert_int_equal(offered(place, "daily.cvd", "daily.cld"), 21);
    remove_file(place, "daily.cld");
    write_database(place, "daily.cvd", 19);
    assert_int_equal(take_in(place, NULL), 0);
    assert_int_equal(place->result, -ESTALE);
    assert_int_equal(offered(place, "daily.cvd", "daily.cld"), 21);
}

/* The other node's work is done when this node's waits for the writer, with what it read. */
static int put_newer(struct sql *sql, void *user)
{
    const struct place *place = user;
    const struct mirror_entry entry = {
        .name = "daily.cvd", .sha256 = NO_DIGEST, .source = "import", .size = 1, .version = 22};

    while (console_store_waiting(place->store->store) == 0)
        (void)usleep(1000);
    return mirror_entry_put(sql, &entry);
}

static void ignore(void *user UNUSED, int result)
{
    assert_int_equal(result, 0);
}

static void test_another_node_is_faster(void **state)
{
    struct place *place = *state;

    write_database(place, "daily.cvd", 20);
    assert_int_equal(console_store_submit(place->store->store, put_newer, ignore, place), 0);
    assert_int_equal(take_in(place, NULL), 0);
    assert_int_equal(place->result, -ESTALE);
    assert_int_equal(offered(place, "daily.cvd", "daily.cvd"), 22);
}

static int delete_entry(struct sql *sql, void *user)
{
    return mirror_entry_delete(sql, user);
}

/* Looked at long after they were written. */
static void test_what_did_not_change_is_not_read(void **state)
{
    struct place *place = *state;

    write_file(place->from, "own.ndb", "Own.One:0:*:616263\n", 0600);
    write_file(place->from, "bad.ndb", "Yagura.Denied.Own:0:*:616263\n", 0600);
    ahead_ns = 10 * NS_PER_SECOND;
    assert_int_equal(take_in(place, NULL), 1);
    files_read = 0;
    assert_int_equal(take_in(place, NULL), 0);
    assert_int_equal(place->result, 0); /* of the good one: nobody hears of the other again */
    assert_int_equal(files_read, 0);
    /* Somebody deletes it from the mirror, and it is there. */
    assert_int_equal(
        console_store_write(place->store->store, delete_entry, (void *)(uintptr_t) "own.ndb"), 0);
    assert_int_equal(take_in(place, NULL), 1);
    assert_int_equal(files_read, 1);
    write_file(place->from, "own.ndb", "Own.Two:0:*:616263\n", 0600);
    assert_int_equal(take_in(place, NULL), 1); /* of the same size */
    /* What has just changed may change again within a tick of the disk's clock. */
    ahead_ns = 0;
    write_file(place->from, "own.ndb", "Own.Six:0:*:616263\n", 0600);
    assert_int_equal(take_in(place, NULL), 1);
    files_read = 0;
    assert_int_equal(take_in(place, NULL), 0);
    assert_int_equal(files_read, 1);
}

static void *judge(void *user)
{
    const struct place *place = user;
    char problem[SIGNATURE_PROBLEM_BYTES];
    size_t entries;

    return (void *)(intptr_t)signature_judge_text(&place->mirror.judge, "ndb", "A:0:*:616263\n",
                                                  &entries, problem);
}

/* True from the second look: the first comes before the file. */
static bool ends(void *user)
{
    struct place *place = user;

    return place->looks++ > 0;
}

/* A console that stops does not wait until other signatures are judged. */
static void test_an_end_while_others_are_judged(void **state)
{
    struct place *place = *state;
    char script[160];
    pthread_t thread;
    void *judged;

    (void)text_format(script, sizeof script, "#!/bin/sh\nread -r line <%s\n", place->fifo);
    write_file(place->folder, "program", script, 0700);
    assert_int_equal(mkfifo(place->fifo, 0600), 0);
    assert_int_equal(mkdir(place->directory, 0700), 0);
    place->mirror.judge = (struct signature_judge){place->program, place->directory};
    write_file(place->from, "own.ndb", "Own.One:0:*:616263\n", 0600);
    assert_int_equal(pthread_create(&thread, NULL, judge, place), 0);
    int fd = open(place->fifo, O_WRONLY | O_CLOEXEC); /* once the program runs */
    assert_true(fd >= 0);
    assert_int_equal(take_in(place, ends), 0);
    assert_int_equal(place->result, -ECANCELED);
    assert_int_equal(write(fd, "\n", 1), 1);
    (void)close(fd);
    assert_int_equal(pthread_join(thread, &judged), 0);
    assert_true((intptr_t)judged < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sweep, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_older_one_in_another_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_node_is_faster, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_did_not_change_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_end_while_others_are_judged, set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
