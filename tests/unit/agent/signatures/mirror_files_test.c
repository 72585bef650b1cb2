#include "agent/signatures/mirror_files.h"

#include "common/crypto/hash.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char state_directory[64];
static unsigned hashed;

int __real_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);
int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES]);
int __wrap_hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES])
{
    hashed++;
    return __real_hash_sha256_fd(fd, maximum, ret_digest);
}

static int set_up(void **state)
{
    (void)state;
    (void)text_copy(state_directory, sizeof state_directory, "/tmp/yagura-mirror-XXXXXX");
    return mkdtemp(state_directory) != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = -1;

    return file_open_directory("/tmp", true, &fd) < 0
               ? -1
               : file_remove_tree(fd, strrchr(state_directory, '/') + 1);
}

static struct mirror_files *open_files(void)
{
    struct mirror_files *files = NULL;

    assert_int_equal(mirror_files_open(state_directory, &files), 0);
    return files;
}

static char digests[4][65];

static struct wire_mirror_file file_of(unsigned i, const char *name, const char *content,
                                       uint64_t version)
{
    uint8_t digest[SHA256_BYTES];

    assert_int_equal(hash_sha256(content, strlen(content), digest), 0);
    text_hex(digests[i], digest, sizeof digest);
    return (struct wire_mirror_file){
        .name = name, .sha256 = digests[i], .size = strlen(content), .version = version};
}

static bool stands(const char *name, const char *content)
{
    AUTO_BUFFER struct buffer there = BUFFER_WITH_MAXIMUM(1000);
    AUTO_FREE char *path = text_format_new("%s/" MIRROR_FILES_FOLDER "/%s", state_directory, name);

    return file_read_all(path, &there) == 0 && text_equal(buffer_text(&there), content);
}

/* In pieces, with an end and a start in between; all of a set at once. */
static void test_growing(void **state)
{
    (void)state;
    struct wire_mirror_file set_files[] = {file_of(0, "main.cvd", "first", 1),
                                           file_of(1, "daily.cvd", "second", 7)};
    struct wire_signatures set = {.files = set_files, .file_count = 2};
    struct mirror_files *files = open_files();
    uint64_t offset = 99;

    assert_false(mirror_files_have(files, &set));
    assert_ptr_equal(mirror_files_missing(files, &set, &offset), &set_files[0]);
    assert_int_equal(offset, 0);
    assert_int_equal(mirror_files_append(files, &set_files[0], 1, "x", 1), -EPROTO);
    assert_int_equal(mirror_files_append(files, &set_files[0], 0, "fir", 3), 0);
    assert_int_equal(mirror_files_append(files, &set_files[0], 0, "fir", 3), -EPROTO);
    assert_int_equal(mirror_files_append(files, &set_files[0], 3, "st too long", 11), -EPROTO);
    (void)mirror_files_close(files);
    files = open_files();
    assert_ptr_equal(mirror_files_missing(files, &set, &offset), &set_files[0]);
    assert_int_equal(offset, 3);
    assert_int_equal(mirror_files_append(files, &set_files[0], 3, "st", 2), 0);
    assert_false(stands("main.cvd", "first"));
    assert_ptr_equal(mirror_files_missing(files, &set, &offset), &set_files[1]);
    assert_int_equal(mirror_files_append(files, &set_files[1], 0, "second", 6), 0);
    assert_null(mirror_files_missing(files, &set, &offset));
    assert_int_equal(mirror_files_place(files, &set), 0);
    assert_true(stands("main.cvd", "first") && stands("daily.cvd", "second"));
    assert_true(mirror_files_have(files, &set));
    (void)mirror_files_close(files);
    files = open_files();
    assert_true(mirror_files_have(files, &set));
    (void)mirror_files_close(files);
}

/* It takes long; but what lay there when the agent started may be anything. */
static void test_each_is_hashed_once(void **state)
{
    (void)state;
    struct wire_mirror_file set_files[] = {file_of(0, "main.cvd", "first", 1),
                                           file_of(1, "daily.cvd", "second", 7)};
    struct wire_signatures set = {.files = set_files, .file_count = 2};
    struct mirror_files *files = open_files();

    hashed = 0;
    assert_int_equal(mirror_files_append(files, &set_files[0], 0, "first", 5), 0);
    assert_int_equal(hashed, 1);
    (void)mirror_files_close(files);
    files = open_files();
    assert_int_equal(mirror_files_append(files, &set_files[1], 0, "second", 6), 0);
    assert_int_equal(hashed, 2);
    assert_int_equal(mirror_files_place(files, &set), 0);
    assert_int_equal(hashed, 3); /* of the earlier run */
    (void)mirror_files_close(files);
}

