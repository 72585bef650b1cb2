/* The small parts decisions are made with: brake, memory of detections, sets of digests, the format
 * of facts and of sealed files, holding directories. */
#include "agent/respond/brake.h"
#include "agent/respond/detection_memory.h"
#include "agent/respond/digest_set.h"
#include "agent/respond/holding.h"
#include "agent/respond/quarantine_facts.h"
#include "agent/respond/sealed_file.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#define MINUTE (60 * NS_PER_SECOND)
#define START  (1000000 * MINUTE)

static void set_minute(uint64_t minute)
{
    clock_set_fake(START + minute * MINUTE, START + minute * MINUTE);
}

static void the_brake_counts_an_hour(void **state)
{
    struct brake *brake;

    (void)state;
    assert_int_equal(brake_new(&brake), 0);
    set_minute(0);
    for (int i = 0; i < 5; i++)
        assert_true(brake_allows(brake, "A", 5));
    assert_false(brake_allows(brake, "A", 5));
    assert_true(brake_allows(brake, "B", 5));
    assert_true(brake_allows(brake, "A", 0)); /* no brake */
    set_minute(59);
    assert_false(brake_allows(brake, "A", 5));
    set_minute(60);
    assert_true(brake_allows(brake, "A", 5));
    set_minute(30); /* the clock went back: not a fresh start */
    for (int i = 0; i < 4; i++)
        assert_true(brake_allows(brake, "A", 5));
    assert_false(brake_allows(brake, "A", 5));
    set_minute(10000);
    assert_true(brake_allows(brake, "A", 5));
    brake_free(brake);
    clock_set_fake(0, 0);
}

static void the_brake_takes_over_old_counts(void **state)
{
    struct brake *brake;

    (void)state;
    assert_int_equal(brake_new(&brake), 0);
    set_minute(100);
    brake_add(brake, "A", START / MINUTE + 50, 4);
    brake_add(brake, "A", START / MINUTE + 10, 100);  /* too old */
    brake_add(brake, "A", START / MINUTE + 200, 100); /* not yet */
    assert_true(brake_allows(brake, "A", 5));
    assert_false(brake_allows(brake, "A", 5));
    set_minute(111);
    assert_true(brake_allows(brake, "A", 5));
    brake_free(brake);
    clock_set_fake(0, 0);
}

static void held_ones_are_told_at_powers_of_ten(void **state)
{
    struct brake *brake;
    uint64_t told = 0, last = 0;

    (void)state;
    assert_int_equal(brake_new(&brake), 0);
    set_minute(0);
    for (int i = 0; i < 1234; i++) {
        uint64_t count = brake_note_held(brake, "A");

        told += count > 0;
        last = count > 0 ? count : last;
    }
    assert_int_equal(told, 4); /* 1, 10, 100, 1000 */
    assert_int_equal(last, 1000);
    set_minute(61);
    assert_int_equal(brake_note_held(brake, "A"), 1);
    brake_free(brake);
    clock_set_fake(0, 0);
}

static void the_brake_is_bounded(void **state)
{
    struct brake *brake;
    char name[16];

    (void)state;
    assert_int_equal(brake_new(&brake), 0);
    set_minute(0);
    for (int i = 0; i < LIMIT_BRAKE_SIGNATURES; i++) {
        (void)text_format(name, sizeof(name), "S%d", i);
        assert_true(brake_allows(brake, name, 1));
    }
    assert_false(brake_allows(brake, "one too many", 1));
    set_minute(61);
    assert_true(brake_allows(brake, "one too many", 1));
    brake_free(brake);
    clock_set_fake(0, 0);
}

