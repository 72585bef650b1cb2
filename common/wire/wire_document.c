/* Owns what all documents that are signed have in common: the object they are, its purpose, its
 * times. Must not know any one of them. */
#include "common/text/text.h"
#include "common/wire/wire_internal.h"

struct json_writer wire_document_begin(struct buffer *document, const char *purpose)
{
    struct json_writer json;
    json_writer_init(&json, document);
    json_write_object_begin(&json);
    json_write_field_string(&json, "purpose", purpose);
    return json;
}

int wire_document_end(struct json_writer *json, struct buffer *document)
{
    json_write_object_end(json);
    return buffer_failed(document);
}

int wire_document_open(const char *document, const char *purpose, json_t **ret_root,
                       struct wire_reader *ret_reader, struct wire_problem *ret_problem)
{
    json_t *root = NULL;
    int r = wire_open(document, strlen(document), &root, ret_reader, ret_problem);
    if (r < 0)
        return r;
    if (!text_equal(wire_read_text(ret_reader, "purpose", 1, 32, NULL), purpose))
        wire_fail(ret_reader, "this document is not a %s", purpose);
    r = wire_close(ret_reader, root);
    if (r == 0)
        *ret_root = root;
    return r;
}

void wire_times_write(struct json_writer *json, uint64_t issued_ms, uint64_t expires_ms)
{
    json_write_field_unsigned(json, "issued_ms", issued_ms);
    json_write_field_unsigned(json, "expires_ms", expires_ms);
}

void wire_times_read(struct wire_reader *reader, uint64_t *ret_issued_ms, uint64_t *ret_expires_ms)
{
    *ret_issued_ms = wire_read_number(reader, "issued_ms", false);
    *ret_expires_ms = wire_read_number(reader, "expires_ms", false);
}
