/* What is seen of a file, what differs, and when stat alone may say that it is unchanged. */
#include "agent/integrity/file_facts.h"

#include "common/files/file.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/yagura-facts-XXXXXX";
static int folder_fd = -1;

static struct stat put(const char *text)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;

    assert_int_equal(file_open_at(folder_fd, "file", O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd), 0);
    assert_int_equal(file_write(fd, text, strlen(text)), 0);
    assert_int_equal(fstat(fd, &status), 0);
    return status;
}

static void look(struct file_facts *facts)
{
    assert_int_equal(
        file_facts_collect(folder_fd, "file", CARE_CONTENT, 1 << 20, NULL, facts, NULL), 0);
    assert_int_equal(facts->state.content, FACTS_HASHED);
}

/* What a rewrite of the same size looks like when the kernel's clock has not ticked between. */
static void a_rewrite_within_the_tick_of_the_look_is_found(void **state UNUSED)
{
    AUTO_FACTS struct file_facts before = {.target = NULL}, after = {.target = NULL};
    struct stat first = put("first");

    clock_set_fake(1, timespec_to_ns(first.st_ctim) + NS_PER_MS);
    look(&before);
    (void)put("other");
    assert_false(facts_state_holds(&before.state, &first)); /* the same times, inode and size */
    look(&after);
    assert_int_equal(file_facts_compare(&before, &after, CARE_CONTENT), FACTS_DIFFER_CONTENT);
    clock_set_fake(0, 0);
}

static void a_file_that_was_old_enough_need_not_be_read_again(void **state UNUSED)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    struct stat status = put("first");

    clock_set_fake(1, timespec_to_ns(status.st_ctim) + NS_PER_SECOND);
    look(&facts);
    assert_true(facts_state_holds(&facts.state, &status));
    status.st_ctim.tv_nsec ^= 1;
    assert_false(facts_state_holds(&facts.state, &status));
    clock_set_fake(0, 0);
}

static void a_time_from_the_future_proves_nothing(void **state UNUSED)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    struct stat status = put("first");

    clock_set_fake(1, timespec_to_ns(status.st_ctim) - NS_PER_SECOND);
    look(&facts);
    assert_false(facts_state_holds(&facts.state, &status));
    clock_set_fake(0, 0);
}

static void collect(const char *name, enum integrity_care care, uint64_t most_bytes,
                    const struct file_facts *known, struct file_facts *facts)
{
    assert_int_equal(file_facts_collect(folder_fd, name, care, most_bytes, known, facts, NULL), 0);
}

static void append(const char *text)
{
    AUTO_CLOSE int fd = -1;

    assert_int_equal(file_open_at(folder_fd, "file", O_WRONLY | O_APPEND, 0, &fd), 0);
    assert_int_equal(file_write(fd, text, strlen(text)), 0);
}

/* It grows and is rotated; what was written already must stay. */
static void a_log_may_grow_and_no_more(void **state UNUSED)
{
    AUTO_FACTS struct file_facts first = {.target = NULL}, grown = {.target = NULL},
                                 other = {.target = NULL}, shrunk = {.target = NULL},
                                 rotated = {.target = NULL};

    (void)put("one line\n");
    collect("file", CARE_LOG, 0, NULL, &first);
    assert_int_equal(first.state.content, FACTS_BEGINNING);
    assert_int_equal(first.state.covered, 9);
    append("another\n");
    collect("file", CARE_LOG, 0, &first, &grown);
    assert_int_equal(grown.state.covered, 9);
    assert_int_equal(file_facts_compare(&first, &grown, CARE_LOG), 0);
    (void)put("ONE line\nanother\n");
    collect("file", CARE_LOG, 0, &grown, &other);
    assert_int_equal(file_facts_compare(&grown, &other, CARE_LOG), FACTS_DIFFER_REWRITTEN);
    (void)put("one\n");
    collect("file", CARE_LOG, 0, &grown, &shrunk);
    assert_int_equal(file_facts_compare(&grown, &shrunk, CARE_LOG), FACTS_DIFFER_SHRUNK);
    rotated.state = shrunk.state;
    rotated.state.inode++;
    assert_int_equal(file_facts_compare(&grown, &rotated, CARE_LOG), 0);
}

