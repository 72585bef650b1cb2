#include "agent/resources/control_group.h"

#include "agent/watch/mounts.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { FILE_BYTES = 16384, VALUE_BYTES = 64 };

/* ---- finding it ----------------------------------------------------------------------------- */

static int find_mount(char *ret_path, size_t size)
{
    AUTO_CLOSE int fd = -1;
    struct mounts *mounts = NULL;

    int r = file_open_following("/proc/self/mountinfo", O_RDONLY, 0, &fd);
    if (r == 0)
        r = mounts_read(fd, &mounts);
    if (r < 0 || mounts == NULL)
        return r;
    r = -ENOENT;
    for (size_t i = 0; i < mounts->count && r == -ENOENT; i++)
        if (text_equal(mounts->entries[i].type, "cgroup2"))
            r = text_copy(ret_path, size, mounts->entries[i].path);
    (void)mounts_free(mounts);
    return r;
}

/* The mount and the line of version 2 in /proc/self/cgroup, "0::/path". */
static int find_own(char *ret_path, size_t size)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_BYTES);
    char mount[256];

    int r = find_mount(mount, sizeof mount);
    if (r == 0)
        r = file_read_all("/proc/self/cgroup", &text);
    if (r < 0)
        return r;
    const char *line = strstr(buffer_text(&text), "0::/");
    if (line == NULL)
        return -ENOENT;
    const char *own = line + 3;
    return text_format(ret_path, size, "%s%.*s", mount, (int)strcspn(own, "\n"), own) < 0
               ? -ENAMETOOLONG
               : 0;
}

static bool is_delegated(int fd)
{
    static const char *const names[] = {"trusted.delegate", "user.delegate"};
    char value[2] = "";

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (fgetxattr(fd, names[i], value, sizeof value) == 1 && value[0] == '1')
            return true;
    return false;
}

int control_group_find(const char *directory, char *ret_path, size_t size, int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    bool named = directory[0] != '\0';

    int r = named ? text_copy(ret_path, size, directory) : find_own(ret_path, size);
    if (r == 0)
        r = file_open_directory(ret_path, true, &fd);
    if (r < 0)
        return r;
    if (!named && !is_delegated(fd))
        return -EACCES;
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* ---- its files ------------------------------------------------------------------------------ */

/* The kernel takes a value only whole, in one write. */
static int write_text(int directory_fd, const char *file, const char *text)
{
    AUTO_CLOSE int fd = -1;

    if (directory_fd < 0)
        return -EBADF;
    int r = file_open_at(directory_fd, file, O_WRONLY, 0, &fd);
    if (r < 0)
        return r;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int control_group_make(int parent_fd, const char *name, int *ret_fd)
{
    if (mkdirat(parent_fd, name, 0755) < 0 && errno != EEXIST)
        return -errno;
    return file_open_at(parent_fd, name, O_RDONLY | O_DIRECTORY, 0, ret_fd);
}

int control_group_enable(int fd)
{
    static const char *const controllers[] = {"+cpu", "+memory"};

    for (size_t i = 0; i < ARRAY_LENGTH(controllers); i++) {
        int r = write_text(fd, "cgroup.subtree_control", controllers[i]);
        if (r < 0 && r != -EINVAL && r != -ENOENT)
            return r;
    }
    return 0;
}

int control_group_add(int fd, pid_t pid)
{
    char text[VALUE_BYTES];

    (void)text_format(text, sizeof text, "%d", pid);
    return write_text(fd, "cgroup.procs", text);
}

int control_group_write(int fd, const char *file, uint64_t value)
{
    char text[VALUE_BYTES];

    (void)text_format(text, sizeof text, "%llu", (unsigned long long)value);
    return write_text(fd, file, value == 0 ? "max" : text);
}

int control_group_write_quota(int fd, uint64_t quota_us, uint64_t period_us)
{
    char text[VALUE_BYTES];

    (void)text_format(text, sizeof text, "%llu %llu", (unsigned long long)quota_us,
                      (unsigned long long)period_us);
    return write_text(fd, "cpu.max", quota_us == 0 ? "max" : text);
}

static const char *find_value(const char *text, const char *key)
{
    size_t length = strlen(key);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, length) == 0 && line[length] == ' ')
            return line + length + 1;
        if (*line == '\0')
            break;
    }
    return NULL;
}

uint64_t control_group_read(int fd, const char *file, const char *key)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_BYTES);
    AUTO_CLOSE int file_fd = -1;
    char digits[VALUE_BYTES];
    uint64_t value;

    if (fd < 0 || file_open_at(fd, file, O_RDONLY, 0, &file_fd) < 0 ||
        file_read_all_fd(file_fd, &text) < 0)
        return 0;
    const char *at = key != NULL ? find_value(buffer_text(&text), key) : buffer_text(&text);
    if (at == NULL || text_format(digits, sizeof digits, "%.*s", (int)strcspn(at, "\n"), at) < 0 ||
        text_parse_u64(digits, &value) < 0)
        return 0;
    return value;
}
