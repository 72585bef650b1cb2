/* What the files of a folder were when they were last looked at: one that has not changed since is
 * not read again. Begins as zeros; for one thread at a time. */
#ifndef CONSOLE_SIGNATURES_MIRROR_MEMORY_H
#define CONSOLE_SIGNATURES_MIRROR_MEMORY_H

#include "common/limits.h"
#include "console/signatures/mirror_entry.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct mirror_memory {
    struct mirror_seen {
        struct mirror_entry entry;
        dev_t device;
        ino_t inode;
        off_t size;
        struct timespec modified, changed;
        bool refused;
    } files[LIMIT_MIRROR_FILES]; /* of more, the oldest is forgotten */
    size_t next;
};

/* What was found in the file with the entry's name, when it is still as it was: 1 with the entry,
 * -EBADMSG when it was refused for what is in it, 0 when it must be read. */
int mirror_memory_recall(const struct mirror_memory *memory, const struct stat *status,
                         struct mirror_entry *entry);
/* status: from before it was read. A file that changed in the last two seconds is not kept: it may
 * change again without another time. */
void mirror_memory_keep(struct mirror_memory *memory, const struct stat *status,
                        const struct mirror_entry *entry, bool refused);

#endif
