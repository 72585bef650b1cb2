/* Every message between yagura-agent and yagura-messenger, decoded from anything: what is believed
 * is terminated and says the same when it is sent again. */
#include "agent/messenger/link.h"
#include "agent/messenger/link_cloud.h"
#include "common/messages/message.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_same(int theirs, int sent, const struct message *message)
{
    static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message again;

    check(sent == 0);
    check(message_receive(theirs, buffer, sizeof buffer, &again) == 1);
    check(again.length == message->length &&
          memcmp(again.payload, message->payload, again.length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct link_settings settings;
    static struct link_identity identity;
    static struct link_cloud cloud;
    static struct link_piece piece;
    struct link_files files;
    struct link_token token;
    struct link_beat_done done;
    struct link_state state;
    struct message message = {.payload = data, .length = size, .fds = {-1, -1}};
    int pair[2];

    if (size > LIMIT_MESSAGE_BYTES || message_pair(true, pair) < 0)
        return 0;
    if (link_read_settings(&message, &settings) == 0)
        check_same(pair[1], link_send_settings(pair[0], &settings), &message);
    if (link_read_identity(&message, &identity) == 0)
        check_same(pair[1], link_send_identity(pair[0], &identity), &message);
    if (link_read_token(&message, &token) == 0)
        check_same(pair[1], link_send_token(pair[0], &token), &message);
    if (link_read_beat_done(&message, &done) == 0)
        check(strlen(done.epoch) < sizeof done.epoch &&
              strlen(done.policy_digest) < sizeof done.policy_digest &&
              strlen(done.signatures_digest) < sizeof done.signatures_digest);
    if (link_read_state(&message, &state) == 0)
        check_same(pair[1], link_send_state(pair[0], &state), &message);
    if (link_read_piece(&message, &piece) == 0)
        check_same(pair[1], link_send_want_piece(pair[0], &piece), &message);
    if (link_read_cloud(&message, &cloud) == 0)
        check_same(pair[1], link_send_cloud(pair[0], &cloud), &message);
    if (link_read_files_done(&message, &files) == 0)
        check_same(pair[1], link_send_files_done(pair[0], &files), &message);
    if (link_read_console(&message, &settings) == 0)
        check_same(pair[1], link_send_console(pair[0], &settings), &message);
    (void)close(pair[0]);
    (void)close(pair[1]);
    return 0;
}
