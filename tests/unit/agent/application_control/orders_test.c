/* Orders that come at the wrong moment: during a walk, or with a disk that fails; and what status
 * says of a walk or a disk that fails. */
#include "agent/application_control/application_control_private.h"
#include "agent/scan/tree_walk.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char folder[64];
static struct application_rules rules;
static struct application_control control;
static bool extends; /* somebody puts maintenance on again during the walk */
static bool ends;    /* and off */
static int clear_result, walk_result, commit_result;
static bool full;
static const char *found; /* what the walk meets in folder; NULL: nothing */
static unsigned ends_told;

int __wrap_store_append(struct store *store, const struct event_draft *draft, store_work *work,
                        store_committed *committed, void *user);

int __wrap_store_append(struct store *store UNUSED, const struct event_draft *draft,
                        store_work *work UNUSED, store_committed *committed UNUSED,
                        void *user UNUSED)
{
    ends_told += text_equal(draft->kind, "maintenance_ended");
    return 0;
}

int __wrap_tree_walk(const char *top, bool stay, struct mount_classes *mounts,
                     const struct tree_walk_visitor *visitor, void *user);

static void meet(const struct tree_walk_visitor *visitor, void *user)
{
    AUTO_CLOSE int directory = -1;
    struct stat status;

    assert_int_equal(file_open_directory(folder, true, &directory), 0);
    assert_int_equal(fstatat(directory, found, &status, 0), 0);
    const struct tree_walk_file file = {
        .directory_fd = directory, .name = found, .path = found, .status = &status};
    assert_int_equal(visitor->file(user, &file), 0);
}

int __wrap_tree_walk(const char *top UNUSED, bool stay UNUSED, struct mount_classes *mounts UNUSED,
                     const struct tree_walk_visitor *visitor, void *user)
{
    if (found != NULL)
        meet(visitor, user);
    if (extends)
        assert_int_equal(application_control_maintain(&control, 30, "a test"), 0);
    if (ends)
        assert_int_equal(application_control_maintain(&control, 0, "a test"), 0);
    (void)pthread_mutex_lock(&control.lock);
    control.stopping = true; /* after this walk */
    (void)pthread_mutex_unlock(&control.lock);
    return walk_result;
}

bool __wrap_inventory_is_full(struct inventory *inventory);

bool __wrap_inventory_is_full(struct inventory *inventory UNUSED)
{
    return full;
}

int __wrap_inventory_commit(struct inventory *inventory);

int __wrap_inventory_commit(struct inventory *inventory UNUSED)
{
    return commit_result;
}

void __wrap_memory_programs_look(struct application_control *asked);

/* The end of the keeper's turn. */
void __wrap_memory_programs_look(struct application_control *asked UNUSED)
{
    (void)pthread_mutex_lock(&control.lock);
    control.stopping = true;
    (void)pthread_mutex_unlock(&control.lock);
}

int __wrap_inventory_clear(struct inventory *inventory);

int __wrap_inventory_clear(struct inventory *inventory UNUSED)
{
    assert_true(control.clearing);
    assert_false(control.walk_wanted);
    return clear_result;
}

static int set_up(void **state UNUSED)
{
    static char top[] = "/";
    static char *paths[] = {top, NULL};
    char path[128], key[128], notice[512];

    (void)text_copy(folder, sizeof folder, "/tmp/yagura-orders-XXXXXX");
    assert_non_null(mkdtemp(folder));
    rules = (struct application_rules){
        .references = 1, .mode = APPLICATION_BLOCK, .paths = paths, .most_bytes = 1024};
    control = (struct application_control){.rules = &rules};
    (void)pthread_mutex_init(&control.lock, NULL);
    (void)pthread_cond_init(&control.changed, NULL);
    (void)text_format(path, sizeof path, "%s/programs.db", folder);
    (void)text_format(key, sizeof key, "%s/programs.key", folder);
    assert_int_equal(inventory_open(path, key, &control.inventory, notice), 0);
    extends = ends = false;
    clear_result = walk_result = commit_result = 0;
    full = false;
    found = NULL;
    ends_told = 0;
    return 0;
}

