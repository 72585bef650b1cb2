/* Which files were clean, at which state of theirs: a table of fixed size, in memory that is made
 * at the start. A newer file takes the place of an older one with the same hash. */
#ifndef AGENT_GUARD_KNOWN_FILES_H
#define AGENT_GUARD_KNOWN_FILES_H

#include "common/files/file.h"

#include <stdbool.h>

enum { KNOWN_FILES = 16384 }; /* a power of two; 40 bytes each */

struct known_files {
    struct file_identity slots[KNOWN_FILES];
};

bool known_files_contain(const struct known_files *files, const struct file_identity *identity);
void known_files_remember(struct known_files *files, const struct file_identity *identity);
void known_files_forget(struct known_files *files, const struct file_identity *identity);
void known_files_forget_all(struct known_files *files);

#endif
