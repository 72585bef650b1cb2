/* Owns: names, and the head of signed files. */
#include "common/signature_file/signature_file.h"

#include "common/text/text.h"

#include <errno.h>
#include <string.h>

#define MAGIC         "ClamAV-VDB:"
#define VERSION_FIELD 1 /* behind the time of its making */
#define LEAST_FIELDS  7
#define NUMBER_BYTES  21

static bool is_file_name(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t length = strlen(name);

    return length > 0 && length < SIGNATURE_NAME_BYTES && name[0] != '.' &&
           strspn(name, letters) == length;
}

bool signature_file_is_updated(const char *name)
{
    return is_file_name(name) && text_ends_with(name, ".cld");
}

enum signature_kind signature_file_kind(const char *name)
{
    static const char *const unsigned_ends[] = {".hdb", ".hsb", ".ndb", ".ldb",
                                                ".fp",  ".sfp", ".ign2"};
    if (!is_file_name(name))
        return SIGNATURE_OTHER;
    if (text_ends_with(name, ".cvd"))
        return SIGNATURE_SIGNED;
    for (size_t i = 0; i < ARRAY_LENGTH(unsigned_ends); i++)
        if (text_ends_with(name, unsigned_ends[i]))
            return SIGNATURE_UNSIGNED;
    return SIGNATURE_OTHER;
}

/* The head is text, filled up with blanks: "ClamAV-VDB:time:version:signatures:level:md5:...". */
int signature_head_read(const char *head, size_t length, uint64_t *ret_version)
{
    const char *at = head + strlen(MAGIC), *end = head + SIGNATURE_HEAD_BYTES;
    char number[NUMBER_BYTES] = "";

    if (length < SIGNATURE_HEAD_BYTES || memcmp(head, MAGIC, strlen(MAGIC)) != 0)
        return -EBADMSG;
    for (unsigned field = 0; field < LEAST_FIELDS; field++) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        if (colon == NULL)
            return -EBADMSG;
        if (field == VERSION_FIELD) {
            if ((size_t)(colon - at) >= sizeof number)
                return -EBADMSG;
            memcpy(number, at, (size_t)(colon - at));
        }
        at = colon + 1;
    }
    return text_parse_u64(number, ret_version) == 0 ? 0 : -EBADMSG;
}

uint64_t signature_head_built(const char *head)
{
    const char *end = head + SIGNATURE_HEAD_BYTES, *at = head + strlen(MAGIC);
    char number[NUMBER_BYTES] = "";
    uint64_t built_s;

    for (unsigned field = 0; field < LEAST_FIELDS; field++) {
        const char *colon = memchr(at, ':', (size_t)(end - at));
        if (colon == NULL)
            return 0;
        at = colon + 1;
    }
    size_t length = 0;
    while (at + length < end && length + 1 < sizeof number && at[length] >= '0' &&
           at[length] <= '9')
        length++;
    memcpy(number, at, length);
    return text_parse_u64(number, &built_s) == 0 ? built_s : 0;
}
