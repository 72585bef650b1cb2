/* Reads /proc/meminfo, the loader's statm and the limits of its control group and those above.
 *
 * Owns: the margin. Must not own: what is done when there is no room (scanner_client.c). */
#include "scanner/client/memory_room.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "scanner/client/proc_text.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_BYTES   16384
#define MARGIN_BYTES (64ULL << 20)

static uint64_t machine_has_left(void)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_BYTES);
    if (file_read_all("/proc/meminfo", &text) < 0)
        return UINT64_MAX;
    const char *line = strstr(buffer_text(&text), "MemAvailable:");
    return line == NULL ? UINT64_MAX : proc_text_number(line + strlen("MemAvailable:")) * 1024;
}

static bool read_group_number(const char *root, const char *group, const char *name,
                              uint64_t *ret_value)
{
    char path[PATH_MAX];
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(64);
    if (text_format(path, sizeof(path), "%s%s/%s", root, group, name) < 0 ||
        file_read_all(path, &text) < 0 || text_starts_with(buffer_text(&text), "max"))
        return false;
    *ret_value = proc_text_number(buffer_text(&text));
    return true;
}

static uint64_t level_has_left(const char *root, const char *group)
{
    uint64_t most;
    uint64_t used;
    if (!read_group_number(root, group, "memory.max", &most) ||
        !read_group_number(root, group, "memory.current", &used))
        return UINT64_MAX;
    return most > used ? most - used : 0;
}

uint64_t memory_room_of_group(const char *root, const char *group)
{
    AUTO_FREE char *level = strdup(group);
    uint64_t left = UINT64_MAX;
    while (level != NULL && level[0] == '/') {
        left = MIN(left, level_has_left(root, level));
        *strrchr(level, '/') = '\0';
    }
    return level != NULL ? MIN(left, level_has_left(root, "")) : left;
}

/* Version 2 only: the systems we support mount it. */
static uint64_t group_has_left(pid_t loader)
{
    char path[64];
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(FILE_BYTES);
    (void)text_format(path, sizeof(path), "/proc/%d/cgroup", loader);
    if (file_read_all(path, &text) < 0)
        return UINT64_MAX;
    char *line = strstr(text.data != NULL ? text.data : (char *)"", "0::");
    if (line == NULL)
        return UINT64_MAX;
    char *group = line + 3;
    group[strcspn(group, "\n")] = '\0';
    return memory_room_of_group("/sys/fs/cgroup", group);
}

/* Resident memory that is the loader's own. */
static uint64_t loader_uses(pid_t loader)
{
    char path[64];
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(256);
    (void)text_format(path, sizeof(path), "/proc/%d/statm", loader);
    if (file_read_all(path, &text) < 0)
        return 0;
    return proc_text_field(buffer_text(&text), 1) * (uint64_t)sysconf(_SC_PAGESIZE);
}

bool memory_room_for_second(pid_t loader)
{
    uint64_t used = loader_uses(loader);
    uint64_t needed = used + used / 8 + MARGIN_BYTES;
    return MIN(machine_has_left(), group_has_left(loader)) >= needed;
}