static void memory_knows_the_very_state_of_a_file(void **state)
{
    struct file_identity file = {1, 2, 3, 4, 5}, other;
    struct detection_memory *memory;
    int result = 7;

    (void)state;
    assert_int_equal(detection_memory_new(&memory), 0);
    assert_false(detection_memory_find(memory, &file, "A", &result));
    detection_memory_note(memory, &file, "A", 0);
    assert_true(detection_memory_find(memory, &file, "A", &result));
    assert_int_equal(result, 0);
    assert_false(detection_memory_find(memory, &file, "B", &result));
    other = file;
    other.ctime_ns++;
    assert_false(detection_memory_find(memory, &other, "A", &result));
    detection_memory_forget(memory, &file);
    assert_false(detection_memory_find(memory, &file, "A", &result));
    set_minute(0);
    detection_memory_note(memory, &file, "A", -EROFS);
    assert_true(detection_memory_find(memory, &file, "A", &result));
    assert_int_equal(result, -EROFS);
    set_minute(61);
    assert_false(detection_memory_find(memory, &file, "A", &result));
    clock_set_fake(0, 0);
    for (uint64_t i = 0; i < 100000; i++) {
        other.inode = i;
        detection_memory_note(memory, &other, "A", 0);
    }
    assert_true(detection_memory_find(memory, &other, "A", &result));
    detection_memory_clear(memory);
    assert_false(detection_memory_find(memory, &other, "A", &result));
    detection_memory_free(memory);
}

static void digests_are_found(void **state)
{
    struct digest_set set = {0};
    char hex[SHA256_HEX_BYTES];

    (void)state;
    memset(hex, '0', sizeof(hex));
    hex[64] = '\0';
    for (int i = 99; i >= 0; i--) {
        hex[0] = (char)('0' + i / 10);
        hex[63] = (char)('0' + i % 10);
        assert_int_equal(digest_set_add(&set, hex), 0);
        assert_int_equal(digest_set_add(&set, hex), 0);
    }
    assert_int_equal(set.count, 100);
    assert_true(digest_set_contains(&set, hex));
    digest_set_remove(&set, hex);
    digest_set_remove(&set, hex);
    assert_false(digest_set_contains(&set, hex));
    assert_int_equal(set.count, 99);
    assert_int_equal(digest_set_add(&set, "abc"), -EINVAL);
    assert_false(digest_set_contains(&set, "abc"));
    digest_set_done(&set);
}

static void fill_facts(struct quarantine_facts *facts)
{
    *facts = (struct quarantine_facts){.path = strdup("/srv/\xff\n evil"),
                                       .mode = 06755,
                                       .uid = 1,
                                       .gid = 2,
                                       .cause = 3,
                                       .size = 27,
                                       .links = 5,
                                       .modified_ns = UINT64_MAX,
                                       .time_ns = 9};
    assert_int_equal(uuid_new(facts->id), 0);
    assert_true(text_copy(facts->signature, sizeof(facts->signature), "Test.M") >= 0);
}

static void facts_come_back(void **state)
{
    AUTO_BUFFER struct buffer encoded = BUFFER_WITH_MAXIMUM(LIMIT_QUARANTINE_HEADER);
    AUTO_FACTS struct quarantine_facts facts = {0}, back = {0};

    (void)state;
    fill_facts(&facts);
    assert_int_equal(quarantine_facts_encode(&facts, &encoded), 0);
    assert_int_equal(quarantine_facts_decode(encoded.data, encoded.length, &back), 0);
    assert_string_equal(back.path, facts.path);
    assert_string_equal(back.id, facts.id);
    assert_string_equal(back.sha256, "");
    assert_int_equal(back.mode, 06755);
    assert_true(back.modified_ns == UINT64_MAX);
    for (size_t length = 0; length < encoded.length; length++) {
        struct quarantine_facts cut = {0};

        assert_int_equal(quarantine_facts_decode(encoded.data, length, &cut), -EBADMSG);
    }
}

static void ids_are_checked(void **state)
{
    (void)state;
    assert_true(quarantine_id_valid("01a200d1-96ac-71cc-8c16-bacab225ee37"));
    assert_false(quarantine_id_valid("01a200d1-96ac-71cc-8c16-bacab225ee3"));
    assert_false(quarantine_id_valid("01a200d1-96ac-71cc-8c16-bacab225ee377"));
    assert_false(quarantine_id_valid("01A200d1-96ac-71cc-8c16-bacab225ee37"));
    assert_false(quarantine_id_valid("../../../../../../../../../etc/passwd"));
    assert_false(quarantine_id_valid(""));
}

