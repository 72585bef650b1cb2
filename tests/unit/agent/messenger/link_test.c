/* What the two sides of the link believe. */
#include "agent/messenger/link.h"

#include "common/messages/message.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/mman.h>

static int ours, theirs;
static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];

static int set_up(void **state UNUSED)
{
    int pair[2];

    assert_int_equal(message_pair(true, pair), 0);
    ours = pair[0];
    theirs = pair[1];
    return 0;
}

static int tear_down(void **state UNUSED)
{
    (void)close(ours);
    (void)close(theirs);
    return 0;
}

static struct message receive(enum link_type type)
{
    struct message message;

    assert_int_equal(message_receive(theirs, buffer, sizeof buffer, &message), 1);
    assert_int_equal(message.type, type);
    return message;
}

static void fill(char *field, size_t size)
{
    memset(field, 'x', size - 1);
    field[size - 1] = '\0';
}

static void test_settings_travel_at_their_longest(void **state UNUSED)
{
    static struct link_settings sent, got;

    fill(sent.url, sizeof sent.url);
    fill(sent.pin, sizeof sent.pin);
    fill(sent.group, sizeof sent.group);
    fill(sent.machine_id, sizeof sent.machine_id);
    fill(sent.display_name, sizeof sent.display_name);
    assert_int_equal(link_send_settings(ours, &sent), 0);
    const struct message message = receive(LINK_SETTINGS);
    assert_int_equal(link_read_settings(&message, &got), 0);
    assert_memory_equal(&sent, &got, sizeof sent);
}

static void test_an_identity_travels_at_its_longest(void **state UNUSED)
{
    static struct link_identity sent, got;

    fill(sent.agent_id, sizeof sent.agent_id);
    fill(sent.certificate, sizeof sent.certificate);
    fill(sent.key, sizeof sent.key);
    fill(sent.authority, sizeof sent.authority);
    fill(sent.signing_key, sizeof sent.signing_key);
    sent.heartbeat_seconds = UINT32_MAX;
    assert_int_equal(link_send_identity(ours, &sent), 0);
    const struct message message = receive(LINK_IDENTITY);
    assert_int_equal(link_read_identity(&message, &got), 0);
    assert_memory_equal(&sent, &got, sizeof sent);
}

static void test_a_cut_payload_is_refused_wherever_it_is_cut(void **state UNUSED)
{
    struct link_beat_done sent = {.delivered = true, .acknowledged = 7}, got;

    (void)text_copy(sent.epoch, sizeof sent.epoch, "epoch");
    (void)text_copy(sent.policy_digest, sizeof sent.policy_digest, "digest");
    assert_int_equal(link_send_beat_done(ours, &sent), 0);
    struct message message = receive(LINK_BEAT_DONE);
    assert_int_equal(link_read_beat_done(&message, &got), 0);
    assert_int_equal(got.acknowledged, 7);
    assert_string_equal(got.policy_digest, "digest");
    for (size_t length = message.length; length-- > 0;) {
        struct message cut = message;
        cut.length = length;
        assert_int_equal(link_read_beat_done(&cut, &got), -EBADMSG);
    }
    message.length++; /* one byte more than was written: inside the buffer, but not read */
    assert_int_equal(link_read_beat_done(&message, &got), -EBADMSG);
}

static void test_a_text_that_does_not_fit_is_refused(void **state UNUSED)
{
    static struct message_writer writer;
    static char text[LINK_TEXT_BYTES + 1];
    struct link_token token;

    fill(text, sizeof text);
    memset(&writer, 0, sizeof writer);
    message_write_text(&writer, text);
    const struct message message = {.payload = writer.data, .length = writer.length};
    assert_int_equal(link_read_token(&message, &token), -EBADMSG);
}

static void test_an_unknown_state_is_refused(void **state UNUSED)
{
    struct link_state sent = {.code = LINK_STATE_DEACTIVATED, .text = "why"}, got;

    assert_int_equal(link_send_state(ours, &sent), 0);
    struct message message = receive(LINK_STATE);
    assert_int_equal(link_read_state(&message, &got), 0);
    assert_string_equal(link_state_name(got.code), "deactivated");
    sent.code = (enum link_state_code)(LINK_STATE_DEACTIVATED + 1);
    assert_int_equal(link_send_state(ours, &sent), 0);
    message = receive(LINK_STATE);
    assert_int_equal(link_read_state(&message, &got), -EBADMSG);
    assert_string_equal(link_state_name((enum link_state_code)99), "unknown");
}

static void test_documents_travel_sealed(void **state UNUSED)
{
    char *text = NULL;
    size_t length;

    assert_int_equal(link_send_document(ours, LINK_POLICY, "{}", 2), 0);
    struct message message = receive(LINK_POLICY);
    assert_int_equal(message.fd_count, 1);
    assert_int_equal(link_read_document(message.fds[0], &text, &length), 0);
    assert_int_equal(length, 2);
    assert_memory_equal(text, "{}", 2);
    free(text);
    assert_true(write(message.fds[0], "x", 1) < 0);
    message_release(&message);
}

