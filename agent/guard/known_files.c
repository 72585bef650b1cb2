/* Owns the hash. */
#include "agent/guard/known_files.h"

#include <string.h>

static size_t slot_of(const struct file_identity *identity)
{
    /* Multiplication spreads upwards: the upper bits are the good ones. */
    uint64_t hash =
        (identity->inode + identity->device * 0xc2b2ae3d27d4eb4fULL) * 0x9e3779b97f4a7c15ULL;

    return (size_t)(hash >> 48) % KNOWN_FILES;
}

bool known_files_contain(const struct known_files *files, const struct file_identity *identity)
{
    return file_identity_equal(&files->slots[slot_of(identity)], identity);
}

void known_files_remember(struct known_files *files, const struct file_identity *identity)
{
    files->slots[slot_of(identity)] = *identity;
}

void known_files_forget(struct known_files *files, const struct file_identity *identity)
{
    struct file_identity *slot = &files->slots[slot_of(identity)];

    if (slot->inode == identity->inode && slot->device == identity->device)
        *slot = (struct file_identity){.inode = 0};
}

void known_files_forget_all(struct known_files *files)
{
    memset(files->slots, 0, sizeof files->slots);
}
