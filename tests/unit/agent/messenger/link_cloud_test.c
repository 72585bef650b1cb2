/* The link's part about AWS: what travels, and what is refused. */
#include "agent/messenger/link_cloud.h"

#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int pair[2];
static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];

static int set_up(void **state UNUSED)
{
    return message_pair(true, pair);
}

static int tear_down(void **state UNUSED)
{
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}

static struct message receive(enum link_type type)
{
    struct message message;

    assert_int_equal(message_receive(pair[1], buffer, sizeof buffer, &message), 1);
    assert_int_equal(message.type, type);
    return message;
}

static void fill(char *field, size_t size)
{
    memset(field, 'x', size - 1);
    field[size - 1] = '\0';
}

static void test_everything_travels_at_its_longest(void **state UNUSED)
{
    static struct link_cloud sent = {
        .parameters = true,
        .instance = true,
        .aws = {.metadata_disabled = true, .fips = true, .dual_stack = true, .web_identity = true}};
    static struct link_cloud got;

    fill(sent.prefix, sizeof sent.prefix);
    fill(sent.aws.region, sizeof sent.aws.region);
    fill(sent.aws.profile, sizeof sent.aws.profile);
    fill(sent.aws.keys.access_key_id, sizeof sent.aws.keys.access_key_id);
    fill(sent.aws.keys.secret_access_key, sizeof sent.aws.keys.secret_access_key);
    fill(sent.aws.keys.session_token, sizeof sent.aws.keys.session_token);
    fill(sent.aws.credentials_file, sizeof sent.aws.credentials_file);
    fill(sent.aws.config_file, sizeof sent.aws.config_file);
    fill(sent.aws.container_relative_uri, sizeof sent.aws.container_relative_uri);
    fill(sent.aws.container_full_uri, sizeof sent.aws.container_full_uri);
    fill(sent.aws.container_token, sizeof sent.aws.container_token);
    fill(sent.aws.container_token_file, sizeof sent.aws.container_token_file);
    fill(sent.aws.metadata_endpoint, sizeof sent.aws.metadata_endpoint);
    fill(sent.aws.endpoint, sizeof sent.aws.endpoint);
    fill(sent.aws.service_endpoints[0], sizeof sent.aws.service_endpoints[0]);
    fill(sent.aws.authority_file, sizeof sent.aws.authority_file);
    fill(sent.aws.proxy, sizeof sent.aws.proxy);
    fill(sent.aws.no_proxy, sizeof sent.aws.no_proxy);
    assert_int_equal(link_send_cloud(pair[0], &sent), 0);
    const struct message message = receive(LINK_CLOUD);
    assert_int_equal(link_read_cloud(&message, &got), 0);
    assert_memory_equal(&sent, &got, sizeof sent);
}

static void test_files(void **state UNUSED)
{
    const struct link_files sent = {.error = {0, -ENOENT, -EACCES, -ELOOP}};
    struct link_files got;
    enum aws_file file;

    assert_int_equal(link_send_file(pair[0], AWS_FILE_CONTAINER_TOKEN, pair[1]), 0);
    struct message message = receive(LINK_FILE);
    assert_int_equal(message.fd_count, 1);
    assert_int_equal(link_read_file(&message, &file), 0);
    assert_int_equal(file, AWS_FILE_CONTAINER_TOKEN);
    message_release(&message);
    assert_int_equal(link_send_files_done(pair[0], &sent), 0);
    message = receive(LINK_FILES_DONE);
    assert_int_equal(link_read_files_done(&message, &got), 0);
    assert_memory_equal(&sent, &got, sizeof sent);
}

static void test_only_what_parameter_store_says(void **state UNUSED)
{
    static const struct link_settings sent = {.url = "https://c:4120",
                                              .pin = "sha256//x",
                                              .hostname = "liar",
                                              .machine_id = "liar",
                                              .instance_id = "i-1"};
    static struct link_settings got = {.hostname = "host", .machine_id = "machine"};

    assert_int_equal(link_send_console(pair[0], &sent), 0);
    const struct message message = receive(LINK_CONSOLE);
    assert_int_equal(link_read_console(&message, &got), 0);
    assert_string_equal(got.url, "https://c:4120");
    assert_string_equal(got.instance_id, "i-1");
    assert_string_equal(got.hostname, "host");
    assert_string_equal(got.machine_id, "machine");
}

static void test_what_is_refused(void **state UNUSED)
{
    static struct link_cloud cloud;
    const uint32_t file = AWS_FILES, flags = 64, errors[AWS_FILES] = {0, 0, 0, 5000};
    struct link_files files;
    enum aws_file which;

    struct message message = {.payload = (const uint8_t *)&file, .length = sizeof file};
    assert_int_equal(link_read_file(&message, &which), -EBADMSG);
    message = (struct message){.payload = (const uint8_t *)&flags, .length = sizeof flags};
    assert_int_equal(link_read_cloud(&message, &cloud), -EBADMSG);
    message = (struct message){.payload = (const uint8_t *)errors, .length = sizeof errors};
    assert_int_equal(link_read_files_done(&message, &files), -EBADMSG);
    message.length = 3;
    assert_int_equal(link_read_files_done(&message, &files), -EBADMSG);
}

static void test_prefixes(void **state UNUSED)
{
    static const char *const wrong[] = {"", "yagura", "//x", "/a//b", "/a b", "/a*", "/\n"};
    char prefix[LINK_TEXT_BYTES], longest[500];

    assert_int_equal(link_cloud_read_prefix("/fleet/Web_1.x-y", prefix, sizeof prefix), 0);
    assert_string_equal(prefix, "/fleet/Web_1.x-y/");
    assert_int_equal(link_cloud_read_prefix("/", prefix, sizeof prefix), 0);
    assert_string_equal(prefix, "/");
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(link_cloud_read_prefix(wrong[i], prefix, sizeof prefix), -EINVAL);
    fill(longest, sizeof longest);
    longest[0] = '/';
    assert_int_equal(link_cloud_read_prefix(longest, prefix, sizeof prefix), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_everything_travels_at_its_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_what_parameter_store_says, set_up, tear_down),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_prefixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
