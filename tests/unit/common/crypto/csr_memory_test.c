/* Certificate requests while OpenSSL gets no memory: each allocation in turn. Some it can do
 * without: then the result is whole. */
#include "common/crypto/csr.h"
#include "common/crypto/keys.h"
#include "tests/unit/support/failing_allocator.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *allocate(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return failing_allocator_malloc(size);
}

static void *reallocate(void *memory, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return failing_allocator_realloc(memory, size);
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    free(memory);
}

static void make(EVP_PKEY *key)
{
    char *pem = NULL;
    int r = csr_new(key, &pem);

    assert_true((r == 0) == (pem != NULL));
    free(pem);
}

static void test_making(void **state)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    size_t allocations;

    (void)state;
    assert_int_equal(key_new_p256(&key), 0);
    make(key); /* what is made once is made */
    failing_allocator_arm(0, false);
    make(key);
    allocations = failing_allocator_count();
    for (size_t number = 1; number <= allocations; number++) {
        failing_allocator_arm(number, number % 2 == 0);
        make(key);
        (void)failing_allocator_disarm();
        ERR_clear_error();
    }
}

static void test_reading(void **state)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    char *pem = NULL;
    size_t allocations = 1;

    (void)state;
    assert_int_equal(key_new_p256(&key), 0);
    assert_int_equal(csr_new(key, &pem), 0);
    for (size_t number = 0; number <= allocations; number++) {
        AUTO_KEY EVP_PKEY *got = NULL;
        failing_allocator_arm(number, number % 2 == 1);
        int r = csr_read_key(pem, strlen(pem), &got);
        (void)failing_allocator_disarm();
        if (number == 0)
            allocations = failing_allocator_count();
        assert_true((r == 0) == (got != NULL));
        if (got != NULL)
            assert_int_equal(EVP_PKEY_eq(got, key), 1);
        ERR_clear_error();
    }
    free(pem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_making),
        cmocka_unit_test(test_reading),
    };

    if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1)
        return EXIT_FAILURE; /* OpenSSL has memory already */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
