/* What the mirror takes in, what it refuses, and what it sweeps. */
#include "console/signatures/mirror.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
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

static uint64_t ahead_ns;

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
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_true(stands(place, names[i]));
    ahead_ns = 48ULL * 3600 * NS_PER_SECOND;
    mirror_sweep(&place->mirror);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        assert_false(stands(place, names[i]));
    assert_true(stands(place, "other"));
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
        cmocka_unit_test_setup_teardown(test_an_end_while_others_are_judged, set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
