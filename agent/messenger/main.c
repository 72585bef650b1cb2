/* yagura-messenger: talks to the console for yagura-agent, which starts it with a socket as
 * descriptor 3; of no use by hand. Its steps: forget (spawn gave it nothing), confine, drop ids,
 * loop. */
#include "agent/messenger/conversation.h"
#include "agent/messenger/messenger_sandbox.h"
#include "agent/messenger/news_wait.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#define ROOT_SOCKET 3

static const char usage[] =
    "Usage: yagura-messenger [--help | --version]\n"
    "\n"
    "Activation, heartbeat and delivery for yagura-agent, which starts it with a\n"
    "socket as descriptor 3. See: yaguractl status\n";

static bool has_root(void)
{
    int type = 0;
    socklen_t length = sizeof type;

    return getsockopt(ROOT_SOCKET, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
           type == SOCK_SEQPACKET;
}

/* Takes all that root has sent. 0, or < 0 when it is gone or broken. */
static int take_messages(struct conversation *conversation)
{
    static uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message message;

    for (;;) {
        int r = message_receive(ROOT_SOCKET, buffer, sizeof buffer, &message);
        if (r == -EAGAIN)
            return 0;
        if (r <= 0)
            return r < 0 ? r : -EPIPE;
        r = conversation_take(conversation, &message);
        explicit_bzero(buffer, sizeof buffer);
        if (r < 0)
            return r;
    }
}

static int wait_for_something(struct conversation *conversation)
{
    struct pollfd polls[1 + NEWS_WAIT_POLLS] = {{.fd = ROOT_SOCKET, .events = POLLIN}};
    uint64_t wait_ns;

    size_t others = conversation_polls(conversation, polls + 1, NEWS_WAIT_POLLS, &wait_ns);
    struct timespec timeout = timespec_from_ns(wait_ns);
    int r = ppoll(polls, 1 + others, wait_ns == UINT64_MAX ? NULL : &timeout, NULL);
    return r < 0 && errno != EINTR ? -errno : 0;
}

static int run(struct conversation *conversation)
{
    int r;

    do {
        r = wait_for_something(conversation);
        if (r == 0)
            r = take_messages(conversation);
        if (r == 0)
            r = conversation_act(conversation);
    } while (r == 0);
    return r == -EPIPE ? 0 : r;
}

int main(int argc, char **argv)
{
    struct conversation *conversation = NULL;

    if (argc == 2 && text_equal(argv[1], "--help")) {
        (void)fputs(usage, stdout);
        return 0;
    }
    if (argc == 2 && text_equal(argv[1], "--version")) {
        (void)puts("yagura-messenger " YAGURA_VERSION);
        return 0;
    }
    if (argc > 1 || !has_root()) {
        (void)fputs(usage, stderr);
        return 2;
    }
    log_open("yagura-messenger", LOG_LEVEL_INFO);
    int r = messenger_sandbox_enter();
    if (r == 0)
        r = conversation_new(ROOT_SOCKET, &conversation);
    if (r == 0)
        r = run(conversation);
    if (r < 0)
        log_error("messenger_ended", "error", log_error_text(r), NULL);
    (void)conversation_free(conversation);
    return r < 0 ? 1 : 0;
}
