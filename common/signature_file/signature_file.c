/* Owns: names, and the head of signed files. */
#include "common/signature_file/signature_file.h"

#include "common/text/text.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define MAGIC         "ClamAV-VDB:"
#define VERSION_FIELD 1 /* behind the time of its making */
#define FIELDS        7 /* with a colon behind them */
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

/* What stands before the next colon; NULL without one. ret_length: of the field. */
static const char *next_field(const char **at, const char *end, size_t *ret_length)
{
    const char *field = *at;
    const char *colon = memchr(field, ':', (size_t)(end - field));

    if (colon == NULL)
        return NULL;
    *ret_length = (size_t)(colon - field);
    *at = colon + 1;
    return field;
}

static int parse_number(const char *text, size_t length, uint64_t *ret_number)
{
    char number[NUMBER_BYTES] = "";

    if (length >= sizeof number)
        return -EBADMSG;
    memcpy(number, text, length);
    return text_parse_u64(number, ret_number) == 0 ? 0 : -EBADMSG;
}

/* The head is text, filled up with blanks: "ClamAV-VDB:time:version:signatures:level:md5:
 * signature:builder:seconds since 1970". */
int signature_head_read(const char *head, size_t length, struct signature_head *ret_head)
{
    struct signature_head got = {0};

    if (length < SIGNATURE_HEAD_BYTES || memcmp(head, MAGIC, strlen(MAGIC)) != 0)
        return -EBADMSG;
    const char *at = head + strlen(MAGIC), *end = head + SIGNATURE_HEAD_BYTES;
    for (unsigned i = 0; i < FIELDS; i++) {
        size_t bytes;
        const char *field = next_field(&at, end, &bytes);
        if (field == NULL || (i == VERSION_FIELD && parse_number(field, bytes, &got.version) < 0))
            return -EBADMSG;
    }
    size_t digits = 0;
    while (at + digits < end && at[digits] >= '0' && at[digits] <= '9')
        digits++;
    if (parse_number(at, digits, &got.built_s) < 0)
        got.built_s = 0;
    *ret_head = got;
    return 0;
}

int signature_head_read_file(int fd, struct signature_head *ret_head)
{
    char head[SIGNATURE_HEAD_BYTES];
    ssize_t length = pread(fd, head, sizeof head, 0);

    return length < 0 ? -errno : signature_head_read(head, (size_t)length, ret_head);
}
