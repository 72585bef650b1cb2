/* common/buffers/spare: a block comes back to the thread that gave it, and is no other's. */
#include "common/buffers/spare.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Under sanitizers every block is the allocator's, which does not give the same one twice. */
static bool keeps_blocks(void)
{
    void *first = spare_take(1);
    spare_give(first, 1);
    void *second = spare_take(1);
    spare_give(second, 1);
    return first == second;
}

static void test_taken_blocks_do_not_overlap(void **state UNUSED)
{
    static const size_t sizes[] = {1, 1024, 1025, 2048, 4096, 4097, 100000};
    unsigned char *blocks[ARRAY_LENGTH(sizes) * 2];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
            size_t size = sizes[i % ARRAY_LENGTH(sizes)];
            blocks[i] = spare_take(size);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
            memset(blocks[i], (int)i, size);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
            size_t size = sizes[i % ARRAY_LENGTH(sizes)];
            for (size_t at = 0; at < size; at++)
                assert_int_equal(blocks[i][at], i);
            spare_give(blocks[i], size);
        }
    }
    spare_give(NULL, 1);
}

static void test_a_size_is_met_by_its_own_blocks(void **state UNUSED)
{
    if (!keeps_blocks())
        skip();
    void *large = spare_take(4096);
    spare_give(large, 4096);
    void *small = spare_take(1024);
    assert_ptr_not_equal(small, large);
    spare_give(small, 1024);
    void *again = spare_take(2049);
    assert_ptr_equal(again, large);
    spare_give(again, 2049);
}

static void *give(void *memory)
{
    spare_give(memory, 2048);
    void *again = spare_take(2000);
    bool same = again == memory;
    spare_give(again, 2000);
    return (void *)(uintptr_t)same;
}

static void test_another_thread_may_give_it_back(void **state UNUSED)
{
    pthread_t thread;
    void *same;
    assert_int_equal(pthread_create(&thread, NULL, give, spare_take(2048)), 0);
    assert_int_equal(pthread_join(thread, &same), 0);
    assert_int_equal((uintptr_t)same, keeps_blocks());
}

static void test_many_at_once(void **state UNUSED)
{
    static void *blocks[2 * SPARE_KEPT];
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = spare_take(1);
        assert_non_null(blocks[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++)
        spare_give(blocks[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_blocks_do_not_overlap),
        cmocka_unit_test(test_a_size_is_met_by_its_own_blocks),
        cmocka_unit_test(test_another_thread_may_give_it_back),
        cmocka_unit_test(test_many_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
