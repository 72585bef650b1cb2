/* Two halves of a rename are one change; paths wait once. */
#include "agent/integrity/changes.h"
#include "agent/integrity/pending.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct change *add(struct changes *changes, const char *path, enum change_kind kind,
                          uint64_t inode, uint32_t type)
{
    struct change *change = changes_add(changes, path, strlen(path));

    assert_non_null(change);
    change->kind = kind;
    change->care = CARE_CONTENT;
    struct file_facts facts = {.state = {.inode = inode, .mode = type | 0644, .mtime_ns = inode}};
    change->has_before = kind == CHANGE_DELETED;
    change->has_after = kind == CHANGE_CREATED;
    *(kind == CHANGE_DELETED ? &change->before : &change->after) = facts;
    return change;
}

static void the_same_inode_was_renamed(void **state UNUSED)
{
    CLEANUP(changes_done) struct changes changes = {.list = NULL};
    struct change *created = add(&changes, "/etc/to", CHANGE_CREATED, 7, S_IFREG);
    struct change *other = add(&changes, "/etc/other", CHANGE_CREATED, 8, S_IFREG);
    struct change *deleted = add(&changes, "/etc/from", CHANGE_DELETED, 7, S_IFREG);
    struct change *reused = add(&changes, "/etc/reused", CHANGE_DELETED, 8, S_IFDIR);

    assert_int_equal(changes_pair_renames(&changes), 0);
    assert_int_equal(created->kind, CHANGE_RENAMED);
    assert_ptr_equal(created->renamed_from, deleted);
    assert_int_equal(deleted->kind, CHANGE_SILENT);
    assert_int_equal(other->kind, CHANGE_CREATED);
    assert_int_equal(reused->kind, CHANGE_DELETED);
}

static void what_moves_along_is_not_told(void **state UNUSED)
{
    CLEANUP(changes_done) struct changes changes = {.list = NULL};
    (void)add(&changes, "/etc/a", CHANGE_DELETED, 1, S_IFDIR);
    (void)add(&changes, "/etc/a/f", CHANGE_DELETED, 2, S_IFREG);
    (void)add(&changes, "/etc/a/g", CHANGE_DELETED, 3, S_IFREG);
    struct change *directory = add(&changes, "/etc/b", CHANGE_CREATED, 1, S_IFDIR);
    struct change *along = add(&changes, "/etc/b/f", CHANGE_CREATED, 2, S_IFREG);
    struct change *renamed = add(&changes, "/etc/b/h", CHANGE_CREATED, 3, S_IFREG);

    assert_int_equal(changes_pair_renames(&changes), 0);
    assert_int_equal(directory->kind, CHANGE_RENAMED);
    assert_int_equal(directory->moved_along, 1);
    assert_int_equal(along->kind, CHANGE_SILENT);
    assert_int_equal(renamed->kind, CHANGE_RENAMED);
}

static void paths_are_found_again(void **state UNUSED)
{
    CLEANUP(changes_done) struct changes changes = {.list = NULL};

    (void)add(&changes, "/etc/a", CHANGE_CREATED, 1, S_IFREG);
    (void)add(&changes, "/etc/b", CHANGE_CREATED, 2, S_IFREG);
    assert_true(changes_has(&changes, "/etc/b", 6));
    changes_drop_last(&changes);
    assert_false(changes_has(&changes, "/etc/b", 6));
    assert_true(changes_has(&changes, "/etc/a", 6));
}

static void take(struct pending *pending, uint64_t now, const char *wanted)
{
    struct pending_path *path = pending_take(pending, now);

    if (wanted == NULL) {
        assert_null(path);
        return;
    }
    assert_non_null(path);
    assert_string_equal(path->path, wanted);
    free(path);
}

static void a_path_waits_once(void **state UNUSED)
{
    struct pending *pending;

    assert_int_equal(pending_new(3, &pending), 0);
    assert_int_equal(pending_add(pending, "/a", 2, false, PENDING_SETTLES, 10), 0);
    assert_int_equal(pending_add(pending, "/slow", 5, false, PENDING_SLOW, 100), 0);
    assert_int_equal(pending_add(pending, "/a", 2, true, PENDING_SETTLES, 50), 0);
    assert_int_equal(pending_add(pending, "/b", 2, false, PENDING_SETTLES, 60), 0);
    assert_int_equal(pending_add(pending, "/c", 2, false, PENDING_SETTLES, 60), -ENOBUFS);
    assert_int_equal(pending_due_ns(pending), 10);
    take(pending, 9, NULL);
    take(pending, 10, "/a");
    take(pending, 99, "/b");
    take(pending, 99, NULL);
    take(pending, 100, "/slow");
    assert_int_equal(pending_due_ns(pending), UINT64_MAX);
    assert_int_equal(pending_add(pending, "/a", 2, false, PENDING_SETTLES, 10), 0);
    pending_free(pending);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_inode_was_renamed),
        cmocka_unit_test(what_moves_along_is_not_told),
        cmocka_unit_test(paths_are_found_again),
        cmocka_unit_test(a_path_waits_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
