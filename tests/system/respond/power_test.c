/* The power fails after the result was told and before the disk had what was done: the rename, the
 * sealed file, the content. A child is killed at that moment, then the test takes from the disk
 * what a power cut may take: everything that was not synced. After the restart the file is in the
 * quarantine once and restorable, in no place besides, and told once.
 *
 * A second hard link of the file stands for the inode that survives on the disk. */
#include "agent/respond/respond_step.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define CONTENT "this is malware, we say"

static int fatal_step = -1;

void __wrap_respond_step(enum respond_step step);
void __wrap_respond_step(enum respond_step step)
{
    if ((int)step == fatal_step)
        (void)kill(getpid(), SIGKILL);
}

struct scene {
    struct respond_fixture fixture;
    char *path, *survivor; /* the file, and its inode's other name */
};

static int set_up(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    assert_non_null(scene);
    fatal_step = -1;
    fixture_open(&scene->fixture, "/tmp");
    fixture_make(&scene->fixture, "evil", CONTENT);
    scene->path = fixture_path(&scene->fixture, "evil");
    scene->survivor = text_format_new("%s/survivor", scene->fixture.directory);
    assert_int_equal(link(scene->path, scene->survivor), 0);
    *state = scene;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *scene = *state;

    fixture_close(&scene->fixture);
    free(scene->path);
    free(scene->survivor);
    free(scene);
    return 0;
}

static void crash_at(struct scene *scene, enum respond_step step)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        fatal_step = (int)step;
        fixture_start(&scene->fixture);
        (void)fixture_detect(&scene->fixture, "evil", "Test.M");
        fixture_settle(&scene->fixture);
        fixture_stop(&scene->fixture);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_false(fixture_exists(&scene->fixture, "evil"));
}

/* The only file of a folder of the state directory; NULL when it is empty. */
static char *only_file(const struct scene *scene, const char *folder)
{
    AUTO_FREE char *directory = text_format_new("%s/%s", scene->fixture.state, folder);
    DIR *stream = opendir(directory);
    struct dirent *entry;
    char *path = NULL;

    assert_non_null(stream);
    while ((entry = readdir(stream)))
        if (entry->d_name[0] != '.') {
            assert_null(path);
            path = text_format_new("%s/%s", directory, entry->d_name);
        }
    (void)closedir(stream);
    return path;
}

static void lose_sealed(const struct scene *scene)
{
    AUTO_FREE char *sealed = only_file(scene, "quarantine");

    if (sealed)
        assert_int_equal(unlink(sealed), 0);
}

static void lose_moved(const struct scene *scene)
{
    AUTO_FREE char *moved = only_file(scene, "moved");

    if (moved)
        assert_int_equal(unlink(moved), 0);
}

/* The rename and the change of mode never reached the disk. */
static void lose_move(const struct scene *scene)
{
    lose_moved(scene);
    assert_int_equal(rename(scene->survivor, scene->path), 0);
    assert_int_equal(chmod(scene->path, 0640), 0);
}

static void check_content(const char *path, const char *expected)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(65536);

    assert_int_equal(file_read_all(path, &content), 0);
    assert_string_equal(buffer_text(&content), expected);
}

static void restart(struct scene *scene)
{
    fatal_step = -1;
    fixture_start(&scene->fixture);
    fixture_settle(&scene->fixture);
    fixture_stop(&scene->fixture); /* finishes */
    fixture_start(&scene->fixture);
    fixture_settle(&scene->fixture);
}

static void check_quarantined_once(struct scene *scene)
{
    AUTO_FREE char *moved = only_file(scene, "moved");
    AUTO_FREE char *copy = text_format_new("%s/copy", scene->fixture.directory);
    struct quarantine_restore elsewhere = {.to = copy};
    struct quarantine_usage usage;
    char id[UUID_TEXT_BYTES];
    int missing;

    assert_null(moved);
    assert_int_equal(fixture_rows(&scene->fixture, id), 1);
    assert_int_equal(fixture_events(&scene->fixture, "malware_found"), 1);
    assert_int_equal(fixture_events(&scene->fixture, "malware_quarantined"), 1);
    assert_int_equal(fixture_events(&scene->fixture, "quarantine_missing"), 0);
    assert_int_equal(fixture_events(&scene->fixture, "quarantine_damaged"), 0);
    assert_int_equal(fixture_events(&scene->fixture, "quarantine_recovered"), 0);
    assert_int_equal(quarantine_usage(responder_quarantine(scene->fixture.responder), &usage), 0);
    assert_int_equal(usage.pending, 0);
    assert_int_equal(quarantine_restore(responder_quarantine(scene->fixture.responder), id,
                                        &elsewhere, &missing),
                     0);
    check_content(copy, CONTENT);
}

