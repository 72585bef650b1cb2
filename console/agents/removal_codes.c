/* Owns the making of removal codes. Must not decide who may have one: its callers do. */
#include "console/agents/removal_codes.h"

#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>

#define ENVELOPE_BYTES LIMIT_REMOVAL_CODE_BYTES

/* A code that the hosts would find too long is not made. */
static int sign(struct signing_key *key, const struct wire_removal *removal, struct buffer *code)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(ENVELOPE_BYTES);
    AUTO_BUFFER struct buffer envelope = BUFFER_WITH_MAXIMUM(ENVELOPE_BYTES);
    int r = wire_removal_encode(removal, &document);
    if (r == 0)
        r = signing_key_sign(key, buffer_text(&document), &envelope);
    return r < 0 ? r : wire_removal_code_encode(buffer_text(&envelope), envelope.length, code);
}

int removal_codes_make(struct signing_key *key, const struct removal_draft *draft,
                       struct made_removal_code *ret_code)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;
    *ret_code = (struct made_removal_code){
        .expires_ms = (int64_t)now_ms + draft->seconds * 1000,
        .text = BUFFER_WITH_MAXIMUM(LIMIT_REMOVAL_CODE_BYTES),
    };
    if (draft->seconds < 1 || draft->seconds > LIMIT_REMOVAL_CODE_SECONDS)
        return -EINVAL;
    int r = uuid_new(ret_code->id);
    const struct wire_removal removal = {.id = ret_code->id,
                                         .scope = draft->scope,
                                         .subject = draft->subject,
                                         .created_by = draft->created_by,
                                         .issued_ms = now_ms,
                                         .expires_ms = (uint64_t)ret_code->expires_ms};
    return r < 0 ? r : sign(key, &removal, &ret_code->text);
}

int removal_codes_describe(const struct removal_draft *draft, const struct made_removal_code *code,
                           struct buffer *detail)
{
    struct json_writer json;
    char expires[CLOCK_TEXT_BYTES];
    clock_format(expires, (uint64_t)code->expires_ms * NS_PER_MS);
    json_writer_init(&json, detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", code->id);
    json_write_field_string(&json, "scope", draft->scope);
    json_write_field_string(&json, "subject", draft->subject);
    json_write_field_string(&json, "expires", expires);
    json_write_object_end(&json);
    return buffer_failed(detail);
}