static int tear_down(void **state UNUSED)
{
    int fd = -1;

    control.inventory = inventory_close(control.inventory);
    (void)pthread_cond_destroy(&control.changed);
    (void)pthread_mutex_destroy(&control.lock);
    assert_int_equal(file_open_directory("/tmp", true, &fd), 0);
    assert_int_equal(file_remove_tree(fd, folder + strlen("/tmp/")), 0);
    (void)close(fd);
    return 0;
}

/* As the keeper does when its time is over. */
static void end_maintenance(void)
{
    const struct inventory_marks over = {.complete_ns = 1,
                                         .maintenance_from_ns = 2,
                                         .maintenance_until_ns = 3};

    inventory_set_marks(control.inventory, &over);
    control.walk_wanted = control.maintenance_ends = true;
    control.walk_everything = false;
}

static void run(void *(*thread_run)(void *user))
{
    pthread_t thread;

    control.stopping = false;
    assert_int_equal(pthread_create(&thread, NULL, thread_run, &control), 0);
    (void)pthread_join(thread, NULL);
}

static void walk(void)
{
    run(application_walker_run);
}

static void keep(void)
{
    run(application_keeper_run);
}

static bool status_says(const char *problem)
{
    struct application_control_status status;

    application_control_status(&control, &status);
    return problem[0] != '\0' ? strstr(status.problem, problem) != NULL : status.problem[0] == '\0';
}

static void maintenance_ends_with_its_walk(void **state UNUSED)
{
    end_maintenance();
    walk();
    assert_int_equal(inventory_marks(control.inventory).maintenance_from_ns, 0);
    assert_int_equal(ends_told, 1);
    assert_false(control.maintenance_ends);
}

static uint64_t make(const char *name)
{
    struct stat status;
    char path[128];
    int fd = -1;

    (void)text_format(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0755, &fd), 0);
    assert_int_equal(file_write(fd, name, strlen(name)), 0);
    assert_int_equal(fstat(fd, &status), 0);
    (void)close(fd);
    return file_identity_of(&status).ctime_ns;
}

static void its_walk_that_failed_is_tried_again(void **state UNUSED)
{
    const struct inventory_marks over = {.complete_ns = 1,
                                         .maintenance_from_ns = 1,
                                         .maintenance_until_ns = clock_realtime_ns() - 1};

    (void)make("meanwhile");
    found = "meanwhile";
    walk_result = -EIO;
    end_maintenance();
    inventory_set_marks(control.inventory, &over);
    walk();
    struct inventory_marks marks = inventory_marks(control.inventory);
    assert_int_equal(marks.maintenance_from_ns, over.maintenance_from_ns);
    assert_int_equal(marks.maintenance_until_ns, over.maintenance_until_ns);
    assert_int_equal(ends_told, 0);
    keep();
    assert_false(control.walk_wanted); /* not yet */
    control.walk_retry_ns = 0;
    keep();
    assert_true(control.walk_wanted);
    assert_false(control.walk_everything);
    walk_result = 0;
    walk();
    assert_int_equal(inventory_marks(control.inventory).maintenance_from_ns, 0);
    assert_int_equal(ends_told, 1);
}

static void its_walk_through_a_full_inventory_ends_it(void **state UNUSED)
{
    full = true;
    walk_result = -ENOSPC;
    end_maintenance();
    walk();
    assert_int_equal(inventory_marks(control.inventory).maintenance_from_ns, 0);
    assert_int_equal(ends_told, 1);
}

static void maintenance_put_on_again_during_its_walk_begins_then(void **state UNUSED)
{
    uint64_t before_ns = clock_realtime_ns();

    extends = true;
    end_maintenance();
    walk();
    struct inventory_marks marks = inventory_marks(control.inventory);
    assert_true(marks.maintenance_from_ns >= before_ns);
    assert_true(marks.maintenance_until_ns > clock_realtime_ns());
    assert_int_equal(marks.gap_until_ns, 0);
    assert_int_equal(ends_told, 0);
    assert_false(control.maintenance_ends);
}