static void nothing_but_the_log_was_on_the_disk(void **state)
{
    struct scene *scene = *state;

    crash_at(scene, RESPOND_STEP_RESULT_COMMITTED);
    lose_sealed(scene);
    lose_move(scene);
    restart(scene);
    assert_false(fixture_exists(&scene->fixture, "evil"));
    check_quarantined_once(scene);
}

static void the_content_was_not_on_the_disk(void **state)
{
    struct scene *scene = *state;
    AUTO_FREE char *sealed = NULL, *moved = NULL;

    crash_at(scene, RESPOND_STEP_BEFORE_SYNC);
    sealed = only_file(scene, "quarantine");
    moved = only_file(scene, "moved");
    assert_non_null(sealed);
    assert_int_equal(truncate(sealed, 0), 0);
    assert_int_equal(truncate(moved, 0), 0);
    restart(scene);
    assert_false(fixture_exists(&scene->fixture, "evil"));
    check_quarantined_once(scene);
}

static void the_file_was_never_on_the_disk(void **state)
{
    struct scene *scene = *state;

    crash_at(scene, RESPOND_STEP_RESULT_COMMITTED);
    lose_sealed(scene);
    lose_moved(scene);
    restart(scene);
    check_quarantined_once(scene);
}

static void the_removal_was_not_on_the_disk(void **state)
{
    struct scene *scene = *state;

    crash_at(scene, RESPOND_STEP_UNLINKED);
    lose_move(scene);
    restart(scene);
    assert_false(fixture_exists(&scene->fixture, "evil"));
    check_quarantined_once(scene);
}

/* Somebody wrote into it before the agent started: that is not what was told, so it stays for the
 * scan after the start, which finds what it is. */
static void what_has_other_content_now_stays(void **state)
{
    struct scene *scene = *state;

    crash_at(scene, RESPOND_STEP_RESULT_COMMITTED);
    lose_sealed(scene);
    lose_move(scene);
    fixture_make(&scene->fixture, "evil", "something harmless");
    restart(scene);
    check_content(scene->path, "something harmless");
    check_quarantined_once(scene);
}

/* Restored in the two seconds before the power fails: it stays restored, and comes to nobody twice.
 */
static void what_was_restored_stays(void **state)
{
    struct scene *scene = *state;
    struct quarantine_restore in_place = {.exclude = true};
    AUTO_FREE char *moved = NULL;
    char id[UUID_TEXT_BYTES];
    pid_t child = fork();
    int missing, status;

    assert_true(child >= 0);
    if (child == 0) {
        fixture_start(&scene->fixture);
        assert_int_equal(fixture_detect(&scene->fixture, "evil", "Test.M"), 0);
        (void)fixture_rows(&scene->fixture, id);
        assert_int_equal(quarantine_restore(responder_quarantine(scene->fixture.responder), id,
                                            &in_place, &missing),
                         0);
        (void)kill(getpid(), SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    restart(scene);
    check_content(scene->path, CONTENT);
    moved = only_file(scene, "moved");
    assert_null(moved);
    assert_int_equal(fixture_rows(&scene->fixture, NULL), 0);
    assert_int_equal(fixture_events(&scene->fixture, "quarantine_recovered"), 0);
}

static void a_deleted_file_does_not_come_back(void **state)
{
    struct scene *scene = *state;

    scene->fixture.options.action = RESPOND_DELETE;
    crash_at(scene, RESPOND_STEP_RESULT_COMMITTED);
    lose_move(scene);
    restart(scene);
    assert_false(fixture_exists(&scene->fixture, "evil"));
    assert_int_equal(fixture_events(&scene->fixture, "malware_deleted"), 1);
    assert_int_equal(fixture_rows(&scene->fixture, NULL), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nothing_but_the_log_was_on_the_disk), TEST(the_content_was_not_on_the_disk),
        TEST(the_file_was_never_on_the_disk),      TEST(the_removal_was_not_on_the_disk),
        TEST(what_has_other_content_now_stays),    TEST(what_was_restored_stays),
        TEST(a_deleted_file_does_not_come_back),
    };

    cmocka_set_test_filter(getenv("YAGURA_TEST_FILTER"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
