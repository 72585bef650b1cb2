/* Any two texts: the difference is bounded, its new lines are lines of the new text, and equal
 * texts have none. The first byte says where the second text begins. As a line of a log, it keeps
 * its blanks. */
#include "agent/inspector/line_difference.h"
#include "agent/inspector/line_secrets.h"
#include "common/limits.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hide_in_line(const char *text, size_t length)
{
    AUTO_FREE char *line = malloc(length > 0 ? length : 1); /* exactly: nothing behind it is read */

    if (line == NULL)
        abort();
    memcpy(line, text, length);
    line_secrets_hide_said(line, length);
    for (size_t i = 0; i < length; i++)
        if (line[i] != text[i] && (line[i] != '*' || text[i] == ' '))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_DIFFERENCE * 2);
    enum inspector_difference outcome;

    if (size < 1 || size > MOST_BYTES)
        return 0;
    const char *text = (const char *)data + 1;
    size_t length = size - 1, split = length * data[0] / 255;
    if (line_difference_write(text, split, text + split, length - split, &lines, &outcome) < 0)
        abort();
    if (lines.length > LIMIT_INTEGRITY_DIFFERENCE || (outcome != INSPECTOR_LINES && lines.length))
        abort();
    if (outcome == INSPECTOR_LINES && split == length - split &&
        memcmp(text, text + split, split) == 0 && lines.length > 0)
        abort();
    hide_in_line(text, length);
    return 0;
}
