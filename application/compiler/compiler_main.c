/* yagura-rules-compiler: makes a rule table out of a rule set. Run when a layer is built. */
#include "application/compiler/seclang.h"
#include "application/limits.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <stdio.h>

static const char usage[] = "Usage: yagura-rules-compiler --output TABLE PATH...\n"
                            "Compiles rule sets (files, or directories such as "
                            "/usr/share/modsecurity-crs) into one rule table.\n";

static int compile(int count, char **paths, const char *output)
{
    AUTO_BUFFER struct buffer file = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_TABLE);
    struct seclang_error error = {"out of memory"};
    struct seclang *seclang = seclang_new();
    int r = seclang == NULL ? -1 : 0;
    for (int i = 0; r == 0 && i < count; i++)
        r = seclang_add_path(seclang, paths[i], &error);
    if (r == 0)
        r = seclang_finish(seclang, &file, &error);
    if (r == 0) {
        r = file_replace(output, file.data, file.length, 0644);
        (void)text_format(error.text, sizeof(error.text), "%s: cannot be written", output);
    }
    if (r < 0) {
        (void)fprintf(stderr, "yagura-rules-compiler: %s\n",
                      error.text[0] == '\0' ? "out of memory" : error.text);
    } else {
        struct seclang_counts counts = seclang_counts(seclang);
        (void)printf("%zu rules for requests, %zu bytes; %zu for responses left out, %zu unknown "
                     "words passed over\n",
                     counts.rules, file.length, counts.left_out, counts.unknown);
    }
    seclang_free(seclang);
    return r < 0 ? 1 : 0;
}

int main(int count, char **arguments)
{
    if (count < 4 || !text_equal(arguments[1], "--output")) {
        (void)fputs(usage, stderr);
        return 2;
    }
    return compile(count - 3, arguments + 3, arguments[2]);
}
