/* Owns: the rule of the budget and the two measurements it needs. Must not own: what happens beyond
 * it (walk.c). */
#include "agent/watch/budget.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#define FDINFO_BYTES_MAXIMUM ((size_t)256 * 1024 * 1024)

static uint64_t read_number(const char *path)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(64);
    uint64_t value;

    if (file_read_all(path, &text) < 0 || text.length == 0)
        return UINT64_MAX;
    text.data[strcspn(text.data, "\n")] = '\0';
    return text_parse_u64(text.data, &value) < 0 ? UINT64_MAX : value;
}

uint64_t budget_kernel_limit(void)
{
    uint64_t host = read_number("/proc/sys/fs/inotify/max_user_watches");
    uint64_t space = read_number("/proc/sys/user/max_inotify_watches");

    return MIN(host, space);
}

uint64_t budget_of(uint64_t kernel_limit, uint64_t used_by_others, uint64_t policy)
{
    uint64_t share = kernel_limit == UINT64_MAX ? UINT64_MAX : kernel_limit - kernel_limit / 5;
    uint64_t left = share == UINT64_MAX      ? share
                    : share > used_by_others ? share - used_by_others
                                             : 0;

    return policy == 0 ? left : MIN(left, policy);
}

static void cleanup_directory(DIR **directory)
{
    if (*directory != NULL)
        (void)closedir(*directory);
}

static DIR *open_listing(int parent_fd, const char *path)
{
    int fd = -1;
    DIR *directory;

    if (file_open_at(parent_fd, path, O_RDONLY | O_DIRECTORY, 0, &fd) < 0)
        return NULL;
    directory = fdopendir(fd);
    if (directory == NULL)
        (void)close(fd);
    return directory;
}

static uint64_t count_lines(const struct buffer *text)
{
    static const char start[] = "inotify wd:";
    uint64_t count = 0;

    for (const char *at = text->data; at != NULL && (at = strstr(at, start)) != NULL;
         at += sizeof(start) - 1)
        count++;
    return count;
}

/* An inotify descriptor is a link to "anon_inode:inotify"; reading its fdinfo lists the watches. */
static uint64_t count_of_process(int process_fd)
{
    CLEANUP(cleanup_directory) DIR *directory = open_listing(process_fd, "fd");
    const struct dirent *entry;
    uint64_t count = 0;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FDINFO_BYTES_MAXIMUM);
        AUTO_CLOSE int fd = -1;
        char target[32];
        char path[288];
        ssize_t length = readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1);

        if (length < 0)
            continue;
        target[length] = '\0';
        if (!text_equal(target, "anon_inode:inotify"))
            continue;
        (void)text_format(path, sizeof(path), "fdinfo/%s", entry->d_name);
        if (file_open_at(process_fd, path, O_RDONLY, 0, &fd) == 0 &&
            file_read_all_fd(fd, &text) == 0)
            count += count_lines(&text);
    }
    return count;
}

uint64_t budget_used_by_others(void)
{
    CLEANUP(cleanup_directory) DIR *directory = open_listing(AT_FDCWD, "/proc");
    const struct dirent *entry;
    uint64_t count = 0;

    while (directory != NULL && (entry = readdir(directory)) != NULL) {
        AUTO_CLOSE int fd = -1;
        uint64_t pid;
        struct stat status;

        if (text_parse_u64(entry->d_name, &pid) < 0 || pid == (uint64_t)getpid())
            continue;
        if (file_open_at(dirfd(directory), entry->d_name, O_PATH | O_DIRECTORY, 0, &fd) < 0 ||
            fstat(fd, &status) < 0 || status.st_uid != geteuid())
            continue;
        count += count_of_process(fd);
    }
    return count;
}
