/* The answer to who asks for a signed document: agents, and sensors. */
#ifndef CONSOLE_AGENTS_SIGNED_ANSWER_H
#define CONSOLE_AGENTS_SIGNED_ANSWER_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "console/http/http_server.h"

struct signing_key;

/* 0: the document is signed, and has been answered. < 0: the caller answers. */
int signed_answer_respond(struct http_request *request, struct signing_key *key,
                          const struct buffer *document) MUST_USE;

#endif
