/* Owns: the entries put into it. Source of the name: d_tmpfile() in the kernel's fs/dcache.c. */
#include "agent/watch/unclosed.h"

#include "agent/watch/settle.h"
#include "common/text/text.h"

void unclosed_add(struct unclosed *unclosed, uint32_t device, uint64_t inode,
                  struct settle_entry *file)
{
    struct unclosed_entry *entry = &unclosed->entries[unclosed->next++ % UNCLOSED_ENTRIES];

    free(entry->file);
    *entry = (struct unclosed_entry){.inode = inode, .device = device, .file = file};
}

const struct settle_entry *unclosed_find(const struct unclosed *unclosed, uint32_t device,
                                         uint64_t inode)
{
    for (size_t i = 0; i < UNCLOSED_ENTRIES; i++) {
        const struct unclosed_entry *entry = &unclosed->entries[i];

        if (entry->inode == inode && entry->device == device && entry->file != NULL)
            return entry->file;
    }
    return NULL;
}

void unclosed_done(struct unclosed *unclosed)
{
    for (size_t i = 0; i < UNCLOSED_ENTRIES; i++)
        free(unclosed->entries[i].file);
    *unclosed = (struct unclosed){0};
}

bool unclosed_name_inode(const char *name, size_t length, uint64_t *ret_inode)
{
    char digits[24];

    if (length < 2 || length > sizeof(digits) || name[0] != '#')
        return false;
    memcpy(digits, name + 1, length - 1);
    digits[length - 1] = '\0';
    return text_parse_u64(digits, ret_inode) == 0;
}