static void test_another_content(void **state)
{
    (void)state;
    struct wire_mirror_file file = file_of(0, "own.hdb", "right", 0);
    struct wire_signatures set = {.files = &file, .file_count = 1};
    struct mirror_files *files = open_files();
    uint64_t offset = 99;

    assert_int_equal(mirror_files_append(files, &file, 0, "wrong", 5), -EBADMSG);
    assert_ptr_equal(mirror_files_missing(files, &set, &offset), &file);
    assert_int_equal(offset, 0);
    /* Changed behind our back. */
    assert_int_equal(mirror_files_append(files, &file, 0, "right", 5), 0);
    AUTO_FREE char *path = text_format_new("%s/signatures/spool/%s", state_directory, file.sha256);
    assert_int_equal(file_replace(path, "wrong", 5, 0600), 0);
    assert_int_equal(mirror_files_place(files, &set), -EBADMSG);
    assert_false(stands("own.hdb", "wrong"));
    (void)mirror_files_close(files);
}

static void place(struct mirror_files *files, const struct wire_mirror_file *file,
                  const char *content)
{
    struct wire_signatures set = {.files = (struct wire_mirror_file *)(uintptr_t)file,
                                  .file_count = 1};

    assert_int_equal(mirror_files_append(files, file, 0, content, strlen(content)), 0);
    assert_int_equal(mirror_files_place(files, &set), 0);
}

static void test_versions(void **state)
{
    (void)state;
    struct wire_mirror_file first = file_of(0, "daily.cvd", "version 20", 20),
                            older = file_of(1, "daily.cld", "version 19", 19),
                            newer = file_of(2, "daily.cld", "version 21", 21);
    struct wire_signatures to_older = {.files = &older, .file_count = 1},
                           to_newer = {.files = &newer, .file_count = 1}, none = {.file_count = 0};
    struct mirror_files *files = open_files();

    place(files, &first, "version 20");
    assert_ptr_equal(mirror_files_older(files, &to_older), &older);
    assert_null(mirror_files_older(files, &to_newer));
    place(files, &newer, "version 21");
    assert_true(stands("daily.cld", "version 21"));
    assert_false(stands("daily.cvd", "version 20"));
    /* Never none by accident. */
    assert_int_equal(mirror_files_place(files, &none), 0);
    assert_true(mirror_files_have(files, &none));
    assert_true(stands("daily.cld", "version 21"));
    (void)mirror_files_close(files);
    files = open_files();
    assert_ptr_equal(mirror_files_older(files, &to_older), &older);
    (void)mirror_files_close(files);
}

/* No piece of it ever comes. */
static void test_an_empty_file(void **state)
{
    (void)state;
    struct wire_mirror_file set_files[] = {file_of(0, "empty.hdb", "", 0),
                                           file_of(1, "own.hdb", "own", 0)};
    struct wire_signatures set = {.files = set_files, .file_count = 2};
    struct mirror_files *files = open_files();
    uint64_t offset;

    assert_int_equal(mirror_files_append(files, &set_files[1], 0, "own", 3), 0);
    assert_null(mirror_files_missing(files, &set, &offset));
    assert_int_equal(mirror_files_place(files, &set), 0);
    assert_true(stands("empty.hdb", "") && stands("own.hdb", "own"));
    assert_true(mirror_files_have(files, &set));
    (void)mirror_files_close(files);
}

/* The most files that there may be, and then as many of other names. */
static void test_the_most_files(void **state)
{
    (void)state;
    static struct wire_mirror_file set_files[LIMIT_MIRROR_FILES];
    static char names[LIMIT_MIRROR_FILES][16], contents[LIMIT_MIRROR_FILES][16],
        sums[LIMIT_MIRROR_FILES][65];
    struct wire_signatures set = {.files = set_files, .file_count = LIMIT_MIRROR_FILES};
    struct mirror_files *files = open_files();

    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < LIMIT_MIRROR_FILES; i++) {
            (void)text_format(names[i], sizeof names[i], "%u-%u.hdb", round, i);
            (void)text_format(contents[i], sizeof contents[i], "%u of %u", i, round);
            set_files[i] = file_of(0, names[i], contents[i], 0);
            (void)text_copy(sums[i], sizeof sums[i], digests[0]);
            set_files[i].sha256 = sums[i];
            assert_int_equal(
                mirror_files_append(files, &set_files[i], 0, contents[i], strlen(contents[i])), 0);
        }
        assert_int_equal(mirror_files_place(files, &set), 0);
        assert_true(mirror_files_have(files, &set));
    }
    assert_true(stands("1-0.hdb", "0 of 1"));
    assert_false(stands("0-0.hdb", "0 of 0"));
    (void)mirror_files_close(files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_growing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_each_is_hashed_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_content, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_versions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_empty_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_most_files, set_up, tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
