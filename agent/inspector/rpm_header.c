/* Owns: reading rpm's header. Must not own: where it came from, the content of files. Every offset,
 * count and text is checked against the bytes before it is used. */
#include "agent/inspector/rpm_header.h"

#include "agent/inspector/merged_usr.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define INTRODUCTION_BYTES 8
#define ENTRY_BYTES        16

enum tag {
    TAG_NAME = 1000,
    TAG_FILE_DIGESTS = 1035,
    TAG_FILE_FLAGS = 1037,
    TAG_DIRECTORY_INDEXES = 1116,
    TAG_BASE_NAMES = 1117,
    TAG_DIRECTORY_NAMES = 1118,
    TAG_FILE_DIGEST_ALGORITHM = 5011,
};

enum type {
    TYPE_INT32 = 4,
    TYPE_TEXT = 6,
    TYPE_TEXTS = 8,
};

/* PGPHASHALGO_*, the numbers of RFC 4880, 9.4. */
enum algorithm {
    ALGORITHM_MD5 = 1,
    ALGORITHM_SHA256 = 8,
};

#define FLAG_GHOST (1U << 6) /* not in the package; it only owns the name */

struct entry {
    const uint8_t *data; /* NULL when there is none */
    uint32_t count;
    size_t room; /* from data to the end of the header */
};

struct header {
    struct entry name, digests, flags, directory_indexes, base_names, directory_names, algorithm;
};

static uint32_t read_u32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

/* ---- the index ---- */

static struct entry *entry_of(struct header *header, uint32_t tag, uint32_t *ret_type)
{
    *ret_type = TYPE_INT32;
    switch (tag) {
    case TAG_FILE_FLAGS:
        return &header->flags;
    case TAG_DIRECTORY_INDEXES:
        return &header->directory_indexes;
    case TAG_FILE_DIGEST_ALGORITHM:
        return &header->algorithm;
    case TAG_NAME:
        *ret_type = TYPE_TEXT;
        return &header->name;
    case TAG_FILE_DIGESTS:
        *ret_type = TYPE_TEXTS;
        return &header->digests;
    case TAG_BASE_NAMES:
        *ret_type = TYPE_TEXTS;
        return &header->base_names;
    case TAG_DIRECTORY_NAMES:
        *ret_type = TYPE_TEXTS;
        return &header->directory_names;
    default:
        return NULL;
    }
}

static int read_entry(struct header *header, const uint8_t *index, const uint8_t *data, size_t room)
{
    uint32_t wanted, type = read_u32(index + 4), offset = read_u32(index + 8);
    struct entry *entry = entry_of(header, read_u32(index), &wanted);
    uint32_t count = read_u32(index + 12);

    if (!entry)
        return 0;
    /* A text takes a byte at least: more of them than bytes cannot be. */
    if (type != wanted || offset > room || count == 0 || count > room - offset)
        return -EBADMSG;
    if (type == TYPE_INT32 && (offset % 4 != 0 || count > (room - offset) / 4))
        return -EBADMSG;
    if (type == TYPE_TEXT && count != 1)
        return -EBADMSG;
    /* What was changed at installation (another prefix, for example) follows what was built, under
     * the same tag: the last counts. */
    *entry = (struct entry){data + offset, count, room - offset};
    return 0;
}

