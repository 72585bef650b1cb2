/* One request that waits at the console until there is something new for this host, over a
 * connection of its own: heartbeats say what it is, and are the same without it. One thread;
 * nothing here blocks. */
#ifndef AGENT_MESSENGER_NEWS_WAIT_H
#define AGENT_MESSENGER_NEWS_WAIT_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct link_identity;
struct link_settings;
struct news_wait;
struct pollfd;
struct wire_heartbeat_reply;

#define NEWS_WAIT_POLLS 4 /* descriptors that one polls for, at most */

/* Both stay the caller's, and are read when a connection is made. -ENOMEM. */
int news_wait_new(const struct link_settings *settings, const struct link_identity *identity,
                  struct news_wait **ret_wait) MUST_USE;
struct news_wait *news_wait_free(struct news_wait *wait);

/* A heartbeat was answered: from now on it waits for what is newer than that. */
void news_wait_told(struct news_wait *wait, const struct wire_heartbeat_reply *reply);
/* Nothing is waited for until the next heartbeat is answered; settings or identity may change. */
void news_wait_stop(struct news_wait *wait);

/* What news_wait_act waits for. UINT64_MAX: for descriptors alone. */
size_t news_wait_polls(struct news_wait *wait, struct pollfd *polls, size_t most,
                       uint64_t *ret_wait_ns);
/* Does what can be done now. True: a heartbeat is worth it. */
bool news_wait_act(struct news_wait *wait);

#endif