static void maintenance_that_was_put_on_and_ended_during_its_walk_has_another(void **state UNUSED)
{
    extends = ends = true;
    end_maintenance();
    walk();
    assert_int_not_equal(inventory_marks(control.inventory).maintenance_from_ns, 0);
    assert_int_equal(ends_told, 0);
    extends = ends = false;
    keep();
    assert_true(control.walk_wanted);
    walk();
    assert_int_equal(inventory_marks(control.inventory).maintenance_from_ns, 0);
    assert_int_equal(ends_told, 1);
}

static uint64_t make_after(const char *name, uint64_t time_ns)
{
    uint64_t changed_ns;

    while ((changed_ns = make(name)) <= time_ns)
        ;
    return changed_ns;
}

static uint64_t count_after_walk(const char *name, const struct inventory_marks *marks)
{
    found = name;
    end_maintenance();
    inventory_set_marks(control.inventory, marks);
    walk();
    return inventory_count(control.inventory);
}

static void its_walk_takes_what_came_until_its_end(void **state UNUSED)
{
    const struct inventory_marks over = {.complete_ns = 1,
                                         .maintenance_from_ns = 2,
                                         .maintenance_until_ns = make("meanwhile")};

    (void)make_after("afterwards", over.maintenance_until_ns);
    assert_int_equal(count_after_walk("meanwhile", &over), 1);
    assert_int_equal(count_after_walk("afterwards", &over), 1);
}

static void its_walk_leaves_out_what_came_before_it_was_put_on_again(void **state UNUSED)
{
    struct inventory_marks over = {.complete_ns = 1, .maintenance_from_ns = 2};

    over.gap_from_ns = make("meanwhile");
    uint64_t between_ns = make_after("between", over.gap_from_ns);
    over.gap_until_ns = over.maintenance_until_ns =
        make_after("again", between_ns + NS_PER_SECOND / 10);
    assert_int_equal(count_after_walk("between", &over), 0);
    assert_int_equal(count_after_walk("meanwhile", &over), 1);
    assert_int_equal(count_after_walk("again", &over), 2);
}

static void put_on_again_before_its_walk_it_leaves_a_gap(void **state UNUSED)
{
    const struct inventory_marks over = {.complete_ns = 1,
                                         .maintenance_from_ns = 2,
                                         .maintenance_until_ns = 3};
    struct inventory_marks marks;
    uint64_t before_ns = clock_realtime_ns();

    inventory_set_marks(control.inventory, &over);
    for (int i = 0; i < 2; i++) { /* what came in between, and was not found, is in the gap, too */
        assert_int_equal(application_control_maintain(&control, 30, "a test"), 0);
        marks = inventory_marks(control.inventory);
        assert_int_equal(marks.maintenance_from_ns, 2);
        assert_int_equal(marks.gap_from_ns, 3);
        assert_true(marks.gap_until_ns >= before_ns);
        assert_true(marks.maintenance_until_ns > marks.gap_until_ns);
        assert_int_equal(application_control_maintain(&control, 0, "a test"), 0);
        before_ns = inventory_marks(control.inventory).maintenance_until_ns;
        while (clock_realtime_ns() <= before_ns)
            ;
    }
    end_maintenance();
    inventory_set_marks(control.inventory, &marks);
    extends = true; /* only longer: it is not over */
    walk();
    marks = inventory_marks(control.inventory);
    assert_true(marks.maintenance_from_ns > 3);
    assert_int_equal(marks.gap_until_ns, 0);
}

static void its_end_is_ordered_once(void **state UNUSED)
{
    const struct inventory_marks over = {.complete_ns = 1,
                                         .maintenance_from_ns = 2,
                                         .maintenance_until_ns = 3};

    inventory_set_marks(control.inventory, &over);
    assert_int_equal(application_control_maintain(&control, 0, "a test"), 0);
    assert_int_equal(inventory_marks(control.inventory).maintenance_until_ns, 3);
}