static void what_is_too_large_is_compared_by_size_and_time(void **state UNUSED)
{
    AUTO_FACTS struct file_facts before = {.target = NULL}, after = {.target = NULL};

    (void)put("more than four");
    collect("file", CARE_CONTENT, 4, NULL, &before);
    assert_int_equal(before.state.content, FACTS_TOO_LARGE);
    after.state = before.state;
    assert_int_equal(file_facts_compare(&before, &after, CARE_CONTENT), 0);
    after.state.size++;
    assert_int_equal(file_facts_compare(&before, &after, CARE_CONTENT), FACTS_DIFFER_CONTENT);
    assert_int_equal(file_facts_compare(&before, &after, CARE_ATTRIBUTES), 0);
}

static void extended_attributes_are_told_by_their_digests(void **state UNUSED)
{
    AUTO_FACTS struct file_facts none = {.target = NULL}, some = {.target = NULL},
                                 changed = {.target = NULL}, copy = {.target = NULL};
    AUTO_CLOSE int fd = -1;

    (void)put("x");
    collect("file", CARE_ATTRIBUTES, 0, NULL, &none);
    assert_null(none.attributes);
    assert_int_equal(none.state.content, FACTS_NO_CONTENT);
    assert_int_equal(file_open_at(folder_fd, "file", O_RDONLY, 0, &fd), 0);
    if (fsetxattr(fd, "user.b", "1", 1, 0) < 0)
        skip(); /* this file system has none */
    assert_int_equal(fsetxattr(fd, "user.a\n", "2", 1, 0), 0);
    collect("file", CARE_ATTRIBUTES, 0, NULL, &some);
    assert_int_equal(strncmp(some.attributes, "user.a\\x0a=", 11), 0); /* sorted, one line each */
    assert_non_null(strstr(some.attributes, "\nuser.b=6b86b273ff34fce1\n"));
    assert_int_equal(file_facts_compare(&none, &some, CARE_ATTRIBUTES), FACTS_DIFFER_ATTRIBUTES);
    assert_int_equal(file_facts_copy(&some, &copy), 0);
    assert_int_equal(file_facts_compare(&some, &copy, CARE_ATTRIBUTES), 0);
    assert_int_equal(fsetxattr(fd, "user.b", "3", 1, 0), 0);
    collect("file", CARE_ATTRIBUTES, 0, NULL, &changed);
    assert_int_equal(file_facts_compare(&some, &changed, CARE_ATTRIBUTES), FACTS_DIFFER_ATTRIBUTES);
}

static void links_are_read_and_never_followed(void **state UNUSED)
{
    AUTO_FACTS struct file_facts before = {.target = NULL}, after = {.target = NULL},
                                 file = {.target = NULL};

    (void)put("x");
    assert_int_equal(symlinkat("/nowhere", folder_fd, "link"), 0);
    collect("link", CARE_CONTENT, 1, NULL, &before);
    assert_string_equal(before.target, "/nowhere");
    assert_int_equal(unlinkat(folder_fd, "link", 0), 0);
    assert_int_equal(symlinkat("file", folder_fd, "link"), 0);
    collect("link", CARE_CONTENT, 1, NULL, &after);
    assert_int_equal(file_facts_compare(&before, &after, CARE_CONTENT), FACTS_DIFFER_TARGET);
    collect("file", CARE_CONTENT, 1, NULL, &file);
    assert_int_equal(file_facts_compare(&after, &file, CARE_CONTENT), FACTS_DIFFER_TYPE);
    assert_int_equal(file_facts_collect(folder_fd, "missing", CARE_CONTENT, 1, NULL, &file, NULL),
                     -ENOENT);
}

static void each_kind_of_difference_is_told(void **state UNUSED)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(4096);
    struct file_facts before = {.state = {.mode = S_IFREG | 0644, .links = 1}}, after = before;
    struct json_writer json;

    after.state.mode = S_IFREG | 04755;
    after.state.uid = after.state.gid = 1;
    after.state.device = 2;
    after.state.links = 3;
    after.state.size = 4;
    uint32_t difference = file_facts_compare(&before, &after, CARE_CONTENT);
    assert_int_equal(difference, FACTS_DIFFER_MODE | FACTS_DIFFER_OWNER | FACTS_DIFFER_GROUP |
                                     FACTS_DIFFER_DEVICE | FACTS_DIFFER_LINKS |
                                     FACTS_DIFFER_CONTENT);
    json_writer_init(&json, &text);
    file_facts_write_difference(&json, difference);
    assert_string_equal(buffer_text(&text),
                        "[\"mode\",\"owner\",\"group\",\"content\",\"links\",\"device\"]");
    assert_true(file_facts_gain_privilege(&before, &after));
    assert_true(file_facts_gain_privilege(NULL, &after));
    assert_false(file_facts_gain_privilege(&after, &before));
    after.state.mode = S_IFDIR | 02755;
    assert_false(file_facts_gain_privilege(NULL, &after));
    after = before;
    after.attributes = (char *)(uintptr_t) "security.capability=0\n";
    assert_true(file_facts_gain_privilege(&before, &after));
    assert_false(file_facts_gain_privilege(&after, &after));
}

