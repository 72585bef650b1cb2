/* The shared files, as AWS's tools and the Systems Manager agent write them. */
#include "common/aws/shared_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int read_it(const char *text, const char *profile, bool in_config,
                   struct shared_profile *found)
{
    return shared_file_read(text, strlen(text), profile, in_config, found);
}

static void test_a_profile(void **state)
{
    static const char text[] = "# made by hand\r\n"
                               "[other]\r\naws_access_key_id=OTHER\r\n"
                               "[ default ] ; the usual one\r\n"
                               "aws_access_key_id = AKID\r\n"
                               "\taws_secret_access_key = nested\r\n"
                               "aws_secret_access_key=a+b/c= # comment\r\n"
                               "aws_session_token = t#no;comment==\r\n"
                               "region=eu-west-1";
    struct shared_profile found = {.region = ""};

    (void)state;
    assert_int_equal(read_it(text, "default", false, &found), 0);
    assert_string_equal(found.access_key_id, "AKID");
    assert_string_equal(found.secret_access_key, "a+b/c=");
    assert_string_equal(found.session_token, "t#no;comment==");
    assert_string_equal(found.region, "eu-west-1");
}

static void test_sections_of_config(void **state)
{
    static const char text[] =
        "[profile one]\nregion = us-east-1\n[two]\nregion = us-east-2\n"
        "[default]\nregion = us-west-1\n[profile\tthree]\nregion=us-west-2\n";
    struct shared_profile found;

    (void)state;
    found = (struct shared_profile){.region = ""};
    assert_int_equal(read_it(text, "one", true, &found), 0);
    assert_string_equal(found.region, "us-east-1");
    found = (struct shared_profile){.region = ""};
    assert_int_equal(read_it(text, "two", true, &found), -ENOENT);
    assert_int_equal(read_it(text, "default", true, &found), 0);
    assert_string_equal(found.region, "us-west-1");
    found = (struct shared_profile){.region = ""};
    assert_int_equal(read_it(text, "three", true, &found), 0);
    assert_string_equal(found.region, "us-west-2");
    found = (struct shared_profile){.region = ""};
    assert_int_equal(read_it(text, "two", false, &found), 0);
    assert_string_equal(found.region, "us-east-2");
}

static void test_two_files(void **state)
{
    struct shared_profile found = {.region = ""};

    (void)state;
    assert_int_equal(read_it("[default]\naws_access_key_id=A\naws_secret_access_key=a\n", "default",
                             false, &found),
                     0);
    assert_int_equal(read_it("[default]\naws_access_key_id=B\naws_secret_access_key=b\n"
                             "aws_session_token=b\nregion=eu-west-1\n",
                             "default", true, &found),
                     0);
    assert_string_equal(found.access_key_id, "A");
    assert_string_equal(found.session_token, ""); /* not that of the other keys */
    assert_string_equal(found.region, "eu-west-1");
}

static void test_other_sources_are_noticed(void **state)
{
    struct shared_profile found = {.region = ""};

    (void)state;
    assert_int_equal(
        read_it("[default]\nrole_arn=arn:aws:iam::1:role/x\n", "default", true, &found), 0);
    assert_string_equal(found.other_source, "role_arn");
}

static void test_the_last_value_counts(void **state)
{
    struct shared_profile found = {.region = ""};

    (void)state;
    assert_int_equal(
        read_it("[default]\nregion=a\n[x]\n[default]\nregion=b\n", "default", true, &found), 0);
    assert_string_equal(found.region, "b");
}

static void test_what_is_no_file(void **state)
{
    static char longer[300];
    struct shared_profile found = {.region = ""};

    (void)state;
    assert_int_equal(read_it("", "default", false, &found), -ENOENT);
    assert_int_equal(read_it("aws_access_key_id=A\n", "default", false, &found), -ENOENT);
    assert_int_equal(read_it("[default\naws_access_key_id=A\n", "default", false, &found), -ENOENT);
    assert_int_equal(shared_file_read("[default]\0x", 11, "default", false, &found), -EBADMSG);
    memset(longer, 'x', sizeof longer - 1);
    memcpy(longer, "[default]\nregion=", 17);
    assert_int_equal(read_it(longer, "default", false, &found), -ENAMETOOLONG);
    assert_string_equal(found.access_key_id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_profile),
        cmocka_unit_test(test_sections_of_config),
        cmocka_unit_test(test_two_files),
        cmocka_unit_test(test_other_sources_are_noticed),
        cmocka_unit_test(test_the_last_value_counts),
        cmocka_unit_test(test_what_is_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
