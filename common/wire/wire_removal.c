/* Owns the removal code: the document, and the one word that people carry it as. The signature is
 * the envelope's (wire_signed.c). */
#include "common/crypto/base64.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire_internal.h"

#include <errno.h>
#include <string.h>

static const char PREFIX[] = "yr1.";
static const char BLANKS[] = " \t\r\n";

int wire_removal_encode(const struct wire_removal *removal, struct buffer *document)
{
    struct json_writer json = wire_document_begin(document, "removal");
    json_write_field_string(&json, "id", removal->id);
    json_write_field_string(&json, "scope", removal->scope);
    json_write_field_string(&json, "subject", removal->subject);
    json_write_field_string(&json, "created_by", removal->created_by);
    wire_times_write(&json, removal->issued_ms, removal->expires_ms);
    return wire_document_end(&json, document);
}

/* An empty subject never means everybody: the scope does. */
static bool is_scope(const char *scope, const char *subject)
{
    if (text_equal(scope, WIRE_REMOVAL_ALL))
        return subject[0] == '\0';
    return (text_equal(scope, WIRE_REMOVAL_COMPUTER) || text_equal(scope, WIRE_REMOVAL_GROUP)) &&
           wire_is_uuid(subject);
}

int wire_removal_decode(const char *document, struct wire_removal *ret_removal,
                        struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_removal removal = {.root = NULL};
    int r = wire_document_open(document, "removal", &removal.root, &reader, ret_problem);
    if (r < 0)
        return r;
    removal.id = wire_read_text(&reader, "id", 36, 36, NULL);
    removal.scope = wire_read_text(&reader, "scope", 1, 16, NULL);
    removal.subject = wire_read_text(&reader, "subject", 0, 36, NULL);
    removal.created_by = wire_read_text(&reader, "created_by", 0, 160, "");
    wire_times_read(&reader, &removal.issued_ms, &removal.expires_ms);
    if (!reader.error && !(wire_is_uuid(removal.id) && is_scope(removal.scope, removal.subject)))
        wire_fail(&reader, "id must be a UUID, and scope and subject must go together");
    r = wire_close(&reader, removal.root);
    if (r == 0)
        *ret_removal = removal;
    return r;
}

void wire_removal_done(struct wire_removal *removal)
{
    json_decref(removal->root);
    *removal = (struct wire_removal){0};
}

int wire_removal_code_encode(const char *envelope, size_t length, struct buffer *code)
{
    AUTO_FREE char *text = malloc(BASE64_TEXT_BYTES(length));
    if (!text)
        return -ENOMEM;
    base64_url_encode(text, envelope, length);
    int r = buffer_append_text(code, PREFIX);
    return r < 0 ? r : buffer_append_text(code, text);
}

int wire_removal_code_decode(const char *code, size_t length, struct buffer *envelope)
{
    size_t prefix = strlen(PREFIX);
    char *space;
    size_t decoded;
    while (length > 0 && strchr(BLANKS, code[0]) && code[0])
        code++, length--;
    while (length > 0 && strchr(BLANKS, code[length - 1]) && code[length - 1])
        length--;
    if (length > LIMIT_REMOVAL_CODE_BYTES || length <= prefix || memcmp(code, PREFIX, prefix) != 0)
        return -EBADMSG;
    int r = buffer_reserve(envelope, length, &space);
    if (r == 0 &&
        base64_url_decode(code + prefix, length - prefix, (uint8_t *)space, length, &decoded) < 0)
        r = -EBADMSG;
    if (r == 0)
        buffer_commit(envelope, decoded);
    return r;
}