static void every_type_has_a_name(void **state UNUSED)
{
    static const struct {
        uint32_t mode, content;
        const char *said;
    } cases[] = {
        {S_IFREG, FACTS_UNREADABLE, "\"content\":\"unreadable\""},
        {S_IFREG, FACTS_TOO_LARGE, "\"content\":\"too-large\""},
        {S_IFREG, FACTS_HASHED, "\"sha256\":\"0000"},
        {S_IFDIR, 0, "\"type\":\"directory\""},
        {S_IFLNK, 0, "\"type\":\"link\""},
        {S_IFIFO, 0, "\"type\":\"pipe\""},
        {S_IFSOCK, 0, "\"type\":\"socket\""},
        {S_IFCHR, 0, "\"type\":\"character-device\""},
        {S_IFBLK, 0, "\"device\":\"0000000000000007\""},
        {0, 0, "\"type\":\"unknown\""},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(4096);
        const struct file_facts facts = {
            .state = {.mode = cases[i].mode, .content = cases[i].content, .device = 7}};
        struct json_writer json;
        json_writer_init(&json, &text);
        file_facts_write(&json, &facts);
        if (strstr(buffer_text(&text), cases[i].said) == NULL)
            fail_msg("%s says nothing of %s", buffer_text(&text), cases[i].said);
    }
}

/* What is stored is read back, and nothing that is cut or longer. */
static void stored_facts_are_whole_or_refused(void **state UNUSED)
{
    AUTO_BUFFER struct buffer bytes = BUFFER_WITH_MAXIMUM(4096);
    const struct file_facts facts = {.state = {.size = 7},
                                     .target = (char *)(uintptr_t) "target",
                                     .attributes = (char *)(uintptr_t) "a=1\n"};
    AUTO_FACTS struct file_facts got = {.target = NULL};
    struct facts_state peeked;

    file_facts_encode(&facts, &bytes);
    assert_int_equal(file_facts_decode(bytes.data, bytes.length, &got), 0);
    assert_string_equal(got.target, "target");
    assert_string_equal(got.attributes, "a=1\n");
    assert_true(file_facts_peek(bytes.data, bytes.length, &peeked));
    assert_int_equal(peeked.size, 7);
    for (size_t length = 0; length < bytes.length; length++) {
        struct file_facts none;
        assert_int_equal(file_facts_decode(bytes.data, length, &none), -EBADMSG);
    }
    assert_int_equal(buffer_append(&bytes, "x", 1), 0);
    struct file_facts none;
    assert_int_equal(file_facts_decode(bytes.data, bytes.length, &none), -EBADMSG);
    assert_int_equal(file_facts_decode(NULL, 0, &none), -EBADMSG);
}

static int set_up(void **state UNUSED)
{
    return mkdtemp(folder) == NULL ? -1 : file_open_directory(folder, true, &folder_fd);
}

static int tear_down(void **state UNUSED)
{
    (void)close(folder_fd);
    return file_remove_tree(AT_FDCWD, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rewrite_within_the_tick_of_the_look_is_found),
        cmocka_unit_test(a_file_that_was_old_enough_need_not_be_read_again),
        cmocka_unit_test(a_time_from_the_future_proves_nothing),
        cmocka_unit_test(a_log_may_grow_and_no_more),
        cmocka_unit_test(what_is_too_large_is_compared_by_size_and_time),
        cmocka_unit_test(extended_attributes_are_told_by_their_digests),
        cmocka_unit_test(links_are_read_and_never_followed),
        cmocka_unit_test(each_kind_of_difference_is_told),
        cmocka_unit_test(every_type_has_a_name),
        cmocka_unit_test(stored_facts_are_whole_or_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
