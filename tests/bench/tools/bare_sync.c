/* What two durable writes cost on a file system: append 4 KB, fdatasync, twice. The single-file
 * figure allows three times a bare scan plus this. Prints one JSON object. */
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 4096 };

int main(int argument_count, char **arguments)
{
    static const uint8_t block[BLOCK] = {1};
    char path[TOOL_PATH_MAX];

    if (argument_count != 3)
        tool_usage("DIRECTORY ROUNDS");
    const uint64_t rounds = tool_number("ROUNDS", arguments[2], 1, 100000);
    uint64_t *durations = tool_shared_memory(rounds * sizeof(*durations));

    tool_join(path, arguments[1], "bare-sync");
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        tool_fail(errno, "open %s", path);
    for (uint64_t i = 0; i < rounds; i++) {
        const uint64_t start = tool_monotonic_ns();
        for (int half = 0; half < 2; half++) {
            tool_write_all(fd, block, sizeof(block), path);
            if (fdatasync(fd) < 0)
                tool_fail(errno, "fdatasync %s", path);
        }
        durations[i] = tool_monotonic_ns() - start;
    }
    (void)close(fd);
    (void)unlink(path);
    tool_sort(durations, rounds);
    printf("{\"rounds\": %llu, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", (unsigned long long)rounds,
           (double)tool_percentile(durations, rounds, 50) / 1e3,
           (double)tool_percentile(durations, rounds, 99) / 1e3);
    return EXIT_SUCCESS;
}
