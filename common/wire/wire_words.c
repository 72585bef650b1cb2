/* Owns the words of the protocol: severities, names, ids. */
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>

static const char *const SEVERITIES[] = {"info", "low", "medium", "high", "critical"};

const char *wire_severity_name(unsigned severity)
{
    return severity < ARRAY_LENGTH(SEVERITIES) ? SEVERITIES[severity] : NULL;
}

int wire_severity_parse(const char *name, unsigned *ret_severity)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(SEVERITIES); i++) {
        if (text_equal(name, SEVERITIES[i])) {
            *ret_severity = i;
            return 0;
        }
    }
    return -EINVAL;
}

/* Of a-z, 0-9 and "_". */
static bool is_word_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool wire_is_word(const char *text)
{
    size_t length = 0;
    while (is_word_character(text[length]))
        length++;
    return length > 0 && length <= 64 && !text[length] && text[0] >= 'a' && text[0] <= 'z';
}

bool wire_is_uuid(const char *text)
{
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return !text[36];
}
