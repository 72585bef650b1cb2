/* Opens a file for reading, again and again, and says in JSON how long an open takes. The first
 * one, which may wait for a scan, is not counted. */
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST_OPENS = 1000000 };

static uint64_t open_ns(const char *path)
{
    uint64_t begin = tool_monotonic_ns();
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    uint64_t took = tool_monotonic_ns() - begin;

    if (fd < 0)
        tool_fail(errno, "%s", path);
    (void)close(fd);
    return took;
}

int main(int argc, char *argv[])
{
    if (argc != 3)
        tool_usage("usage: repeated_opens FILE COUNT\n");
    size_t count = tool_number("COUNT", argv[2], 1, MOST_OPENS);
    uint64_t *times = calloc(count, sizeof *times);
    if (times == NULL)
        tool_fail(ENOMEM, "times");
    (void)open_ns(argv[1]);
    for (size_t i = 0; i < count; i++)
        times[i] = open_ns(argv[1]);
    tool_sort(times, count);
    (void)printf("{\"p50_ns\":%llu,\"p99_ns\":%llu}\n",
                 (unsigned long long)tool_percentile(times, count, 50),
                 (unsigned long long)tool_percentile(times, count, 99));
    free(times);
    return 0;
}
