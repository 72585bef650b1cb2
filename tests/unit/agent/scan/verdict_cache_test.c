#include "agent/scan/verdict_cache.h"

#include "common/text/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[64], path[96];

static struct verdict_cache *open_cache(size_t limit)
{
    struct verdict_cache *cache;

    assert_int_equal(verdict_cache_open(path, limit, &cache), 0);
    return cache;
}

static struct file_identity file_number(uint64_t number)
{
    return (struct file_identity){
        .device = 2049,
        .inode = number,
        .size = number * 3,
        .mtime_ns = number * 7,
        .ctime_ns = number * 11,
    };
}

static enum verdict_cache_answer ask(struct verdict_cache *cache, uint64_t number,
                                     uint64_t generation)
{
    struct file_identity identity = file_number(number);

    return verdict_cache_lookup(cache, &identity, generation);
}

static void remember(struct verdict_cache *cache, uint64_t number, uint64_t generation)
{
    struct file_identity identity = file_number(number);

    verdict_cache_remember_clean(cache, &identity, generation);
}

static int set_up(void **state)
{
    (void)state;
    (void)text_copy(directory, sizeof directory, "/tmp/yagura-cache-XXXXXX");
    assert_non_null(mkdtemp(directory));
    (void)text_format(path, sizeof path, "%s/verdicts", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

static void test_only_the_same_state_is_an_answer(void **state)
{
    struct verdict_cache *cache = open_cache(100);

    (void)state;
    remember(cache, 5, 1);
    assert_int_equal(ask(cache, 5, 1), VERDICT_CACHE_HIT);
    assert_int_equal(ask(cache, 5, 2), VERDICT_CACHE_STALE);
    assert_int_equal(ask(cache, 6, 1), VERDICT_CACHE_MISS);
    for (int field = 0; field < 5; field++) {
        struct file_identity other = file_number(5);
        uint64_t *fields[] = {&other.device, &other.inode, &other.size, &other.mtime_ns,
                              &other.ctime_ns};
        ++*fields[field];
        assert_int_equal(verdict_cache_lookup(cache, &other, 1), VERDICT_CACHE_MISS);
    }
    struct file_identity wide = file_number(5);
    wide.device += 1ULL << 32;
    assert_int_equal(verdict_cache_lookup(cache, &wide, 1), VERDICT_CACHE_MISS);
    verdict_cache_close(cache);
}

static void test_reports_are_noted_but_never_an_answer(void **state)
{
    struct verdict_cache *cache = open_cache(100);
    struct file_identity identity = file_number(5);
    struct scan_result bomb = {.verdict = SCAN_INCOMPLETE,
                               .reason = SCAN_REASON_TIME,
                               .generation = 1};
    struct scan_result bad = {.verdict = SCAN_INFECTED, .generation = 1};

    (void)state;
    remember(cache, 5, 1);
    verdict_cache_note_report(cache, &identity, &bomb);
    assert_int_equal(ask(cache, 5, 1), VERDICT_CACHE_MISS);
    assert_true(verdict_cache_is_reported(cache, &identity, &bomb));
    bomb.reason = SCAN_REASON_ENCRYPTED;
    assert_false(verdict_cache_is_reported(cache, &identity, &bomb));
    verdict_cache_note_report(cache, &identity, &bad);
    assert_true(verdict_cache_is_reported(cache, &identity, &bad));
    verdict_cache_forget_infected(cache);
    assert_false(verdict_cache_is_reported(cache, &identity, &bad));
    verdict_cache_note_report(cache, &identity, &bad);
    identity = file_number(6);
    bomb.reason = SCAN_REASON_TIME;
    verdict_cache_note_report(cache, &identity, &bomb);
    verdict_cache_close(cache);
    cache = open_cache(100);
    assert_true(verdict_cache_is_reported(cache, &identity, &bomb));
    identity = file_number(5);
    assert_false(verdict_cache_is_reported(cache, &identity, &bad));
    verdict_cache_close(cache);
}

static void test_it_survives_restarts(void **state)
{
    struct verdict_cache *cache = open_cache(100000);

    (void)state;
    for (uint64_t i = 1; i <= 20000; i++)
        remember(cache, i, i % 3);
    verdict_cache_flush(cache);
    for (uint64_t i = 1; i <= 5000; i++)
        remember(cache, i, 9);
    verdict_cache_close(cache);
    cache = open_cache(100000);
    assert_int_equal(verdict_cache_count(cache), 20000);
    for (uint64_t i = 1; i <= 20000; i++)
        assert_int_equal(ask(cache, i, i <= 5000 ? 9 : i % 3), VERDICT_CACHE_HIT);
    assert_int_equal(verdict_cache_count_stale(cache, 9), 15000);
    verdict_cache_close(cache);
}

static void damage(off_t at)
{
    int fd = open(path, O_RDWR);
    char byte;

    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte = (char)(byte ^ 1);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

static void test_damage_only_costs_what_stands_behind_it(void **state)
{
    struct verdict_cache *cache = open_cache(100);
    struct stat status;

    (void)state;
    remember(cache, 1, 1);
    verdict_cache_flush(cache);
    remember(cache, 2, 1);
    verdict_cache_flush(cache);
    remember(cache, 3, 1);
    verdict_cache_close(cache);
    assert_int_equal(stat(path, &status), 0);
    damage(status.st_size / 2);
    cache = open_cache(100);
    assert_int_equal(ask(cache, 1, 1), VERDICT_CACHE_HIT);
    assert_int_equal(ask(cache, 2, 1), VERDICT_CACHE_MISS);
    assert_int_equal(ask(cache, 3, 1), VERDICT_CACHE_MISS);
    remember(cache, 4, 1);
    verdict_cache_close(cache);
    assert_int_equal(truncate(path, status.st_size / 3 * 2 - 5), 0);
    cache = open_cache(100);
    assert_int_equal(ask(cache, 1, 1), VERDICT_CACHE_HIT);
    assert_int_equal(ask(cache, 4, 1), VERDICT_CACHE_MISS);
    verdict_cache_close(cache);
    damage(3);
    cache = open_cache(100);
    assert_int_equal(verdict_cache_count(cache), 0);
    verdict_cache_close(cache);
}

static void test_the_oldest_unasked_go_first(void **state)
{
    struct verdict_cache *cache = open_cache(1000);

    (void)state;
    for (uint64_t i = 1; i <= 1000; i++)
        remember(cache, i, 1);
    assert_int_equal(ask(cache, 7, 1), VERDICT_CACHE_HIT);
    for (uint64_t i = 1001; i <= 1500; i++)
        remember(cache, i, 1);
    assert_int_equal(verdict_cache_count(cache), 1000);
    assert_int_equal(ask(cache, 7, 1), VERDICT_CACHE_HIT);
    assert_int_equal(ask(cache, 8, 1), VERDICT_CACHE_MISS);
    assert_int_equal(ask(cache, 900, 1), VERDICT_CACHE_HIT);
    assert_int_equal(ask(cache, 1500, 1), VERDICT_CACHE_HIT);
    verdict_cache_close(cache);
}

static void test_the_file_does_not_grow_for_ever(void **state)
{
    struct verdict_cache *cache = open_cache(1000);
    struct stat status;

    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        for (uint64_t i = 1; i <= 1000; i++)
            remember(cache, i, round);
        verdict_cache_flush(cache);
    }
    assert_int_equal(stat(path, &status), 0);
    assert_in_range(status.st_size, 1000 * 48, (2 * 1000 + 65536 + 8192) * 48 + 65536);
    verdict_cache_close(cache);
    cache = open_cache(1000);
    assert_int_equal(ask(cache, 500, 299), VERDICT_CACHE_HIT);
    verdict_cache_close(cache);
}

static void test_many_generations(void **state)
{
    struct verdict_cache *cache = open_cache(1000);

    (void)state;
    for (uint64_t generation = 1; generation <= 700; generation++) {
        remember(cache, generation, generation);
        assert_int_equal(ask(cache, generation, generation), VERDICT_CACHE_HIT);
        if (generation > 1)
            assert_int_equal(ask(cache, generation - 1, generation), VERDICT_CACHE_STALE);
    }
    assert_int_equal(verdict_cache_count_stale(cache, 700), 699);
    verdict_cache_close(cache);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_only_the_same_state_is_an_answer),
        TEST(test_reports_are_noted_but_never_an_answer),
        TEST(test_it_survives_restarts),
        TEST(test_damage_only_costs_what_stands_behind_it),
        TEST(test_the_oldest_unasked_go_first),
        TEST(test_the_file_does_not_grow_for_ever),
        TEST(test_many_generations),
    };

    return cmocka_run_group_tests_name("agent/scan/verdict_cache", tests, NULL, NULL);
}
