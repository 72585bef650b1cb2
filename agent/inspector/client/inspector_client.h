/* A yagura-inspector child and the conversation with it: one question at a time, by one thread. A
 * child that fails or does not answer in time is killed, and no other is started for a while. */
#ifndef AGENT_INSPECTOR_CLIENT_INSPECTOR_CLIENT_H
#define AGENT_INSPECTOR_CLIENT_INSPECTOR_CLIENT_H

#include "common/attributes.h"
#include "common/messages/message.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct inspector_client;

struct inspector_client_options {
    const char *program;
    const char *arguments[2]; /* of the program; NULL: none */
    /* Sends what a new child must know before the first question; NULL: nothing. < 0: it is ended.
     */
    int (*greet)(void *user, int socket);
    void *user;
    /* After a failure no other child is started this long; after each more that follows twice as
     * long as before, up to a minute. */
    uint64_t pause_ns;
    /* A question at which a child ends fails. Otherwise another child is asked it once more: for
     * those that end by themselves when what they read from has changed. */
    bool ask_once;
};

/* The child is started by the first question. Strings are copied. */
int inspector_client_new_with(const struct inspector_client_options *options,
                              struct inspector_client **ret_client) MUST_USE;
/* Without arguments and greeting; the pause is a minute. */
int inspector_client_new(const char *program, struct inspector_client **ret_client) MUST_USE;
struct inspector_client *inspector_client_free(struct inspector_client *client);

struct inspector_question {
    /* Sends the question's messages; may be called a second time, for another child. */
    int (*ask)(void *user, int socket);
    /* Reads an answer: 0 it was the last, 1 more follow, < 0: it is no answer, and the child is
     * ended. */
    int (*read)(void *user, const struct message *answer);
    void *user;
};
/* Takes up to 10 s, the first question up to a minute. 0, what ask or read said, -EAGAIN (the last
 * child failed just now), -ETIMEDOUT, -errno. */
int inspector_client_converse(struct inspector_client *client,
                              const struct inspector_question *question) MUST_USE;

/* The next question asks another child. */
void inspector_client_restart(struct inspector_client *client);
/* Children started so far, and the present one (0: none). */
uint64_t inspector_client_starts(const struct inspector_client *client);
pid_t inspector_client_pid(const struct inspector_client *client);

#endif
