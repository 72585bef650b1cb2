/* The keys by which a host or a sensor believes its console. One is current; the one before stays
 * good for documents until its successor's announcement says. Only the current key can announce
 * another, so a key that was replaced cannot come back, nor bring a rival. */
#ifndef COMMON_WIRE_CONSOLE_KEYS_H
#define COMMON_WIRE_CONSOLE_KEYS_H

#include "common/attributes.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

struct console_keys {
    char current[64], previous[64]; /* base64 of the public halves; previous "" = none */
    uint64_t previous_until_ms;     /* realtime */
};

/* Follows the successors that a signed document carries, then gives the key to check the document
 * with. ret_changed: current is another now, and is to be kept. -EACCES when a successor was not
 * signed by the key before it, or a replaced key would have to be believed; -EBADMSG, -ENOMEM. */
int console_keys_judge(struct console_keys *keys, const char *document, size_t length,
                       uint64_t now_ms, EVP_PKEY **ret_key, bool *ret_changed) MUST_USE;

/* Whether this host may go on under the name of ret_successor (40 bytes): a document of the console
 * for agent_id says so. -EACCES, -ETIME expired, -EBADMSG. */
int console_keys_take_move(const char *document, size_t length, EVP_PKEY *key, const char *agent_id,
                           uint64_t now_ms, char ret_successor[static 40]) MUST_USE;

#endif
