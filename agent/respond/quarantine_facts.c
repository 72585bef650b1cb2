/* Owns: the format of a quarantined file's facts. Must not own: files, keys, the catalogue.
 *
 * Format, all integers little-endian:
 *   u16 version (1)
 *   36 bytes id, 64 bytes sha256 in hexadecimal
 *   u32 mode, uid, gid, cause
 *   u64 size, links, device, inode, accessed_ns, modified_ns, changed_ns, time_ns, generation
 *   u32 length + signature, u32 length + path, u32 length + attributes */
#include "agent/respond/quarantine_facts.h"

#include "common/text/text.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#define VERSION          1
#define UUID_LENGTH      (UUID_TEXT_BYTES - 1)
#define HEX_LENGTH       (SHA256_HEX_BYTES - 1)
#define NAMES_BYTES      65536 /* XATTR_LIST_MAX */
#define ATTRIBUTE_LENGTH 4

void quarantine_facts_done(struct quarantine_facts *facts)
{
    free(facts->path);
    buffer_done(&facts->attributes);
    *facts = (struct quarantine_facts){0};
}

bool quarantine_id_valid(const char *id)
{
    for (size_t i = 0; i < UUID_LENGTH; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? id[i] != '-' : !strchr("0123456789abcdef", id[i]) || id[i] == '\0')
            return false;
    }
    return id[UUID_LENGTH] == '\0';
}

/* ---- writing ---- */

static void put_number(struct buffer *buffer, uint64_t value, size_t bytes)
{
    uint8_t little[8];

    for (size_t i = 0; i < bytes; i++)
        little[i] = (uint8_t)(value >> (8 * i));
    (void)buffer_append(buffer, little, bytes);
}

static void put_bytes(struct buffer *buffer, const void *bytes, size_t length)
{
    put_number(buffer, length, 4);
    if (length > 0)
        (void)buffer_append(buffer, bytes, length);
}

static void put_fixed(struct buffer *buffer, const char *text, size_t length)
{
    char padded[HEX_LENGTH] = {0};

    memcpy(padded, text, strnlen(text, length));
    (void)buffer_append(buffer, padded, length);
}

int quarantine_facts_encode(const struct quarantine_facts *facts, struct buffer *buffer)
{
    put_number(buffer, VERSION, 2);
    put_fixed(buffer, facts->id, UUID_LENGTH);
    put_fixed(buffer, facts->sha256, HEX_LENGTH);
    put_number(buffer, facts->mode, 4);
    put_number(buffer, facts->uid, 4);
    put_number(buffer, facts->gid, 4);
    put_number(buffer, facts->cause, 4);
    put_number(buffer, facts->size, 8);
    put_number(buffer, facts->links, 8);
    put_number(buffer, facts->device, 8);
    put_number(buffer, facts->inode, 8);
    put_number(buffer, facts->accessed_ns, 8);
    put_number(buffer, facts->modified_ns, 8);
    put_number(buffer, facts->changed_ns, 8);
    put_number(buffer, facts->time_ns, 8);
    put_number(buffer, facts->generation, 8);
    put_bytes(buffer, facts->signature, strlen(facts->signature));
    put_bytes(buffer, facts->path, strlen(facts->path));
    put_bytes(buffer, facts->attributes.data, facts->attributes.length);
    return buffer_failed(buffer);
}

/* ---- reading ---- */

struct reader {
    const uint8_t *bytes;
    size_t left;
    bool failed;
};

static const uint8_t *take(struct reader *reader, size_t length)
{
    const uint8_t *bytes = reader->bytes;

    if (reader->failed || length > reader->left) {
        reader->failed = true;
        return NULL;
    }
    reader->bytes += length;
    reader->left -= length;
    return bytes;
}

static uint64_t get_number(struct reader *reader, size_t bytes)
{
    const uint8_t *little = take(reader, bytes);
    uint64_t value = 0;

    for (size_t i = 0; little && i < bytes; i++)
        value |= (uint64_t)little[i] << (8 * i);
    return value;
}

/* Text without NUL bytes; text holds size. */
static void get_text(struct reader *reader, size_t length, char *text, size_t size)
{
    const uint8_t *bytes = take(reader, length);

    if (!bytes || length >= size || memchr(bytes, 0, length)) {
        reader->failed = true;
        return;
    }
    memcpy(text, bytes, length);
    text[length] = '\0';
}

/* As long as text says, or all zero: not known. */
static void get_digest(struct reader *reader, char text[static SHA256_HEX_BYTES])
{
    static const uint8_t unknown[HEX_LENGTH];

    if (reader->left >= HEX_LENGTH && memcmp(reader->bytes, unknown, HEX_LENGTH) == 0)
        (void)take(reader, HEX_LENGTH);
    else
        get_text(reader, HEX_LENGTH, text, SHA256_HEX_BYTES);
}

static int get_path(struct reader *reader, struct quarantine_facts *facts)
{
    size_t length = get_number(reader, 4);

    if (reader->failed || length == 0 || length >= LIMIT_PATH_BYTES)
        return -EBADMSG;
    facts->path = malloc(length + 1);
    if (!facts->path)
        return -ENOMEM;
    facts->path[0] = '\0';
    get_text(reader, length, facts->path, length + 1);
    return reader->failed || facts->path[0] != '/' ? -EBADMSG : 0;
}

/* The next of the attributes at *offset; false at the end. Only called on checked ones. */
struct attribute {
    const char *name;
    const uint8_t *value;
    size_t length;
};