static void a_sealed_file_is_whole_or_refused(void **state)
{
    uint8_t key[AEAD_KEY_BYTES] = {1};
    AUTO_FACTS struct quarantine_facts facts = {0}, back = {0};
    AUTO_CLOSE int source = memfd_create("source", MFD_CLOEXEC), fd = -1;
    char directory[] = "/tmp/sealed_XXXXXX";
    AUTO_CLOSE int directory_fd = -1;
    struct stat status;

    (void)state;
    assert_non_null(mkdtemp(directory));
    directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(write(source, "content", 7), 7);
    fill_facts(&facts);
    assert_int_equal(sealed_file_write(key, &facts, source, 6, directory_fd, "x", &fd), -EFBIG);
    assert_int_equal(faccessat(directory_fd, "x", F_OK, 0), -1);
    assert_int_equal(sealed_file_write(key, &facts, source, 7, directory_fd, "x", &fd), 0);
    assert_int_equal(facts.size, 7);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(sealed_file_read_facts(key, fd, &back), 0);
    assert_int_equal(sealed_file_read_content(key, fd, &back, -1), 0);
    assert_int_equal(fstat(fd, &status), 0);
    for (off_t at = 0; at < status.st_size; at += 7) {
        struct quarantine_facts broken = {0};
        uint8_t byte;
        int r;

        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        r = sealed_file_read_facts(key, fd, &broken);
        if (r == 0)
            r = sealed_file_read_content(key, fd, &broken, -1);
        assert_int_equal(r, -EBADMSG);
        quarantine_facts_done(&broken);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    assert_int_equal(file_remove_tree(AT_FDCWD, directory), 0);
}

static void holding_takes_and_gives_back(void **state)
{
    char directory[] = "/tmp/holding_XXXXXX", name[256];
    AUTO_FREE char *ours = NULL, *inside = NULL;
    AUTO_CLOSE int parent_fd = -1, holding_fd = -1;
    char state_directory[] = "/tmp/holding_XXXXXX";
    struct holdings *holdings, *elsewhere;
    const char *path;

    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_non_null(mkdtemp(state_directory));
    assert_int_equal(holdings_new(directory, "0123456789abcdef", &holdings), 0);
    assert_int_equal(holdings_new(state_directory, "0123456789abcdef", &elsewhere), 0);
    parent_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(holdings_find(holdings, parent_fd, directory, &holding_fd, &path), 0);
    close(openat(parent_fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(holding_take(parent_fd, "f", holding_fd, "01a200d1"), 0);
    assert_int_equal(holding_take(parent_fd, "f", holding_fd, "01a200d1"), -ENOENT);
    close(openat(parent_fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(holding_give_back(holding_fd, "01a200d1", parent_fd, "f", name), 0);
    assert_string_equal(name, "f.yagura-returned-01a200d1");
    assert_int_equal(faccessat(parent_fd, name, F_OK, 0), 0);
    /* ours by name, and closed to others */
    ours = text_format_new("%s/files/.yagura-quarantine-0123456789abcdef", directory);
    inside = text_format_new("%s/x", ours);
    assert_int_equal(mkdirat(parent_fd, "files", 0755), 0);
    assert_int_equal(mkdir(ours, 0755), 0);
    assert_false(holdings_contain(elsewhere, inside));
    assert_int_equal(chmod(ours, 0700), 0);
    assert_true(holdings_contain(elsewhere, inside));
    assert_false(holdings_contain(elsewhere, ours));
    assert_false(holdings_contain(elsewhere, "/mnt/.yagura-quarantine-0123456789abcdef/x"));
    holdings_free(elsewhere);
    /* open to others: not ours alone */
    assert_int_equal(fchmod(holding_fd, 0755), 0);
    close(holding_fd);
    assert_int_equal(holdings_open(path, &holding_fd), -EPERM);
    holding_fd = -1;
    holdings_free(holdings);
    assert_int_equal(file_remove_tree(AT_FDCWD, directory), 0);
    assert_int_equal(file_remove_tree(AT_FDCWD, state_directory), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_brake_counts_an_hour),
        cmocka_unit_test(the_brake_takes_over_old_counts),
        cmocka_unit_test(held_ones_are_told_at_powers_of_ten),
        cmocka_unit_test(the_brake_is_bounded),
        cmocka_unit_test(memory_knows_the_very_state_of_a_file),
        cmocka_unit_test(digests_are_found),
        cmocka_unit_test(facts_come_back),
        cmocka_unit_test(ids_are_checked),
        cmocka_unit_test(a_sealed_file_is_whole_or_refused),
        cmocka_unit_test(holding_takes_and_gives_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
