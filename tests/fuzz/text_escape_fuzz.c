/* Escaping of hostile names: always printable, always reversible, never past the buffer. */
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_is_shown_plainly(const char *text)
{
    for (const char *byte = text; *byte != '\0'; byte++)
        require((unsigned char)*byte >= 0x20 && *byte != 0x7F);
}

static void check_round_trip(const uint8_t *data, size_t size, const char *escaped)
{
    AUTO_FREE char *back = malloc(size + 1);
    size_t length = 0;

    require(back != NULL);
    if (memchr(data, '\0', size) != NULL) {
        require(text_unescape(back, size + 1, escaped, &length) == -EINVAL);
        return;
    }
    require(text_unescape(back, size + 1, escaped, &length) == 0);
    require(length == size && memcmp(back, data, size) == 0);
}

/* A buffer of every size: what fits is a prefix of the whole, in whole characters. */
static void check_cut(const uint8_t *data, size_t size, const char *escaped)
{
    size_t whole = strlen(escaped);

    for (size_t room = 1; room <= MIN(whole, (size_t)64); room++) {
        AUTO_FREE char *cut = malloc(room);
        require(cut != NULL);
        require(text_escape(cut, room, data, size) == -ENAMETOOLONG);
        require(strlen(cut) < room && memcmp(cut, escaped, strlen(cut)) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_FREE char *escaped = text_escape_new(data, size);

    require(escaped != NULL);
    check_is_shown_plainly(escaped);
    check_round_trip(data, size, escaped);
    check_cut(data, size, escaped);
    return 0;
}
