/* Waiting for news. Owns: the connection for it, and when to ask again. Must not own: what is new,
 * the identity. A failure is nobody's business: the next heartbeat finds out what it means. */
#include "agent/messenger/news_wait.h"

#include "agent/messenger/console_client.h"
#include "agent/messenger/delay.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>

#define LONGEST_S  600                 /* what a console may ask for */
#define HASTY_NS   (5 * NS_PER_SECOND) /* news that come sooner, */
#define MOST_HASTY 3                   /* more often than so in a row, are waited for less */
#define TOLD_BYTES 256

struct news_wait {
    const struct link_settings *settings;
    const struct link_identity *identity;
    struct console_client *client; /* NULL: no connection was made with this identity */
    bool running, has_told;
    char told[TOLD_BYTES]; /* as the query of a request */
    uint64_t seconds, begun_ns, next_ns;
    unsigned failures, hasty; /* in a row */
};

int news_wait_new(const struct link_settings *settings, const struct link_identity *identity,
                  struct news_wait **ret_wait)
{
    struct news_wait *wait = calloc(1, sizeof *wait);

    if (wait == NULL)
        return -ENOMEM;
    wait->settings = settings;
    wait->identity = identity;
    *ret_wait = wait;
    return 0;
}

void news_wait_stop(struct news_wait *wait)
{
    wait->client = console_client_free(wait->client);
    wait->running = wait->has_told = false;
}

struct news_wait *news_wait_free(struct news_wait *wait)
{
    if (wait == NULL)
        return NULL;
    news_wait_stop(wait);
    free(wait);
    return NULL;
}

/* Nothing that would have to be escaped in a query: a console that says such things is not asked.
 */
static bool is_plain(const char *text)
{
    return text[strspn(text, "0123456789abcdefABCDEF-")] == '\0';
}

/* However fast they come, they are true news. A failure is waited for all the same. */
static void note_orders(struct news_wait *wait)
{
    wait->hasty = 0;
    if (wait->failures == 0)
        wait->next_ns = 0;
}

void news_wait_told(struct news_wait *wait, const struct wire_heartbeat_reply *reply)
{
    const char *group = reply->group_id != NULL ? reply->group_id : "";

    if (reply->command_count > 0)
        note_orders(wait);
    wait->seconds = MIN(reply->wait_seconds, (uint64_t)LONGEST_S);
    if (wait->seconds == 0)
        news_wait_stop(wait); /* this console holds no such requests */
    wait->has_told = wait->seconds > 0 && is_plain(reply->policy_digest) &&
                     is_plain(reply->signatures_digest) && is_plain(group) &&
                     text_format(wait->told, sizeof wait->told, "policy=%s&signatures=%s&group=%s",
                                 reply->policy_digest, reply->signatures_digest, group) > 0;
}

static void fail(struct news_wait *wait, uint64_t retry_after_ns)
{
    wait->failures++;
    wait->next_ns = clock_monotonic_ns() + delay_of_wait(wait->failures, retry_after_ns);
}

static void begin(struct news_wait *wait)
{
    int r = wait->client != NULL
                ? 0
                : console_client_new(wait->settings, wait->identity, &wait->client);
    if (r == 0)
        r = console_client_wait(wait->client, wait->told, wait->seconds);
    wait->running = r == 0;
    wait->begun_ns = clock_monotonic_ns();
    if (r < 0)
        fail(wait, 0);
}

/* One console says again and again that there is something, and another one, or another computer of
 * the same identity, that there is nothing: that must not become a storm. */
static void note_news(struct news_wait *wait, uint64_t now)
{
    wait->failures = 0;
    wait->has_told = false; /* until the heartbeat has been answered */
    wait->hasty = now - wait->begun_ns < HASTY_NS ? wait->hasty + 1 : 0;
    wait->next_ns =
        now + (wait->hasty > MOST_HASTY ? delay_of_wait(wait->hasty - MOST_HASTY, 0) : 0);
}

/* True: there is something, or the console does not know us any more. */
static bool take_end(struct news_wait *wait, const struct console_result *result, bool news)
{
    uint64_t now = clock_monotonic_ns();

    wait->running = false;
    if (news) {
        note_news(wait, now);
        return true;
    }
    if (result->outcome == CONSOLE_OK &&
        now - wait->begun_ns >= wait->seconds * NS_PER_SECOND / 2) {
        wait->failures = wait->hasty = 0;
        wait->next_ns = now;
        return false;
    }
    fail(wait, result->retry_after_ns); /* nothing, much too soon, is none, either */
    if (result->outcome != CONSOLE_GONE && result->outcome != CONSOLE_UNKNOWN)
        return false;
    wait->has_told = false;
    return true;
}

size_t news_wait_polls(struct news_wait *wait, struct pollfd *polls, size_t most,
                       uint64_t *ret_wait_ns)
{
    uint64_t now = clock_monotonic_ns();

    if (wait->running)
        return console_client_polls(wait->client, polls, most, ret_wait_ns);
    *ret_wait_ns = !wait->has_told ? UINT64_MAX : wait->next_ns > now ? wait->next_ns - now : 0;
    return 0;
}

bool news_wait_act(struct news_wait *wait)
{
    struct console_result result;
    bool news;

    if (!wait->running && wait->has_told && clock_monotonic_ns() >= wait->next_ns)
        begin(wait);
    return wait->running && console_client_waited(wait->client, &result, &news) &&
           take_end(wait, &result, news);
}
