/* Commands from the console: checked, done at most once, and only what the list in signed_command.c
 * names. */
#ifndef AGENT_DELIVERY_SIGNED_COMMAND_H
#define AGENT_DELIVERY_SIGNED_COMMAND_H

#include "agent/delivery/console_files.h"
#include "common/attributes.h"

#include <openssl/evp.h>

struct responder;
struct scan_pipeline;

/* What commands act upon. */
struct command_context {
    struct scan_pipeline *pipeline;
    struct responder *responder;
    void (*heartbeat)(void *user);  /* the console wants one now */
    void (*deactivate)(void *user); /* after the result has been delivered */
    /* The command's result; from any thread, once a command. */
    void (*done)(void *user, const char *command_id, bool good, const char *output);
    void *user;
};

struct commands;
int commands_new(const struct command_context *context, struct commands **ret_commands) MUST_USE;
/* Cancels scans of commands and waits for their end. */
struct commands *commands_free(struct commands *commands);

/* Verifies signature, agent, expiry and that it is new; notes it as the last one in orders (the
 * caller writes them before command_run). -EACCES, -ETIME, -EBADMSG, -ENOBUFS: it is not done.
 * ret_document, freed by the caller, is for command_run, or with -EALREADY for command_repeated. */
int signed_command_take(const char *document, size_t length, EVP_PKEY *signing_key,
                        const char *agent_id, struct console_orders *orders,
                        char **ret_document) MUST_USE;
/* Does it. Its result follows through done, now or later. */
void command_run(struct commands *commands, const char *document);
/* It came again. When it is not running, nor is_pending (its result waits to be delivered), the
 * result was lost with an earlier run of the agent, and done says so. */
void command_repeated(struct commands *commands, const char *document,
                      bool (*is_pending)(void *user, const char *command_id));

#endif
