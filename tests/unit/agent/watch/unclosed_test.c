#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/watch/settle.h"
#include "agent/watch/unclosed.h"

static struct settle_entry *file(void)
{
    struct settle_entry *entry = calloc(1, sizeof(*entry) + 4);

    assert_non_null(entry);
    return entry;
}

static void finds_by_inode_until_the_ring_turned(void **state)
{
    struct unclosed *unclosed = calloc(1, sizeof(*unclosed));
    struct settle_entry *first = file();

    (void)state;
    assert_non_null(unclosed);
    unclosed_add(unclosed, 1, 1000, first);
    assert_ptr_equal(unclosed_find(unclosed, 1, 1000), first);
    assert_null(unclosed_find(unclosed, 2, 1000));
    assert_null(unclosed_find(unclosed, 0, 0));
    for (uint64_t i = 1; i < UNCLOSED_ENTRIES; i++)
        unclosed_add(unclosed, 1, 1000 + i, file());
    assert_ptr_equal(unclosed_find(unclosed, 1, 1000), first);
    unclosed_add(unclosed, 1, 9999, file());
    assert_null(unclosed_find(unclosed, 1, 1000));
    unclosed_done(unclosed);
    free(unclosed);
}

static void reads_the_kernels_name(void **state)
{
    uint64_t inode = 0;

    (void)state;
    assert_true(unclosed_name_inode("#123", 4, &inode));
    assert_int_equal(inode, 123);
    assert_true(unclosed_name_inode("#18446744073709551615", 21, &inode));
    assert_false(unclosed_name_inode("#", 1, &inode));
    assert_false(unclosed_name_inode("123", 3, &inode));
    assert_false(unclosed_name_inode("#12x", 4, &inode));
    assert_false(unclosed_name_inode("#99999999999999999999999999999", 30, &inode));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_by_inode_until_the_ring_turned),
        cmocka_unit_test(reads_the_kernels_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
