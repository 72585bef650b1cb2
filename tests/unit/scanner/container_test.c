#include "scanner/container.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool likely(const char *head, size_t length)
{
    return container_likely((const uint8_t *)head, length, length);
}

static void test_containers_are_known_by_their_beginning(void **state)
{
    (void)state;
    assert_true(likely("PK\x03\x04rest", 8));
    assert_true(likely("7z\xbc\xaf\x27\x1c", 6));
    assert_true(likely("Rar!\x1a\x07", 6));
    assert_true(likely("\x1f\x8b\x08", 3));
    assert_true(likely("%PDF-1.7", 8));
    assert_true(likely("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 8));
    char tar[CONTAINER_PEEK_BYTES] = "name";
    memcpy(tar + 257, "ustar", 5);
    assert_true(likely(tar, sizeof(tar)));
}

static void test_others_are_not(void **state)
{
    (void)state;
    assert_false(likely("", 0));
    assert_false(likely("P", 1));
    assert_false(likely("hello world", 11));
    assert_false(likely("\x7f"
                        "ELF",
                        4));
    assert_false(likely("MZ", 2));
}

static void test_a_large_file_counts_as_one(void **state)
{
    (void)state;
    assert_true(container_likely((const uint8_t *)"hello", 5, 100ULL << 20));
    assert_false(container_likely((const uint8_t *)"hello", 5, 1ULL << 20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_containers_are_known_by_their_beginning),
        cmocka_unit_test(test_others_are_not),
        cmocka_unit_test(test_a_large_file_counts_as_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
