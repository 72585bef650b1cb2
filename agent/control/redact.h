/* Takes secrets out of text that leaves the host: what looks like one of our tokens or keys,
 * private keys in PEM, passwords in URLs, and the values of names such as password, secret or
 * token. */
#ifndef AGENT_CONTROL_REDACT_H
#define AGENT_CONTROL_REDACT_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stddef.h>

/* Appends the text without them to redacted. Any bytes are good. -EMSGSIZE,
 * -ENOMEM. */
int redact(const char *text, size_t length, struct buffer *redacted) MUST_USE;

#endif