static bool next_attribute(const struct buffer *attributes, size_t *offset,
                           struct attribute *ret_attribute)
{
    struct reader reader = {(const uint8_t *)attributes->data + *offset,
                            attributes->length - *offset, false};
    size_t name_length = strnlen((const char *)reader.bytes, reader.left);

    ret_attribute->name = (const char *)take(&reader, name_length + 1);
    ret_attribute->length = get_number(&reader, ATTRIBUTE_LENGTH);
    ret_attribute->value = take(&reader, ret_attribute->length);
    if (reader.failed || name_length == 0)
        return false;
    *offset = attributes->length - reader.left;
    return true;
}

static int get_attributes(struct reader *reader, struct quarantine_facts *facts)
{
    size_t length = get_number(reader, 4), offset = 0;
    const uint8_t *bytes = take(reader, length);
    struct attribute attribute;
    int r;

    if (!bytes || length > LIMIT_QUARANTINE_ATTRIBUTES)
        return -EBADMSG;
    buffer_init(&facts->attributes, LIMIT_QUARANTINE_ATTRIBUTES);
    if (length == 0)
        return 0;
    r = buffer_append(&facts->attributes, bytes, length);
    if (r < 0)
        return r;
    while (offset < length)
        if (!next_attribute(&facts->attributes, &offset, &attribute))
            return -EBADMSG;
    return 0;
}

static int decode(struct reader *reader, struct quarantine_facts *facts)
{
    int r;

    if (get_number(reader, 2) != VERSION)
        return -EBADMSG;
    get_text(reader, UUID_LENGTH, facts->id, sizeof(facts->id));
    get_digest(reader, facts->sha256);
    facts->mode = (uint32_t)get_number(reader, 4);
    facts->uid = (uint32_t)get_number(reader, 4);
    facts->gid = (uint32_t)get_number(reader, 4);
    facts->cause = (uint32_t)get_number(reader, 4);
    facts->size = get_number(reader, 8);
    facts->links = get_number(reader, 8);
    facts->device = get_number(reader, 8);
    facts->inode = get_number(reader, 8);
    facts->accessed_ns = get_number(reader, 8);
    facts->modified_ns = get_number(reader, 8);
    facts->changed_ns = get_number(reader, 8);
    facts->time_ns = get_number(reader, 8);
    facts->generation = get_number(reader, 8);
    get_text(reader, get_number(reader, 4), facts->signature, sizeof(facts->signature));
    if (reader->failed || !quarantine_id_valid(facts->id))
        return -EBADMSG;
    r = get_path(reader, facts);
    if (r == 0)
        r = get_attributes(reader, facts);
    if (r < 0)
        return r;
    return reader->failed || reader->left > 0 ? -EBADMSG : 0;
}

int quarantine_facts_decode(const void *bytes, size_t length, struct quarantine_facts *ret_facts)
{
    struct reader reader = {bytes, length, false};
    AUTO_FACTS struct quarantine_facts facts = {0};
    int r;

    r = decode(&reader, &facts);
    if (r < 0)
        return r;
    *ret_facts = facts;
    facts = (struct quarantine_facts){0};
    return 0;
}

/* ---- extended attributes ---- */

static void take_one(struct quarantine_facts *facts, int fd, const char *name)
{
    static const size_t largest = 65536; /* XATTR_SIZE_MAX */
    AUTO_FREE uint8_t *value = malloc(largest);
    size_t name_bytes = strlen(name) + 1;
    ssize_t length;

    if (!value)
        return;
    length = fgetxattr(fd, name, value, largest);
    if (length < 0 || facts->attributes.length + name_bytes + ATTRIBUTE_LENGTH + (size_t)length >
                          LIMIT_QUARANTINE_ATTRIBUTES)
        return;
    (void)buffer_append(&facts->attributes, name, name_bytes);
    put_number(&facts->attributes, (uint64_t)length, ATTRIBUTE_LENGTH);
    if (length > 0)
        (void)buffer_append(&facts->attributes, value, (size_t)length);
}

int quarantine_facts_take_attributes(struct quarantine_facts *facts, int fd)
{
    AUTO_FREE char *names = NULL;
    ssize_t length = flistxattr(fd, NULL, 0);

    buffer_done(&facts->attributes);
    buffer_init(&facts->attributes, LIMIT_QUARANTINE_ATTRIBUTES);
    if (length == 0 || (length < 0 && errno == EOPNOTSUPP))
        return 0;
    names = malloc(NAMES_BYTES);
    if (!names)
        return -ENOMEM;
    length = flistxattr(fd, names, NAMES_BYTES);
    if (length < 0)
        return 0; /* more than can be listed, perhaps: no reason to leave the file where it is */
    for (const char *name = names; name < names + length; name += strlen(name) + 1)
        take_one(facts, fd, name);
    return buffer_failed(&facts->attributes);
}

int quarantine_facts_give_attributes(const struct quarantine_facts *facts, int fd, bool privileged)
{
    struct attribute attribute;
    size_t offset = 0;
    int failed = 0;

    while (offset < facts->attributes.length &&
           next_attribute(&facts->attributes, &offset, &attribute)) {
        if (!privileged && text_equal(attribute.name, "security.capability"))
            continue;
        if (fsetxattr(fd, attribute.name, attribute.value, attribute.length, 0) < 0)
            failed++;
    }
    return failed;
}
