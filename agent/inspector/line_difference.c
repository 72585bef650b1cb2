/* Owns: comparing by lines (longest common subsequence between equal beginnings and ends). */
#include "agent/inspector/line_difference.h"

#include "agent/inspector/line_secrets.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { MOST_CELLS = 1000000, LINE_SHOWN = 400 };

struct line {
    const char *text;
    size_t length;
};

struct side {
    struct line *lines;
    size_t count;
};

static void side_done(struct side *side)
{
    free(side->lines);
}

static bool is_text(const char *text, size_t length)
{
    return memchr(text, '\0', length) == NULL;
}

/* -E2BIG: more lines than are compared. */
static int split(const char *text, size_t length, struct side *side)
{
    side->lines = calloc(LIMIT_INTEGRITY_DIFFERENCE_LINES, sizeof side->lines[0]);
    if (side->lines == NULL)
        return -ENOMEM;
    while (length > 0) {
        const char *end = memchr(text, '\n', length);
        size_t size = end != NULL ? (size_t)(end - text) : length;
        if (side->count == LIMIT_INTEGRITY_DIFFERENCE_LINES)
            return -E2BIG;
        side->lines[side->count++] = (struct line){text, size};
        text += size + (end != NULL);
        length -= size + (end != NULL);
    }
    return 0;
}

static bool is_same(const struct line *a, const struct line *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

/* What is left once equal lines at both ends are taken away. */
struct middle {
    const struct line *before, *after;
    size_t before_count, after_count, first; /* first: its number in the new text, from 0 */
};

static struct middle find_middle(const struct side *before, const struct side *after)
{
    size_t begin = 0, end = 0, most = MIN(before->count, after->count);

    while (begin < most && is_same(&before->lines[begin], &after->lines[begin]))
        begin++;
    while (end < most - begin &&
           is_same(&before->lines[before->count - 1 - end], &after->lines[after->count - 1 - end]))
        end++;
    return (struct middle){
        .before = before->lines + begin,
        .after = after->lines + begin,
        .before_count = before->count - begin - end,
        .after_count = after->count - begin - end,
        .first = begin,
    };
}

struct output {
    struct buffer *lines;
    size_t next; /* number of the new line that a further "@" need not tell */
    bool cut;
};

static void write_line(struct output *output, char sign, const struct line *line, size_t number)
{
    char shown[LINE_SHOWN * 4 + 1], copy[LINE_SHOWN];
    size_t length = MIN(line->length, sizeof copy);

    if (output->cut)
        return;
    memcpy(copy, line->text, length);
    line_secrets_hide(copy, length);
    (void)text_escape(shown, sizeof shown, copy, length);
    if (output->lines->length + strlen(shown) + 64 > LIMIT_INTEGRITY_DIFFERENCE) {
        output->cut = true;
        (void)buffer_append_text(output->lines, "...\n");
        return;
    }
    if (output->next != number)
        (void)buffer_append_format(output->lines, "@%zu\n", number + 1);
    (void)buffer_append_format(output->lines, "%c%s%s\n", sign, shown,
                               line->length > length ? "..." : "");
    output->next = number + (sign == '+');
}

static void write_replaced(struct output *output, const struct middle *middle)
{
    for (size_t i = 0; i < middle->before_count; i++)
        write_line(output, '-', &middle->before[i], middle->first);
    for (size_t i = 0; i < middle->after_count; i++)
        write_line(output, '+', &middle->after[i], middle->first + i);
}

/* table[i][j]: how many lines the rests from i and j have in common. */
static int write_compared(struct output *output, const struct middle *middle)
{
    size_t rows = middle->before_count + 1, columns = middle->after_count + 1, i = 0, j = 0;
    AUTO_FREE uint16_t *table = calloc(rows * columns, sizeof *table);

    if (table == NULL)
        return -ENOMEM;
    for (size_t row = rows - 1; row-- > 0;)
        for (size_t column = columns - 1; column-- > 0;)
            table[row * columns + column] =
                is_same(&middle->before[row], &middle->after[column])
                    ? (uint16_t)(table[(row + 1) * columns + column + 1] + 1)
                    : MAX(table[(row + 1) * columns + column], table[row * columns + column + 1]);
    while (i < rows - 1 || j < columns - 1) {
        if (i < rows - 1 && j < columns - 1 && is_same(&middle->before[i], &middle->after[j])) {
            i++;
            j++;
        } else if (i < rows - 1 && (j == columns - 1 ||
                                    table[(i + 1) * columns + j] >= table[i * columns + j + 1])) {
            write_line(output, '-', &middle->before[i++], middle->first + j);
        } else {
            write_line(output, '+', &middle->after[j], middle->first + j);
            j++;
        }
    }
    return 0;
}

int line_difference_write(const char *before, size_t before_length, const char *after,
                          size_t after_length, struct buffer *lines,
                          enum inspector_difference *ret_outcome)
{
    CLEANUP(side_done) struct side old = {.lines = NULL}, new = {.lines = NULL};
    struct output output = {.lines = lines, .next = SIZE_MAX};

    *ret_outcome = INSPECTOR_NO_TEXT;
    if (!is_text(before, before_length) || !is_text(after, after_length))
        return 0;
    *ret_outcome = INSPECTOR_TOO_LARGE;
    int r = split(before, before_length, &old);
    if (r == 0)
        r = split(after, after_length, &new);
    if (r < 0)
        return r == -E2BIG ? 0 : r;
    *ret_outcome = INSPECTOR_LINES;
    struct middle middle = find_middle(&old, &new);
    if ((middle.before_count + 1) * (middle.after_count + 1) > MOST_CELLS)
        write_replaced(&output, &middle);
    else
        r = write_compared(&output, &middle);
    return r < 0 ? r : buffer_failed(lines);
}
