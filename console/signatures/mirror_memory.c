/* Owns nothing: the caller has the memory. */
#include "console/signatures/mirror_memory.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

#define SETTLED_NS (2 * NS_PER_SECOND)

static size_t find(const struct mirror_memory *memory, const char *name)
{
    size_t i = 0;
    while (i < LIMIT_MIRROR_FILES && !text_equal(memory->files[i].entry.name, name))
        i++;
    return i;
}

static bool is_same_time(const struct timespec *one, const struct timespec *other)
{
    return one->tv_sec == other->tv_sec && one->tv_nsec == other->tv_nsec;
}

int mirror_memory_recall(const struct mirror_memory *memory, const struct stat *status,
                         struct mirror_entry *entry)
{
    size_t at = find(memory, entry->name);
    if (at == LIMIT_MIRROR_FILES)
        return 0;
    const struct mirror_seen *seen = &memory->files[at];
    if (seen->device != status->st_dev || seen->inode != status->st_ino ||
        seen->size != status->st_size || !is_same_time(&seen->modified, &status->st_mtim) ||
        !is_same_time(&seen->changed, &status->st_ctim))
        return 0;
    if (seen->refused)
        return -EBADMSG;
    *entry = seen->entry;
    return 1;
}

void mirror_memory_keep(struct mirror_memory *memory, const struct stat *status,
                        const struct mirror_entry *entry, bool refused)
{
    uint64_t changed_ns = (uint64_t)status->st_ctim.tv_sec * NS_PER_SECOND;
    size_t at = find(memory, entry->name);
    if (at == LIMIT_MIRROR_FILES) {
        at = memory->next;
        memory->next = (memory->next + 1) % LIMIT_MIRROR_FILES;
    }
    memory->files[at] = (struct mirror_seen){.entry = *entry};
    if (changed_ns + SETTLED_NS > clock_realtime_ns())
        return;
    memory->files[at] = (struct mirror_seen){.entry = *entry,
                                             .device = status->st_dev,
                                             .inode = status->st_ino,
                                             .size = status->st_size,
                                             .modified = status->st_mtim,
                                             .changed = status->st_ctim,
                                             .refused = refused};
}
