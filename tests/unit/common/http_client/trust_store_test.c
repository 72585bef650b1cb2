/* Which file of certificates is taken on which distribution. */
#include "common/http_client/trust_store.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int make_root(void **state)
{
    char root[] = "/tmp/yagura-trust-XXXXXX";

    assert_non_null(mkdtemp(root));
    *state = strdup(root);
    return *state != NULL ? 0 : -1;
}

static int remove_root(void **state)
{
    assert_int_equal(file_remove_tree(AT_FDCWD, *state), 0);
    free(*state);
    return 0;
}

static void put(const char *root, const char *path)
{
    char whole[PATH_MAX], folder[PATH_MAX];

    assert_true(text_format(whole, sizeof whole, "%s%s", root, path) > 0);
    (void)text_copy(folder, sizeof folder, whole);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(file_make_directories(folder, 0755), 0);
    assert_int_equal(file_replace(whole, "x", 1, 0644), 0);
}

static void test_none(void **state)
{
    assert_null(trust_store_find("/etc/ssl/certs/ca-certificates.crt", *state));
    assert_null(trust_store_find(NULL, *state));
}

static void test_of_another_distribution(void **state)
{
    const char *debian = "/etc/ssl/certs/ca-certificates.crt";

    put(*state, "/var/lib/ca-certificates/ca-bundle.pem");
    assert_string_equal(trust_store_find(debian, *state), "/var/lib/ca-certificates/ca-bundle.pem");
    put(*state, "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
    assert_string_equal(trust_store_find(debian, *state),
                        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem");
    put(*state, "/etc/pki/tls/certs/ca-bundle.crt");
    assert_string_equal(trust_store_find(debian, *state), "/etc/pki/tls/certs/ca-bundle.crt");
    put(*state, debian);
    assert_string_equal(trust_store_find(NULL, *state), debian);
}

static void test_its_own_first(void **state)
{
    put(*state, "/etc/ssl/certs/ca-certificates.crt");
    put(*state, "/opt/certificates.pem");
    assert_string_equal(trust_store_find("/opt/certificates.pem", *state), "/opt/certificates.pem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_none, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_of_another_distribution, make_root, remove_root),
        cmocka_unit_test_setup_teardown(test_its_own_first, make_root, remove_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