static int read_header(const uint8_t *bytes, size_t length, struct header *ret_header)
{
    uint32_t entries, room;

    *ret_header = (struct header){0};
    if (length < INTRODUCTION_BYTES || length > LIMIT_RPM_HEADER_BYTES)
        return -EBADMSG;
    entries = read_u32(bytes);
    room = read_u32(bytes + 4);
    if (entries > LIMIT_RPM_HEADER_ENTRIES || room > length ||
        length != INTRODUCTION_BYTES + (size_t)entries * ENTRY_BYTES + room)
        return -EBADMSG;
    for (uint32_t i = 0; i < entries; i++) {
        const uint8_t *index = bytes + INTRODUCTION_BYTES + (size_t)i * ENTRY_BYTES;
        int r = read_entry(ret_header, index, bytes + length - room, room);

        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- values ---- */

static uint32_t number_at(const struct entry *entry, uint32_t i)
{
    return read_u32(entry->data + (size_t)i * 4);
}

/* The next of an entry's texts; NULL when it does not end within the header. */
static const char *next_text(const uint8_t **position, size_t *room)
{
    const uint8_t *text = *position, *end = memchr(text, '\0', *room);

    if (!end)
        return NULL;
    *room -= (size_t)(end + 1 - text);
    *position = end + 1;
    return (const char *)text;
}

static const char *text_at(const struct entry *entry, uint32_t wanted)
{
    const uint8_t *position = entry->data;
    size_t room = entry->room;
    const char *text = NULL;

    if (wanted >= entry->count)
        return NULL;
    for (uint32_t i = 0; i <= wanted; i++) {
        text = next_text(&position, &room);
        if (!text)
            return NULL;
    }
    return text;
}

/* ---- the file ---- */

/* directory ends in a slash, name follows canonical's last one. */
static bool is_directory_of(const char *directory, const char *canonical, const char *name)
{
    const char *prefix = merged_usr_prefix(directory);
    size_t before = strlen(prefix), length = strlen(directory);

    return before + length == (size_t)(name - canonical) && text_starts_with(canonical, prefix) &&
           memcmp(canonical + before, directory, length) == 0;
}

static int find_name(const struct header *header, uint32_t directory, const char *name,
                     uint32_t *ret_file)
{
    const uint8_t *position = header->base_names.data;
    size_t room = header->base_names.room;

    for (uint32_t i = 0; i < header->base_names.count; i++) {
        const char *base_name = next_text(&position, &room);

        if (!base_name)
            return -EBADMSG;
        if (number_at(&header->directory_indexes, i) == directory && text_equal(base_name, name)) {
            *ret_file = i;
            return 0;
        }
    }
    return -ENOENT;
}

/* A directory may be there twice, once by each of its names. */
static int find_file(const struct header *header, const char *canonical, uint32_t *ret_file)
{
    const char *name = strrchr(canonical, '/') + 1;
    const uint8_t *position = header->directory_names.data;
    size_t room = header->directory_names.room;
    int r;

    for (uint32_t i = 0; i < header->directory_names.count; i++) {
        const char *directory = next_text(&position, &room);

        if (!directory)
            return -EBADMSG;
        if (!is_directory_of(directory, canonical, name))
            continue;
        r = find_name(header, i, name, ret_file);
        if (r != -ENOENT)
            return r;
    }
    return -ENOENT;
}

static bool is_hexadecimal(const char *text, size_t length)
{
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

/* No digest: of a directory, a link, a ghost, or by an algorithm that is not ours to compare. */
static enum rpm_digest kind_of(const struct header *header, uint32_t file, const char *digest)
{
    uint32_t algorithm =
        header->algorithm.data ? number_at(&header->algorithm, 0) : (uint32_t)ALGORITHM_MD5;

    if (number_at(&header->flags, file) & FLAG_GHOST)
        return RPM_DIGEST_NONE;
    if (algorithm == ALGORITHM_MD5 && is_hexadecimal(digest, 32))
        return RPM_DIGEST_MD5;
    if (algorithm == ALGORITHM_SHA256 && is_hexadecimal(digest, 64))
        return RPM_DIGEST_SHA256;
    return RPM_DIGEST_NONE;
}

static int describe_file(const struct header *header, uint32_t file,
                         struct rpm_header_file *ret_file)
{
    struct rpm_header_file found = {.package = text_at(&header->name, 0),
                                    .digest = text_at(&header->digests, file)};

    if (!found.package || !found.digest)
        return -EBADMSG;
    found.kind = kind_of(header, file, found.digest);
    if (found.kind == RPM_DIGEST_NONE)
        found.digest = "";
    *ret_file = found;
    return 0;
}

int rpm_header_find(const void *bytes, size_t length, const char *canonical,
                    struct rpm_header_file *ret_file)
{
    struct header header;
    uint32_t file, files;
    int r;

    if (canonical[0] != '/')
        return -ENOENT;
    r = read_header(bytes, length, &header);
    if (r < 0)
        return r;
    files = header.base_names.count;
    if (files == 0)
        return -ENOENT;
    if (!header.name.data || !header.directory_names.data || header.digests.count != files ||
        header.flags.count != files || header.directory_indexes.count != files)
        return -EBADMSG;
    r = find_file(&header, canonical, &file);
    return r < 0 ? r : describe_file(&header, file, ret_file);
}
