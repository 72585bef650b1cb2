/* Which lines of a text changed, told by yagura-inspector: root compares no lines that an outsider
 * wrote. */
#ifndef AGENT_INTEGRITY_TEXT_DIFFERENCE_H
#define AGENT_INTEGRITY_TEXT_DIFFERENCE_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

struct inspector_client;

/* lines: "@3", "-old", "+new"; empty when they are no texts or too long. -errno. */
int text_difference_ask(struct inspector_client *inspector, const struct buffer *before,
                        const struct buffer *after, struct buffer *lines) MUST_USE;

#endif
