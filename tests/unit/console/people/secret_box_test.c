/* Sealed texts open in their place with their key, and nowhere else. */
#include "common/text/text.h"
#include "console/people/secret_box.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void sealing(void **state UNUSED)
{
    char folder[] = "/tmp/yagura-secrets-XXXXXX", path[64];
    struct secret_box box, again, other = {.key = {1}};
    struct stat status;
    assert_non_null(mkdtemp(folder));
    (void)text_format(path, sizeof(path), "%s/secrets.key", folder);
    assert_int_equal(secret_box_open(folder, &box), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(secret_box_open(folder, &again), 0);

    AUTO_FREE char *sealed = secret_seal(&box, "totp:a", "JBSWY3DP");
    AUTO_FREE char *opened = NULL;
    assert_non_null(sealed);
    assert_true(secret_is_sealed(sealed));
    assert_null(strstr(sealed, "JBSWY3DP"));
    assert_int_equal(secret_open(&again, "totp:a", sealed, &opened), 0);
    assert_string_equal(opened, "JBSWY3DP");
    char *wrong = NULL;
    assert_int_equal(secret_open(&box, "totp:b", sealed, &wrong), -EKEYREJECTED);
    assert_int_equal(secret_open(&other, "totp:a", sealed, &wrong), -EKEYREJECTED);
    assert_int_equal(secret_open(&box, "totp:a", "JBSWY3DP", &wrong), -EKEYREJECTED);
    assert_int_equal(secret_open(&box, "totp:a", "s1.", &wrong), -EKEYREJECTED);
    sealed[10] = sealed[10] == 'A' ? 'B' : 'A';
    assert_int_equal(secret_open(&box, "totp:a", sealed, &wrong), -EKEYREJECTED);
    AUTO_FREE char *nothing = secret_seal(&box, "totp:a", "");
    assert_string_equal(nothing, "");

    assert_int_equal(truncate(path, 31), 0);
    assert_int_equal(secret_box_open(folder, &again), -EBADMSG);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(secret_box_open(folder, &again), -EBADMSG);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sealing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
