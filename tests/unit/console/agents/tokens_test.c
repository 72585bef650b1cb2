/* Networks of tokens, and the limit on failed sign-ins under a fake clock. */
#include "console/agents/tokens.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/people/sign_in_limit.h"
#include "console/people/totp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void matches_networks(void **state UNUSED)
{
    assert_true(cidr_contains("10.0.0.0/8", "10.255.1.2"));
    assert_false(cidr_contains("10.0.0.0/8", "11.0.0.1"));
    assert_true(cidr_contains("192.0.2.1", "192.0.2.1"));
    assert_false(cidr_contains("192.0.2.1", "192.0.2.2"));
    assert_true(cidr_contains("192.0.2.128/25", "192.0.2.200"));
    assert_false(cidr_contains("192.0.2.128/25", "192.0.2.100"));
    assert_true(cidr_contains("0.0.0.0/0", "1.2.3.4"));
    assert_false(cidr_contains("0.0.0.0/0", "::1"));
    assert_true(cidr_contains("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(cidr_contains("2001:db8::/33", "2001:db8:8000::1"));
    assert_false(cidr_contains("10.0.0.0/8", "10.0.0.1/8"));
}

static void refuses_odd_networks(void **state UNUSED)
{
    static const char *const bad[] = {"",          "x",           "10.0.0.0/33", "::/129",
                                      "10.0.0.0/", "10.0.0.0/+8", "10.0.0.0/8 ", "10.0.0",
                                      "1.2.3.4.5"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert_false(cidr_is_valid(bad[i]));
}

static void secrets_differ_and_hash(void **state UNUSED)
{
    char a[SECRET_TEXT_BYTES], b[SECRET_TEXT_BYTES];
    char hash_a[SHA256_HEX_BYTES], hash[SHA256_HEX_BYTES];
    assert_int_equal(secret_new("yt1.", a, hash_a), 0);
    assert_int_equal(secret_new("yt1.", b, hash), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 4 + 43);
    assert_int_equal(secret_hash(a, hash), 0);
    assert_string_equal(hash, hash_a);
}

static void limits_failed_sign_ins(void **state UNUSED)
{
    static struct sign_in_limit limit;
    sign_in_limit_init(&limit);
    clock_set_fake(1000 * NS_PER_SECOND, 1);
    for (unsigned i = 0; i < SIGN_IN_FREE_FAILS; i++)
        assert_int_equal(sign_in_limit_try(&limit, "a", "1.1.1.1"), 0);
    assert_int_equal(sign_in_limit_try(&limit, "a", "2.2.2.2"), SIGN_IN_WAIT_SECONDS);
    assert_int_equal(sign_in_limit_try(&limit, "b", "1.1.1.1"), 0);
    for (int i = 0; i < SIGN_IN_ADDRESS_FAILS; i++) { /* addresses of one network */
        char name[16], address[32];
        (void)text_format(name, sizeof(name), "v6-%d", i);
        (void)text_format(address, sizeof(address), "2001:db8::%x", i + 1);
        assert_int_equal(sign_in_limit_try(&limit, name, address), 0);
    }
    assert_int_not_equal(sign_in_limit_try(&limit, "new", "2001:db8::ffff"), 0);
    assert_int_equal(sign_in_limit_try(&limit, "new", "2001:db8:0:1::1"), 0);
    clock_set_fake((1001 + SIGN_IN_WAIT_SECONDS) * NS_PER_SECOND, 1);
    assert_int_equal(sign_in_limit_try(&limit, "a", "2.2.2.2"), 0);
    sign_in_limit_good(&limit, "a", "2.2.2.2");
    for (unsigned i = 0; i < SIGN_IN_FREE_FAILS; i++)
        assert_int_equal(sign_in_limit_try(&limit, "a", "2.2.2.2"), 0);
    for (unsigned i = 0; i < SIGN_IN_ADDRESS_FAILS; i++) {
        char name[16] = {(char)('A' + i), 'x', 0};
        (void)sign_in_limit_try(&limit, name, "3.3.3.3");
    }
    assert_true(sign_in_limit_try(&limit, "fresh", "3.3.3.3") > 0);
    clock_set_fake(0, 0);
}

/* RFC 6238, appendix B, SHA-1: the last six of its eight digits. */
static void makes_the_codes_of_the_rfc(void **state UNUSED)
{
    static const char secret[] = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    static const struct {
        int64_t seconds;
        const char *code;
    } vectors[] = {{59, "287082"},         {1111111109, "081804"}, {1111111111, "050471"},
                   {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"}};
    char code[7], made[TOTP_TEXT_BYTES];
    int64_t step = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(vectors); i++) {
        assert_int_equal(totp_code(secret, vectors[i].seconds / 30, code), 0);
        assert_string_equal(code, vectors[i].code);
        assert_true(totp_matches(secret, code, vectors[i].seconds + 30, 0, &step));
        assert_false(totp_matches(secret, code, vectors[i].seconds + 30, step, &step));
        assert_false(totp_matches(secret, code, vectors[i].seconds + 90, 0, &step));
    }
    assert_int_equal(totp_new(made), 0);
    assert_int_equal(totp_code(made, 1, code), 0);
    assert_int_equal(totp_code("short", 1, code), -EINVAL);
    assert_int_equal(totp_code("gezdgnbvgy3tqojqgezdgnbvgy3tqojq", 1, code), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_networks),           cmocka_unit_test(refuses_odd_networks),
        cmocka_unit_test(secrets_differ_and_hash),    cmocka_unit_test(limits_failed_sign_ins),
        cmocka_unit_test(makes_the_codes_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
