/* Lists of hashes as people write them: one a line, MD5, SHA-1 or SHA-256, then, if they like, a
 * name. What sha256sum prints is such a line, and so is ClamAV's "hash:size:name". "#" begins a
 * comment. Thread-safe: no state. */
#ifndef CONSOLE_SIGNATURES_HASH_LIST_H
#define CONSOLE_SIGNATURES_HASH_LIST_H

#include "common/attributes.h"

#include <stddef.h>

#define HASH_NAME_BYTES 64

struct hash_entry {
    char hash[65];              /* lower-case */
    size_t digits;              /* 32 MD5, 40 SHA-1, 64 SHA-256 */
    char name[HASH_NAME_BYTES]; /* letters, digits, ".", "_", "-"; "" = none was given */
};

struct hash_list_problem {
    char text[160]; /* names the line */
};

/* Calls each with every entry; one that does not return 0 ends it. ret_count: of entries. -EINVAL
 * with the problem; -E2BIG more than most. each may be NULL. */
int hash_list_read(const char *text, size_t most,
                   int (*each)(void *user, const struct hash_entry *entry), void *user,
                   size_t *ret_count, struct hash_list_problem *ret_problem) MUST_USE;

#endif
