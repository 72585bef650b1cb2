/* Owns: by what an encrypted document is known. Must not own: what follows from it
 * (verdict_mapping.c).
 *
 * A compound file's directory is not walked: whoever wrote it chose its chains. Its entries are of
 * 128 bytes at multiples of 128 in any file, and one with such a name is looked for at each. */
#include "scanner/encrypted_document.h"

#include "common/attributes.h"
#include "common/text/text.h"

#include <stdint.h>
#include <string.h>

#define ENTRY_BYTES  128
#define NAME_BYTES   64
#define ENTRY_STREAM 2

#define WORD_MAGIC          0xA5EC
#define WORD_ENCRYPTED      0x0100 /* at byte 10: fEncrypted */
#define EXCEL_BEGIN         0x0809
#define EXCEL_WRITE_PROTECT 0x0086
#define EXCEL_FILE_PASS     0x002F

struct bytes {
    const uint8_t *data;
    size_t size;
};

static uint32_t number_at(const struct bytes *file, size_t place, size_t width)
{
    uint32_t value = 0;

    if (place > file->size || file->size - place < width)
        return 0;
    for (size_t i = width; i > 0; i--)
        value = value << 8 | file->data[place + i - 1];
    return value;
}

/* A stream of that name, whatever its case; names are UTF-16, and their length counts the NUL. */
static bool entry_is(const struct bytes *file, size_t place, const char *name)
{
    size_t length = strlen(name);

    if (file->data[place + 66] != ENTRY_STREAM ||
        number_at(file, place + NAME_BYTES, 2) != 2 * (length + 1))
        return false;
    for (size_t i = 0; i < length; i++) {
        uint32_t letter = number_at(file, place + 2 * i, 2);
        if (letter > 0x7f || (letter | 0x20) != ((uint32_t)name[i] | 0x20))
            return false;
    }
    return true;
}

/* Where the stream of this entry begins. */
static size_t stream_of(const struct bytes *file, size_t entry)
{
    uint32_t shift = number_at(file, 30, 2);

    return ((size_t)number_at(file, entry + 116, 4) + 1) << (shift == 12 ? 12 : 9);
}

static bool word_is_encrypted(const struct bytes *file, size_t stream)
{
    return number_at(file, stream, 2) == WORD_MAGIC &&
           (number_at(file, stream + 10, 2) & WORD_ENCRYPTED) != 0;
}

/* The record stands right behind the first, or behind the one that forbids writing. */
static bool excel_is_encrypted(const struct bytes *file, size_t stream)
{
    if (number_at(file, stream, 2) != EXCEL_BEGIN)
        return false;
    stream += 4 + number_at(file, stream + 2, 2);
    if (number_at(file, stream, 2) == EXCEL_WRITE_PROTECT)
        stream += 4 + number_at(file, stream + 2, 2);
    return number_at(file, stream, 2) == EXCEL_FILE_PASS;
}

static bool entry_is_encrypted(const struct bytes *file, size_t place)
{
    if (entry_is(file, place, "EncryptedPackage") || entry_is(file, place, "EncryptedSummary"))
        return true;
    if (entry_is(file, place, "WordDocument"))
        return word_is_encrypted(file, stream_of(file, place));
    return (entry_is(file, place, "Workbook") || entry_is(file, place, "Book")) &&
           excel_is_encrypted(file, stream_of(file, place));
}

static bool compound_is_encrypted(const struct bytes *file)
{
    for (size_t place = 0; file->size - place >= ENTRY_BYTES; place += ENTRY_BYTES)
        if (entry_is_encrypted(file, place))
            return true;
    return false;
}

static bool holds(const struct bytes *file, const char *word)
{
    return memmem(file->data, file->size, word, strlen(word)) != NULL;
}

/* OpenDocument names the encrypted parts of an ordinary archive. libclamav says the last part of a
 * name only. */
static bool manifest_is_encrypted(const char *name, const struct bytes *file)
{
    return name != NULL && text_equal(name, "manifest.xml") &&
           holds(file, "urn:oasis:names:tc:opendocument:xmlns:manifest") &&
           holds(file, "encryption-data");
}

bool encrypted_document_is(const char *type, const char *name, const void *content, size_t size)
{
    const struct bytes file = {.data = content, .size = size};

    if (content == NULL)
        return false;
    if (text_starts_with(type, "CL_TYPE_MSOLE2"))
        return compound_is_encrypted(&file);
    return manifest_is_encrypted(name, &file);
}
