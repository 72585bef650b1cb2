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

bool wire_is_word(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= 64 && text[0] >= 'a' && text[0] <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
}

bool wire_is_uuid(const char *text)
{
    if (strlen(text) != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
            return false;
    }
    return true;
}