static void test_only_sealed_memory_is_a_document(void **state UNUSED)
{
    char *text = NULL;
    size_t length;
    int pipes[2];

    int file = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(link_read_document(file, &text, &length), -EBADMSG);
    (void)close(file);
    int open_memory = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(link_read_document(open_memory, &text, &length), -EBADMSG);
    assert_int_equal(ftruncate(open_memory, LIMIT_SIGNED_DOCUMENT_BYTES + 1L), 0);
    assert_int_equal(fcntl(open_memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
                     0);
    assert_int_equal(link_read_document(open_memory, &text, &length), -EBADMSG);
    (void)close(open_memory);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0); /* whose reader would wait for ever */
    assert_int_equal(link_read_document(pipes[0], &text, &length), -EBADMSG);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    assert_null(text);
}

static void test_a_bundle_travels_sealed(void **state UNUSED)
{
    const char id[] = "01a20110-8b87-741b-b374-275c67b8f792";
    char got[40];
    AUTO_FREE char *text = NULL;
    size_t length = 0;

    assert_int_equal(link_send_bundle(ours, id, "bytes", 5), 0);
    struct message message = receive(LINK_BUNDLE);
    assert_int_equal(link_read_bundle(&message, got), 0);
    assert_string_equal(got, id);
    assert_int_equal(link_read_document(message.fds[0], &text, &length), 0);
    assert_int_equal(length, 5);
    assert_memory_equal(text, "bytes", 5);
    (void)close(message.fds[0]);
    assert_int_equal(link_send_plain(ours, LINK_WANT_FILES), 0);
    message = receive(LINK_WANT_FILES);
    assert_int_equal(link_read_bundle(&message, got), -EBADMSG); /* it holds nothing */
}

static void test_the_end_of_a_bundle(void **state UNUSED)
{
    static struct link_bundle_done sent, got;
    struct message_writer writer = {.length = 0};

    fill(sent.id, sizeof sent.id);
    sent.outcome = LINK_BUNDLE_REFUSED;
    fill(sent.problem, sizeof sent.problem);
    assert_int_equal(link_send_bundle_done(ours, &sent), 0);
    struct message message = receive(LINK_BUNDLE_DONE);
    assert_int_equal(link_read_bundle_done(&message, &got), 0);
    assert_memory_equal(&sent, &got, sizeof sent);
    message_write_text(&writer, sent.id);
    message_write_u32(&writer, LINK_BUNDLE_REFUSED + 1);
    message_write_text(&writer, "");
    assert_int_equal(message_writer_send(&writer, ours, LINK_BUNDLE_DONE, -1), 0);
    message = receive(LINK_BUNDLE_DONE);
    assert_int_equal(link_read_bundle_done(&message, &got), -EBADMSG);
}

static void test_pieces_travel(void **state UNUSED)
{
    static struct link_piece sent, got;
    AUTO_FREE char *text = NULL;
    size_t length = 0;

    fill(sent.sha256, sizeof sent.sha256);
    sent.offset = UINT64_MAX;
    sent.length = 5;
    sent.delivered = true;
    assert_int_equal(link_send_piece(ours, &sent, "bytes"), 0);
    struct message message = receive(LINK_PIECE);
    assert_int_equal(link_read_piece(&message, &got), 0);
    assert_memory_equal(&sent, &got, sizeof sent);
    assert_int_equal(link_read_document(message.fds[0], &text, &length), 0);
    assert_int_equal(length, 5);
    (void)close(message.fds[0]);
    sent.delivered = false; /* then nothing goes along */
    sent.gone = true;
    assert_int_equal(link_send_piece(ours, &sent, NULL), 0);
    message = receive(LINK_PIECE);
    assert_int_equal(link_read_piece(&message, &got), 0);
    assert_true(got.gone && !got.delivered);
    (void)close(message.fds[0]);
    sent.length = LIMIT_MIRROR_PIECE_BYTES + 1;
    assert_int_equal(link_send_want_piece(ours, &sent), 0);
    message = receive(LINK_WANT_PIECE);
    assert_int_equal(link_read_piece(&message, &got), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_settings_travel_at_their_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_identity_travels_at_its_longest, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_cut_payload_is_refused_wherever_it_is_cut, set_up,
                                        tear_down),
        cmocka_unit_test(test_a_text_that_does_not_fit_is_refused),
        cmocka_unit_test_setup_teardown(test_an_unknown_state_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_documents_travel_sealed, set_up, tear_down),
        cmocka_unit_test(test_only_sealed_memory_is_a_document),
        cmocka_unit_test_setup_teardown(test_a_bundle_travels_sealed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_end_of_a_bundle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pieces_travel, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
