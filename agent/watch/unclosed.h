/* Files that were told though they never told a close, by inode. A file made by O_TMPFILE and
 * linkat tells its close under the name "#INODE" of the directory it was opened in, whatever it is
 * called by then; this finds what it is called. A ring: the oldest is forgotten. Not thread-safe.
 */
#ifndef AGENT_WATCH_UNCLOSED_H
#define AGENT_WATCH_UNCLOSED_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNCLOSED_ENTRIES 1024

struct settle_entry;

struct unclosed_entry {
    uint64_t inode;
    uint32_t device;           /* tree_pack_device() */
    struct settle_entry *file; /* directory, generation, name; NULL: free */
};

struct unclosed {
    struct unclosed_entry entries[UNCLOSED_ENTRIES];
    size_t next;
};

/* Takes file over. */
void unclosed_add(struct unclosed *unclosed, uint32_t device, uint64_t inode,
                  struct settle_entry *file);
/* Borrowed until the next change; NULL: unknown. */
const struct settle_entry *unclosed_find(const struct unclosed *unclosed, uint32_t device,
                                         uint64_t inode);
void unclosed_done(struct unclosed *unclosed);
/* "#123": ret_inode 123. */
bool unclosed_name_inode(const char *name, size_t length, uint64_t *ret_inode);

#endif
