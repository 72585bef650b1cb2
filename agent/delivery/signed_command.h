/* Commands from the console: whether one is to be done, which is so at most once. */
#ifndef AGENT_DELIVERY_SIGNED_COMMAND_H
#define AGENT_DELIVERY_SIGNED_COMMAND_H

#include "agent/delivery/console_files.h"
#include "common/attributes.h"

#include <openssl/evp.h>

/* Verifies signature, agent, expiry and that it is new; notes it as the last one in orders (the
 * caller writes them before command_run). -EACCES, -ETIME, -EBADMSG, -ENOBUFS: it is not done.
 * ret_document, freed by the caller, is for command_run, or with -EALREADY for command_repeated. */
int signed_command_take(const char *document, size_t length, EVP_PKEY *signing_key,
                        const char *agent_id, struct console_orders *orders,
                        char **ret_document) MUST_USE;

#endif
