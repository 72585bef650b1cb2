/* Owns the envelope of an answer. Must not know what is in it. */
#include "console/agents/signed_answer.h"

#include "common/limits.h"
#include "console/certificates/signing_key.h"

int signed_answer_respond(struct http_request *request, struct signing_key *key,
                          const struct buffer *document)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(2 * (size_t)LIMIT_SIGNED_DOCUMENT_BYTES);
    int r = signing_key_sign(key, buffer_text(document), &body);
    if (r == 0)
        http_respond_buffer(request, 200, "application/json", &body);
    return r;
}
