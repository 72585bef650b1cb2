/* Removal codes: the console's word, carried by people or by Parameter Store, that protected agents
 * may be taken away; see common/wire and agent/delivery. Nothing is kept of them but the audit log:
 * who has one may use it until it expires. */
#ifndef CONSOLE_AGENTS_REMOVAL_CODES_H
#define CONSOLE_AGENTS_REMOVAL_CODES_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/random.h"
#include "console/certificates/signing_key.h"

#include <stdint.h>

struct removal_draft {
    const char *scope;      /* WIRE_REMOVAL_*, common/wire */
    const char *subject;    /* id of the computer or group; "" for all */
    const char *created_by; /* as in the audit log */
    int64_t seconds;        /* 1..LIMIT_REMOVAL_CODE_SECONDS */
};

struct made_removal_code {
    char id[UUID_TEXT_BYTES];
    int64_t expires_ms;
    struct buffer text; /* the code; freed by the caller */
};

int removal_codes_make(struct signing_key *key, const struct removal_draft *draft,
                       struct made_removal_code *ret_code) MUST_USE;
/* {"id","scope","subject","expires"} for the audit log: the code itself is a secret. */
int removal_codes_describe(const struct removal_draft *draft, const struct made_removal_code *code,
                           struct buffer *detail) MUST_USE;

#endif
