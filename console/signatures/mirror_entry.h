/* The mirror's files as they are offered: their names, versions and contents. Every function: in a
 * transaction of the writer, unless it only reads. */
#ifndef CONSOLE_SIGNATURES_MIRROR_ENTRY_H
#define CONSOLE_SIGNATURES_MIRROR_ENTRY_H

#include "common/attributes.h"
#include "common/signature_file/signature_file.h"
#include "console/store/sql.h"

#include <stdint.h>

struct mirror_entry {
    char name[SIGNATURE_NAME_BYTES], sha256[65], source[16];
    uint64_t size, version, built_ms;
};
/* In place of what has this name, and of the same database in its other form (.cvd, .cld). */
int mirror_entry_put(struct sql *sql, const struct mirror_entry *entry) MUST_USE;
int mirror_entry_delete(struct sql *sql, const char *name) MUST_USE;
/* 1, or 0. By name, also in the other form, or by content. */
int mirror_entry_read(struct sql *sql, const char *name, struct mirror_entry *ret_entry) MUST_USE;
int mirror_entry_find(struct sql *sql, const char *sha256, struct mirror_entry *ret_entry) MUST_USE;

#endif
