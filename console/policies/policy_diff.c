/* Owns the comparison: common beginning and end, and the longest common subsequence between. Must
 * not know where texts come from. */
#include "console/policies/policy_diff.h"

#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>

struct lines {
    const char **at;
    size_t *lengths;
    size_t count;
};

static void lines_done(struct lines *lines)
{
    free(lines->at);
    free(lines->lengths);
}
#define AUTO_LINES CLEANUP(lines_done)

static size_t count_lines(const char *text)
{
    size_t count = 0;
    for (; *text; count++) {
        const char *end = strchr(text, '\n');
        text = end ? end + 1 : text + strlen(text);
    }
    return count;
}

static int split(const char *text, struct lines *ret_lines)
{
    size_t most = count_lines(text);
    struct lines lines = {.at = calloc(most + 1, sizeof(*lines.at)),
                          .lengths = calloc(most + 1, sizeof(*lines.lengths))};
    if (!lines.at || !lines.lengths) {
        lines_done(&lines);
        return -ENOMEM;
    }
    while (*text) {
        const char *end = strchr(text, '\n');
        size_t length = end ? (size_t)(end - text) : strlen(text);
        lines.at[lines.count] = text;
        lines.lengths[lines.count++] = length;
        text += length + (end ? 1 : 0);
    }
    *ret_lines = lines;
    return 0;
}

static bool same(const struct lines *from, size_t i, const struct lines *to, size_t j)
{
    return from->lengths[i] == to->lengths[j] &&
           memcmp(from->at[i], to->at[j], from->lengths[i]) == 0;
}

static void write_line(struct json_writer *json, const char *change, const struct lines *lines,
                       size_t i)
{
    AUTO_FREE char *text = text_new(lines->at[i], lines->lengths[i]);
    json_write_object_begin(json);
    json_write_field_string(json, "change", change);
    json_write_field_string(json, "line", text ? text : "");
    json_write_object_end(json);
}

struct part {
    const struct lines *from, *to;
    size_t first;         /* lines before are the same */
    size_t rows, columns; /* of from and of to that differ as a whole */
};

/* lengths[i * (columns + 1) + j]: of the longest common subsequence of what follows row i and
 * column j. */
static uint16_t *measure(const struct part *part)
{
    size_t width = part->columns + 1;
    uint16_t *lengths = calloc((part->rows + 1) * width, sizeof(*lengths));
    if (!lengths)
        return NULL;
    for (size_t i = part->rows; i-- > 0;)
        for (size_t j = part->columns; j-- > 0;) {
            uint16_t skip = MAX(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
            lengths[i * width + j] = same(part->from, part->first + i, part->to, part->first + j)
                                         ? (uint16_t)(lengths[(i + 1) * width + j + 1] + 1)
                                         : skip;
        }
    return lengths;
}

static void write_replaced(struct json_writer *json, const struct part *part)
{
    for (size_t i = 0; i < part->rows; i++)
        write_line(json, "removed", part->from, part->first + i);
    for (size_t j = 0; j < part->columns; j++)
        write_line(json, "added", part->to, part->first + j);
}

static void write_compared(struct json_writer *json, const struct part *part,
                           const uint16_t *lengths)
{
    size_t i = 0, j = 0, width = part->columns + 1;
    while (i < part->rows || j < part->columns) {
        bool both = i < part->rows && j < part->columns;
        if (both && same(part->from, part->first + i, part->to, part->first + j)) {
            write_line(json, "same", part->from, part->first + i++);
            j++;
        } else if (i < part->rows &&
                   (!both || lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
            write_line(json, "removed", part->from, part->first + i++);
        } else {
            write_line(json, "added", part->to, part->first + j++);
        }
    }
}

static int write_part(struct json_writer *json, const struct part *part)
{
    size_t cells = (part->rows + 1) * (part->columns + 1);
    if (cells > POLICY_DIFF_CELLS || MIN(part->rows, part->columns) > UINT16_MAX) {
        write_replaced(json, part);
        return 0;
    }
    AUTO_FREE uint16_t *lengths = measure(part);
    if (!lengths)
        return -ENOMEM;
    write_compared(json, part, lengths);
    return 0;
}

int policy_diff_write(const char *from, const char *to, struct buffer *json)
{
    AUTO_LINES struct lines old = {.count = 0};
    AUTO_LINES struct lines new = {.count = 0};
    int r = split(from, &old);
    if (r == 0)
        r = split(to, &new);
    if (r < 0)
        return r;
    size_t shorter = MIN(old.count, new.count), head = 0, tail = 0;
    while (head < shorter && same(&old, head, &new, head))
        head++;
    while (tail < shorter - head && same(&old, old.count - 1 - tail, &new, new.count - 1 - tail))
        tail++;
    const struct part part = {&old, &new, head, old.count - head - tail, new.count - head - tail};
    struct json_writer writer;
    json_writer_init(&writer, json);
    json_write_array_begin(&writer);
    for (size_t i = 0; i < head; i++)
        write_line(&writer, "same", &old, i);
    r = write_part(&writer, &part);
    for (size_t i = old.count - tail; i < old.count; i++)
        write_line(&writer, "same", &old, i);
    json_write_array_end(&writer);
    return r < 0 ? r : buffer_failed(json);
}
