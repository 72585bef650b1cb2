/* What the agent keeps about its console comes back as it was, or not at all. */
#include "agent/delivery/console_files.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

struct place {
    char directory[64];
    struct console_files *files;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);

    (void)text_copy(place->directory, sizeof place->directory, "/tmp/console_files_XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    assert_int_equal(console_files_open(place->directory, &place->files), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    (void)console_files_close(place->files);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static void put(struct place *place, const char *name, const char *text)
{
    char path[128];

    assert_true(text_format(path, sizeof path, "%s/console/%s", place->directory, name) > 0);
    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static void test_absent_is_told(void **state)
{
    struct place *place = *state;
    static struct link_identity identity;
    static struct console_orders orders;
    struct link_settings settings = {.url = ""};
    struct link_token token;

    assert_int_equal(console_files_read_console(place->files, &settings), -ENOENT);
    assert_int_equal(console_files_read_token(place->files, &token), -ENOENT);
    assert_int_equal(console_files_read_identity(place->files, &identity), -ENOENT);
    assert_int_equal(console_files_read_orders(place->files, &orders), -ENOENT);
    console_files_remove_token(place->files);
    console_files_remove_identity(place->files);
}

static void test_settings_and_token_come_back(void **state)
{
    struct place *place = *state;
    struct link_settings settings = {.url = "https://console:4120",
                                     .pin = "sha256//x",
                                     .tenant_id = "t",
                                     .policy = "web",
                                     .group = "a \"quoted\" group",
                                     .display_name = "名前",
                                     .proxy = "http://user:pass@proxy:3128"};
    struct link_settings got = {.url = ""};
    struct link_token token = {.text = "yt1.secret"}, got_token;

    assert_int_equal(console_files_write_console(place->files, &settings), 0);
    assert_int_equal(console_files_read_console(place->files, &got), 0);
    assert_memory_equal(&settings, &got, sizeof got);
    assert_int_equal(console_files_write_token(place->files, &token), 0);
    assert_int_equal(console_files_read_token(place->files, &got_token), 0);
    assert_string_equal(got_token.text, token.text);
    console_files_remove_token(place->files);
    assert_int_equal(console_files_read_token(place->files, &got_token), -ENOENT);
}

static void test_an_identity_is_for_root_only(void **state)
{
    struct place *place = *state;
    static struct link_identity identity, got;
    struct stat status;
    char path[128];

    (void)text_copy(identity.agent_id, sizeof identity.agent_id, "agent");
    memset(identity.certificate, 'c', sizeof identity.certificate - 1);
    (void)text_copy(identity.key, sizeof identity.key, "-----BEGIN\nkey\n");
    identity.heartbeat_seconds = 600;
    assert_int_equal(console_files_write_identity(place->files, &identity), 0);
    assert_int_equal(console_files_read_identity(place->files, &got), 0);
    assert_memory_equal(&identity, &got, sizeof got);
    assert_true(text_format(path, sizeof path, "%s/console/identity.json", place->directory) > 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_orders_come_back_at_their_longest(void **state)
{
    struct place *place = *state;
    static struct console_orders orders, got;

    orders.policy_revision = INT64_MAX;
    (void)text_copy(orders.agent_id, sizeof orders.agent_id, "agent");
    (void)text_copy(orders.policy_digest, sizeof orders.policy_digest, "digest");
    for (size_t i = 0; i < CONSOLE_SEEN_COMMANDS; i++) {
        (void)text_format(orders.seen[i].id, sizeof orders.seen[i].id, "%036zu", i);
        orders.seen[i].expires_ms = i;
    }
    orders.seen_count = CONSOLE_SEEN_COMMANDS;
    assert_int_equal(console_files_write_orders(place->files, &orders), 0);
    assert_int_equal(console_files_read_orders(place->files, &got), 0);
    assert_memory_equal(&orders, &got, sizeof got);
}

static void test_what_is_not_ours_is_refused(void **state)
{
    struct place *place = *state;
    static struct link_identity identity;
    static char text[20000];
    static const char *const broken[] = {
        "", "[]", "{", "null", "{\"agent_id\":\"a\"} x", "{\"key\":\"a\",\"key\":\"b\"}"};

    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++) {
        put(place, "identity.json", broken[i]);
        assert_int_equal(console_files_read_identity(place->files, &identity), -EBADMSG);
    }
    assert_true(text_format(text, sizeof text, "{\"key\":\"%0*d\"}", LINK_PEM_BYTES, 1) > 0);
    put(place, "identity.json", text);
    assert_int_equal(console_files_read_identity(place->files, &identity), -EBADMSG);
}

static void test_wrong_types_give_nothing(void **state)
{
    struct place *place = *state;
    static struct console_orders orders;

    put(place, "orders.json",
        "{\"policy_revision\":\"9\",\"policy_path\":7,\"commands\":[3,{\"id\":[]},{}]}");
    assert_int_equal(console_files_read_orders(place->files, &orders), 0);
    assert_int_equal(orders.policy_revision, 0);
    assert_string_equal(orders.policy_path, "");
    assert_string_equal(orders.seen[0].id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_absent_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_settings_and_token_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_identity_is_for_root_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_orders_come_back_at_their_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_not_ours_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_wrong_types_give_nothing, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
