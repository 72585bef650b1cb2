/* The baseline remembers what was approved, and notices who else writes to it. */
#include "agent/integrity/baseline.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    char folder[64];
    char path[128], key[128];
    struct baseline *baseline;
};

static void open_baseline(struct fixture *fixture)
{
    char notice[512];

    assert_int_equal(baseline_open(fixture->path, fixture->key, &fixture->baseline, notice), 0);
}

static void open_again(struct fixture *fixture)
{
    fixture->baseline = baseline_close(fixture->baseline);
    open_baseline(fixture);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    (void)text_copy(fixture.folder, sizeof fixture.folder, "/tmp/yagura-baseline-XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    (void)text_format(fixture.path, sizeof fixture.path, "%s/integrity.db", fixture.folder);
    (void)text_format(fixture.key, sizeof fixture.key, "%s/integrity.key", fixture.folder);
    open_baseline(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    fixture->baseline = baseline_close(fixture->baseline);
    return file_remove_tree(AT_FDCWD, fixture->folder);
}

static struct file_facts facts_of(uint64_t size)
{
    struct file_facts facts = {.state = {.size = size, .mode = S_IFREG | 0644, .links = 1}};

    facts.state.content = FACTS_HASHED;
    facts.state.digest[0] = (uint8_t)size;
    return facts;
}

static void put(struct fixture *fixture, const char *path, uint64_t size, enum baseline_put how)
{
    struct file_facts facts = facts_of(size);

    assert_int_equal(baseline_begin(fixture->baseline), 0);
    assert_int_equal(
        baseline_put(fixture->baseline, path, strlen(path), size > 0 ? &facts : NULL, how), 0);
    assert_int_equal(baseline_commit(fixture->baseline), 0);
}

static void approve(struct fixture *fixture)
{
    assert_int_equal(baseline_begin(fixture->baseline), 0);
    assert_int_equal(baseline_use_rules(fixture->baseline, "p/etc\n"), 0);
    assert_int_equal(baseline_approve(fixture->baseline), 0);
    assert_int_equal(baseline_commit(fixture->baseline), 0);
}

static void build(struct fixture *fixture)
{
    put(fixture, "/etc", 1, BASELINE_APPROVED);
    put(fixture, "/etc/a", 2, BASELINE_APPROVED);
    put(fixture, "/etc/b", 3, BASELINE_APPROVED);
    put(fixture, "/etc/x/c", 4, BASELINE_APPROVED);
    approve(fixture);
}

static void what_was_put_is_found(void **state)
{
    struct fixture *fixture = *state;
    CLEANUP(baseline_page_done) struct baseline_page page = {.directory = NULL};
    struct facts_state facts;

    assert_true(baseline_is_empty(fixture->baseline));
    build(fixture);
    open_again(fixture);
    assert_false(baseline_is_empty(fixture->baseline));
    assert_int_equal(baseline_verify(fixture->baseline), 0);
    assert_int_equal(baseline_count(fixture->baseline), 4);
    assert_string_equal(baseline_rules_text(fixture->baseline), "p/etc\n");
    assert_int_equal(baseline_load(fixture->baseline, "/etc", 4, &page), 0);
    assert_int_equal(page.count, 2);
    const struct baseline_row *row = baseline_page_find(&page, "b", 1);
    assert_non_null(row);
    assert_true(file_facts_peek(row->facts, row->facts_length, &facts));
    assert_int_equal(facts.size, 3);
    assert_null(baseline_page_find(&page, "c", 1));
}

static void changes_are_counted_until_they_are_taken_back(void **state)
{
    struct fixture *fixture = *state;

    build(fixture);
    put(fixture, "/etc/a", 9, BASELINE_CHANGED);
    put(fixture, "/etc/new", 5, BASELINE_CHANGED);
    put(fixture, "/etc/b", 0, BASELINE_CHANGED);
    assert_int_equal(baseline_changed(fixture->baseline), 3);
    assert_int_equal(baseline_count(fixture->baseline), 4);
    put(fixture, "/etc/a", 10, BASELINE_CHANGED);
    assert_int_equal(baseline_changed(fixture->baseline), 3);
    put(fixture, "/etc/a", 2, BASELINE_CHANGED);
    put(fixture, "/etc/new", 0, BASELINE_CHANGED);
    put(fixture, "/etc/b", 3, BASELINE_CHANGED);
    assert_int_equal(baseline_changed(fixture->baseline), 0);
    assert_int_equal(baseline_verify(fixture->baseline), 0);
}

static void approving_takes_everything_as_it_is(void **state)
{
    struct fixture *fixture = *state;

    build(fixture);
    put(fixture, "/etc/a", 9, BASELINE_CHANGED);
    put(fixture, "/etc/b", 0, BASELINE_CHANGED);
    put(fixture, "/etc/a", 9, BASELINE_APPROVED);
    put(fixture, "/etc/b", 0, BASELINE_APPROVED);
    assert_int_equal(baseline_changed(fixture->baseline), 0);
    assert_int_equal(baseline_count(fixture->baseline), 3);
    open_again(fixture);
    assert_int_equal(baseline_verify(fixture->baseline), 0);
}

static void a_rollback_leaves_all_as_it_was(void **state)
{
    struct fixture *fixture = *state;
    struct file_facts facts = facts_of(7);

    build(fixture);
    assert_int_equal(baseline_begin(fixture->baseline), 0);
    assert_int_equal(baseline_put(fixture->baseline, "/etc/z", 6, &facts, BASELINE_APPROVED), 0);
    assert_int_equal(baseline_use_rules(fixture->baseline, "p/other\n"), 0);
    baseline_rollback(fixture->baseline);
    assert_int_equal(baseline_count(fixture->baseline), 4);
    assert_string_equal(baseline_rules_text(fixture->baseline), "p/etc\n");
    assert_int_equal(baseline_verify(fixture->baseline), 0);
}

/* Each is what somebody with write access, but without the key, might try. */
static void other_hands_are_noticed(void **state)
{
    static const char *const attempts[] = {
        "UPDATE entry SET facts = zeroblob(length(facts)) WHERE name = CAST('a' AS BLOB)",
        "DELETE FROM entry WHERE name = CAST('a' AS BLOB)",
        ("DELETE FROM entry WHERE directory = CAST('/etc/x' AS BLOB);"
         "DELETE FROM seal WHERE directory = CAST('/etc/x' AS BLOB)"),
        "INSERT INTO entry SELECT CAST('/new' AS BLOB), name, facts, approved FROM entry LIMIT 1",
        "UPDATE header SET approved_ns = approved_ns + 1",
        "UPDATE header SET rules = 'p/nothing'",
        "UPDATE seal SET seal = zeroblob(32)",
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        sqlite3 *other;

        build(fixture);
        assert_int_equal(sqlite3_open(fixture->path, &other), SQLITE_OK);
        assert_int_equal(sqlite3_exec(other, attempts[i], NULL, NULL, NULL), SQLITE_OK);
        (void)sqlite3_close(other);
        open_again(fixture);
        if (baseline_verify(fixture->baseline) != -EBADMSG ||
            !baseline_is_tampered(fixture->baseline))
            fail_msg("not noticed: %s", attempts[i]);
        fixture->baseline = baseline_close(fixture->baseline);
        assert_int_equal(unlink(fixture->path), 0);
        open_baseline(fixture);
    }
}

static void texts_are_kept_and_forgotten(void **state)
{
    struct fixture *fixture = *state;
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(100);

    assert_int_equal(baseline_begin(fixture->baseline), 0);
    assert_int_equal(baseline_put_text(fixture->baseline, "/etc/a", 6, "hello", 5), 0);
    assert_int_equal(baseline_commit(fixture->baseline), 0);
    assert_int_equal(baseline_read_text(fixture->baseline, "/etc/a", 6, &text), 0);
    assert_string_equal(buffer_text(&text), "hello");
    assert_int_equal(baseline_put_text(fixture->baseline, "/etc/a", 6, NULL, 0), 0);
    assert_int_equal(baseline_read_text(fixture->baseline, "/etc/a", 6, &text), -ENOENT);
}

static int count_entry(void *user, const struct baseline_entry *entry UNUSED)
{
    (*(size_t *)user)++;
    return 0;
}

static void readers_choose(void **state)
{
    struct fixture *fixture = *state;
    size_t all = 0, below = 0, one = 0, changed = 0;

    build(fixture);
    put(fixture, "/etc/a", 9, BASELINE_CHANGED);
    assert_int_equal(baseline_read(fixture->path, "", false, count_entry, &all), 0);
    assert_int_equal(baseline_read(fixture->path, "/etc", false, count_entry, &below), 0);
    assert_int_equal(baseline_read(fixture->path, "/etc/b", false, count_entry, &one), 0);
    assert_int_equal(baseline_read(fixture->path, "", true, count_entry, &changed), 0);
    assert_int_equal(all, 4);
    assert_int_equal(below, 4);
    assert_int_equal(one, 1);
    assert_int_equal(changed, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_is_found),
        CASE(changes_are_counted_until_they_are_taken_back),
        CASE(approving_takes_everything_as_it_is),
        CASE(a_rollback_leaves_all_as_it_was),
        CASE(other_hands_are_noticed),
        CASE(texts_are_kept_and_forgotten),
        CASE(readers_choose),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
