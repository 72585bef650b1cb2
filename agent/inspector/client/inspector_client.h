/* A yagura-inspector child and the conversation with it: one question at a time, by one thread. A
 * child that fails or does not answer in time is killed, and no other is started for a minute. */
#ifndef AGENT_INSPECTOR_CLIENT_INSPECTOR_CLIENT_H
#define AGENT_INSPECTOR_CLIENT_INSPECTOR_CLIENT_H

#include "common/attributes.h"
#include "common/messages/message.h"

struct inspector_client;

/* The child is started by the first question. */
int inspector_client_new(const char *program, struct inspector_client **ret_client) MUST_USE;
struct inspector_client *inspector_client_free(struct inspector_client *client);

struct inspector_question {
    /* Sends the question's messages; may be called a second time, for another child. */
    int (*ask)(void *user, int socket);
    /* Reads the answer; < 0: it is no answer, and the child is ended. */
    int (*read)(void *user, const struct message *answer);
    void *user;
};
/* Takes up to 10 s, the first question up to a minute. 0, what ask or read said, -EAGAIN (the last
 * child failed less than a minute ago), -ETIMEDOUT, -errno. */
int inspector_client_converse(struct inspector_client *client,
                              const struct inspector_question *question) MUST_USE;

#endif
