/* Copies standard input to standard output with the time each line arrived (CLOCK_REALTIME, ns,
 * then a tab) before it. Ours and the peer's reports of a detection both pass through here, so
 * their latencies carry the same reader's cost. */
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 1 << 16 };

int main(void)
{
    static char input[ROOM];
    static char output[ROOM + 32];
    bool at_line_start = true;

    for (;;) {
        const ssize_t count = read(STDIN_FILENO, input, sizeof(input));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            tool_fail(errno, "read");
        if (count == 0)
            return EXIT_SUCCESS;
        const unsigned long long now = tool_realtime_ns();
        const char *next = input;
        size_t left = (size_t)count;
        while (left > 0) {
            const char *end = memchr(next, '\n', left);
            const size_t length = end != NULL ? (size_t)(end - next) + 1 : left;
            int used = 0;
            if (at_line_start)
                used = snprintf(output, sizeof(output), "%llu\t", now);
            memcpy(output + used, next, length);
            tool_write_all(STDOUT_FILENO, output, (size_t)used + length, "standard output");
            at_line_start = end != NULL;
            next += length;
            left -= length;
        }
    }
}
