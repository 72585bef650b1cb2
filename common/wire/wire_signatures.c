/* Owns the signed document that says which signatures a computer has: lists of the console's own,
 * allowed contents, and the files of its mirror. Must not judge a signature: the scanner does. */
#include "common/crypto/hash.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire_internal.h"

#include <errno.h>

#define NAME_MOST 128

bool wire_is_signature_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);

    return length > 0 && length < NAME_MOST && name[0] != '.' && strspn(name, letters) == length;
}

bool wire_is_sha256(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static void write_files(struct json_writer *json, const struct wire_signatures *signatures)
{
    json_write_key(json, "files");
    json_write_array_begin(json);
    for (size_t i = 0; i < signatures->file_count; i++) {
        const struct wire_mirror_file *file = &signatures->files[i];
        json_write_object_begin(json);
        json_write_field_string(json, "name", file->name);
        json_write_field_string(json, "sha256", file->sha256);
        json_write_field_unsigned(json, "size", file->size);
        json_write_field_unsigned(json, "version", file->version);
        json_write_field_unsigned(json, "built_ms", file->built_ms);
        json_write_object_end(json);
    }
    json_write_array_end(json);
}

int wire_signatures_content(const struct wire_signatures *signatures, struct buffer *content,
                            char ret_digest[static 65])
{
    struct json_writer json;
    uint8_t digest[SHA256_BYTES];

    json_writer_init(&json, content);
    json_write_object_begin(&json);
    json_write_key(&json, "lists");
    json_write_array_begin(&json);
    for (size_t i = 0; i < signatures->list_count; i++) {
        json_write_object_begin(&json);
        json_write_field_string(&json, "name", signatures->lists[i].name);
        json_write_field_string(&json, "text", signatures->lists[i].text);
        json_write_object_end(&json);
    }
    json_write_array_end(&json);
    json_write_key(&json, "allowed");
    json_write_array_begin(&json);
    for (size_t i = 0; i < signatures->allowed_count; i++)
        json_write_string(&json, signatures->allowed[i]);
    json_write_array_end(&json);
    write_files(&json, signatures);
    json_write_object_end(&json);
    int r = buffer_failed(content);
    if (r == 0)
        r = hash_sha256(content->data, content->length, digest);
    if (r == 0)
        text_hex(ret_digest, digest, sizeof(digest));
    return r;
}

int wire_signatures_encode(const struct wire_signatures *signatures, struct buffer *document)
{
    struct json_writer json = wire_document_begin(document, "signatures");
    json_write_field_string(&json, "agent_id", signatures->agent_id);
    json_write_field_string(&json, "digest", signatures->digest);
    wire_times_write(&json, signatures->issued_ms, signatures->expires_ms);
    json_write_key(&json, "content");
    json_write_raw(&json, signatures->content);
    return wire_document_end(&json, document);
}

/* Room for the entries of an array; NULL without any, or when the reader failed. */
static void *make_room(struct wire_reader *reader, const json_t *array, size_t size,
                       size_t *ret_count)
{
    size_t count = reader->error ? 0 : json_array_size(array);
    void *room = count > 0 ? calloc(count, size) : NULL;

    if (count > 0 && !room)
        reader->error = -ENOMEM;
    *ret_count = room ? count : 0;
    return room;
}

static void read_lists(struct wire_reader *parent, struct wire_signatures *signatures)
{
    const json_t *array = wire_read_array(parent, "lists", LIMIT_SIGNATURE_LISTS, false);

    signatures->lists =
        make_room(parent, array, sizeof(*signatures->lists), &signatures->list_count);
    for (size_t i = 0; i < signatures->list_count && !parent->error; i++) {
        struct wire_reader reader = wire_reader_of(json_array_get(array, i), parent->problem);
        struct wire_signature_list *list = &signatures->lists[i];
        list->name = wire_read_text(&reader, "name", 1, NAME_MOST, NULL);
        list->text = wire_read_text(&reader, "text", 0, LIMIT_SIGNATURE_SET_BYTES, NULL);
        if (!reader.error && !wire_is_signature_name(list->name))
            wire_fail(&reader, "lists: %zu has no file's name", i + 1);
        parent->error = reader.error;
    }
}

static void read_allowed(struct wire_reader *parent, struct wire_signatures *signatures)
{
    const json_t *array = wire_read_array(parent, "allowed", LIMIT_SIGNATURE_HASHES, false);

    signatures->allowed =
        make_room(parent, array, sizeof(*signatures->allowed), &signatures->allowed_count);
    for (size_t i = 0; i < signatures->allowed_count && !parent->error; i++) {
        const char *hash = json_string_value(json_array_get(array, i));
        if (!hash || !wire_is_sha256(hash))
            wire_fail(parent, "allowed: %zu is no SHA-256 in lower-case hexadecimal", i + 1);
        signatures->allowed[i] = hash;
    }
}

static void read_files(struct wire_reader *parent, struct wire_signatures *signatures)
{
    const json_t *array = wire_read_array(parent, "files", LIMIT_MIRROR_FILES, false);

    signatures->files =
        make_room(parent, array, sizeof(*signatures->files), &signatures->file_count);
    for (size_t i = 0; i < signatures->file_count && !parent->error; i++) {
        struct wire_reader reader = wire_reader_of(json_array_get(array, i), parent->problem);
        struct wire_mirror_file *file = &signatures->files[i];
        file->name = wire_read_text(&reader, "name", 1, NAME_MOST, NULL);
        file->sha256 = wire_read_text(&reader, "sha256", 64, 64, NULL);
        file->size = wire_read_number(&reader, "size", false);
        file->version = wire_read_number(&reader, "version", false);
        file->built_ms = wire_read_number(&reader, "built_ms", false);
        if (!reader.error && !(wire_is_signature_name(file->name) && wire_is_sha256(file->sha256)))
            wire_fail(&reader, "files: %zu has no file's name, or no SHA-256", i + 1);
        if (!reader.error && file->size > LIMIT_MIRROR_FILE_BYTES)
            wire_fail(&reader, "files: %zu is larger than a file may be", i + 1);
        parent->error = reader.error;
    }
}

int wire_signatures_decode(const char *document, struct wire_signatures *ret_signatures,
                           struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_signatures signatures = {.root = NULL};

    int r = wire_document_open(document, "signatures", &signatures.root, &reader, ret_problem);
    if (r < 0)
        return r;
    signatures.agent_id = wire_read_text(&reader, "agent_id", 36, 36, NULL);
    signatures.digest = wire_read_text(&reader, "digest", 64, 64, NULL);
    wire_times_read(&reader, &signatures.issued_ms, &signatures.expires_ms);
    struct wire_reader content = wire_enter(&reader, "content", false);
    read_lists(&content, &signatures);
    read_allowed(&content, &signatures);
    read_files(&content, &signatures);
    wire_leave(&reader, &content);
    if (reader.error) {
        r = reader.error;
        wire_signatures_done(&signatures);
        return r;
    }
    *ret_signatures = signatures;
    return 0;
}

void wire_signatures_done(struct wire_signatures *signatures)
{
    json_decref(signatures->root);
    free(signatures->lists);
    free(signatures->allowed);
    free(signatures->files);
    *signatures = (struct wire_signatures){.root = NULL};
}
