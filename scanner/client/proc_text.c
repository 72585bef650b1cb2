/* Owns: nothing. The kernel wrote the text; a surprise in it gives 0, which callers take for
 * "unknown". */
#include "scanner/client/proc_text.h"

#include "common/text/text.h"

#include <string.h>

uint64_t proc_text_number(const char *text)
{
    char digits[24];
    uint64_t value;
    text += strspn(text, " \t");
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length >= sizeof(digits))
        return 0;
    memcpy(digits, text, length);
    digits[length] = '\0';
    return text_parse_u64(digits, &value) == 0 ? value : 0;
}

uint64_t proc_text_field(const char *text, size_t index)
{
    for (; index > 0; index--) {
        text = strchr(text, ' ');
        if (text == NULL)
            return 0;
        text++;
    }
    return proc_text_number(text);
}

pid_t proc_text_parent(const char *stat)
{
    const char *name_end = strrchr(stat, ')'); /* the name may hold anything, also ") R 1" */

    return name_end == NULL || strlen(name_end) < 5 ? 0 : (pid_t)proc_text_number(name_end + 4);
}