static void an_inventory_that_cannot_be_cleared_leaves_maintenance_an_end(void **state UNUSED)
{
    clear_result = -EIO;
    end_maintenance();
    assert_int_equal(application_control_learn(&control, "a test"), -EIO);
    assert_false(control.maintenance_ends);
    assert_false(control.clearing);
}

static void learning_anew_drops_the_walk_that_was_wanted(void **state UNUSED)
{
    end_maintenance();
    assert_int_equal(application_control_learn(&control, "a test"), 0);
    assert_true(control.walk_wanted);
    assert_true(control.walk_everything);
    assert_false(control.maintenance_ends);
    assert_false(control.clearing);
}

static void a_walk_that_failed_is_told_until_the_next_one(void **state UNUSED)
{
    walk_result = -EIO;
    control.walk_wanted = true;
    walk();
    keep();
    assert_true(status_says("programs could not be learned at /: "));
    walk_result = 0;
    control.walk_wanted = true;
    walk();
    assert_true(status_says(""));
}

static void a_disk_that_fails_is_told_until_it_does_not(void **state UNUSED)
{
    commit_result = -ENOSPC;
    keep();
    assert_true(status_says("cannot be written: "));
    commit_result = 0;
    keep();
    assert_true(status_says(""));
}

static void one_that_is_full_is_not_walked_for_again(void **state UNUSED)
{
    full = true;
    walk_result = -ENOSPC;
    control.walk_wanted = true;
    walk();
    assert_true(status_says("as many programs are known as there can be"));
    control.walk_retry_ns = 0;
    keep();
    assert_false(control.walk_wanted);
    /* Learned anew: it is empty. */
    assert_int_equal(application_control_learn(&control, "a test"), 0);
    full = false;
    assert_true(control.walk_wanted);
    assert_true(status_says(""));
    control.walk_wanted = false;
    keep();
    assert_true(control.walk_wanted);
}

static void what_is_switched_off_is_not_walked_for(void **state UNUSED)
{
    static const char *const none[] = {NULL};
    const struct application_control_options off = {
        .mode = APPLICATION_OFF,
        .paths = none,
        .exclude_directories = none,
        .allow_hashes = none,
        .block_hashes = none,
        .own_directories = none,
    };

    end_maintenance();
    rules.references++;
    assert_int_equal(application_control_reconfigure(&control, &off), 0);
    assert_true(control.walk_stops);
    assert_false(control.walk_wanted);
    keep();
    assert_false(control.walk_wanted);
    /* Switched on again: maintenance, whose time is over, has its walk. */
    application_rules_drop(&control, control.rules);
    control.rules = &rules;
    keep();
    assert_true(control.walk_wanted);
    assert_false(control.walk_everything);
}

static void what_could_not_be_started_is_degraded(void **state UNUSED)
{
    struct application_control_status status;

    control.start_problem = -ENOSPC;
    control.walk_problem = -EIO;
    application_control_status(&control, &status);
    assert_int_equal(status.state, APPLICATION_STATE_DEGRADED);
    assert_non_null(strstr(status.problem, "yaguractl reload"));
}

static void what_is_off_has_no_problem(void **state UNUSED)
{
    control.walk_problem = -EIO;
    rules.mode = APPLICATION_OFF;
    assert_true(status_says(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(maintenance_ends_with_its_walk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(maintenance_put_on_again_during_its_walk_begins_then,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            maintenance_that_was_put_on_and_ended_during_its_walk_has_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            an_inventory_that_cannot_be_cleared_leaves_maintenance_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_walk_that_failed_is_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_walk_through_a_full_inventory_ends_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(its_walk_takes_what_came_until_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(its_walk_leaves_out_what_came_before_it_was_put_on_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(put_on_again_before_its_walk_it_leaves_a_gap, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(its_end_is_ordered_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_walk_that_failed_is_told_until_the_next_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_is_told_until_it_does_not, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(one_that_is_full_is_not_walked_for_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_switched_off_is_not_walked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_could_not_be_started_is_degraded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_off_has_no_problem, set_up, tear_down),
        cmocka_unit_test_setup_teardown(learning_anew_drops_the_walk_that_was_wanted, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
