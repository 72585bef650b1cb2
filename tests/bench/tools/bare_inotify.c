/* What watching a tree costs at least: the time of "find ROOT -type d" plus that of one
 * inotify_add_watch for every directory found. Prints one JSON object. */
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void spawn_find(char *root, const char *output)
{
    static char program[] = "find";
    static char type[] = "-type";
    static char directory[] = "d";
    char *const arguments[] = {program, root, type, directory, NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status = 0;

    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output,
                                           O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const int error = posix_spawnp(&child, "find", &actions, NULL, arguments, environ);
    if (error != 0)
        tool_fail(error, "find");
    if (waitpid(child, &status, 0) < 0 || status != 0)
        tool_fail(0, "find ended with status %d", status);
    (void)posix_spawn_file_actions_destroy(&actions);
}

int main(int argument_count, char **arguments)
{
    struct tool_paths directories = {0};
    uint64_t refused = 0;

    if (argument_count != 3)
        tool_usage("ROOT LIST  (LIST: a file to write the directories to)");
    const uint64_t start = tool_monotonic_ns();
    spawn_find(arguments[1], arguments[2]);
    const uint64_t found = tool_monotonic_ns();
    tool_paths_read(&directories, arguments[2]);

    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd < 0)
        tool_fail(errno, "inotify_init1");
    const uint64_t adding = tool_monotonic_ns();
    for (size_t i = 0; i < directories.count; i++)
        if (inotify_add_watch(fd, directories.items[i],
                              IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                                  IN_DELETE_SELF | IN_ONLYDIR) < 0)
            refused++;
    const uint64_t added = tool_monotonic_ns();
    (void)close(fd);
    printf("{\"directories\": %zu, \"refused\": %llu, \"find_s\": %.6f, \"watch_s\": %.6f, "
           "\"total_s\": %.6f}\n",
           directories.count, (unsigned long long)refused, (double)(found - start) / 1e9,
           (double)(added - adding) / 1e9, (double)(found - start + added - adding) / 1e9);
    return EXIT_SUCCESS;
}
