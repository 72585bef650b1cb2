/* What the messenger says to the console, and when: activation, heartbeats, renewal, back-off.
 * Answers root over the link. One thread. */
#ifndef AGENT_MESSENGER_CONVERSATION_H
#define AGENT_MESSENGER_CONVERSATION_H

#include "common/attributes.h"

#include <stdint.h>

struct conversation;
struct message;

/* link stays the caller's. */
int conversation_new(int link, struct conversation **ret_conversation) MUST_USE;
struct conversation *conversation_free(struct conversation *conversation);

/* A message of root. < 0: root is broken, or gone. */
int conversation_take(struct conversation *conversation, struct message *message) MUST_USE;
/* What conversation_act waits for besides root: descriptors, as many as there is room for, and a
 * time, UINT64_MAX: none. */
struct pollfd;
size_t conversation_polls(struct conversation *conversation, struct pollfd *polls, size_t most,
                          uint64_t *ret_wait_ns);
/* Does what is due; may take as long as an exchange with the console. */
int conversation_act(struct conversation *conversation) MUST_USE;

#endif
