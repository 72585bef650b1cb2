#include "console/pages/script_comments.h"

#include <string.h>

struct text_span {
    const char *at, *end;
};

static struct text_span next_line(struct text_span *rest)
{
    const char *newline = memchr(rest->at, '\n', (size_t)(rest->end - rest->at));
    struct text_span line = {rest->at, newline ? newline + 1 : rest->end};
    rest->at = line.end;
    return line;
}

static const char *skip_blanks(struct text_span line)
{
    while (line.at < line.end && (*line.at == ' ' || *line.at == '\t'))
        line.at++;
    return line.at;
}

static bool begins_with(struct text_span line, const char *mark)
{
    const char *at = skip_blanks(line);
    return (size_t)(line.end - at) >= strlen(mark) && memcmp(at, mark, strlen(mark)) == 0;
}

/* What stands behind the comment's end on the line where it ends. */
static struct text_span behind_comment(struct text_span line, struct text_span *rest)
{
    const char *from = skip_blanks(line) + strlen("/*");
    const char *end = memmem(from, (size_t)(rest->end - from), "*/", 2);
    rest->at = end ? end + 2 : rest->end;
    struct text_span behind = next_line(rest);
    const char *code = skip_blanks(behind);
    if (code == behind.end || *code == '\n')
        behind.at = behind.end;
    return behind;
}

int script_comments_remove(const char *script, size_t length, struct buffer *ret_lean)
{
    struct text_span rest = {script, script + length};
    while (rest.at < rest.end) {
        struct text_span line = next_line(&rest);
        if (begins_with(line, "// "))
            continue;
        if (begins_with(line, "/*"))
            line = behind_comment(line, &rest);
        int r = buffer_append(ret_lean, line.at, (size_t)(line.end - line.at));
        if (r < 0)
            return r;
    }
    return 0;
}
