/* The file behind the verdict cache: a header, then blocks of records, each block with a checksum;
 * appended to, and replaced by a fresh one when most of it is outdated. Later records override
 * earlier ones of the same inode. Not thread-safe: the cache's writer thread and, before it starts,
 * verdict_cache_open use it. */
#ifndef AGENT_SCAN_VERDICT_CACHE_FILE_H
#define AGENT_SCAN_VERDICT_CACHE_FILE_H

#include "common/attributes.h"

#include <stdint.h>

struct verdict_cache_file;

/* As it stands in the file, in the byte order of the host: the file never leaves it. */
struct verdict_record {
    uint64_t inode, size, mtime_ns, ctime_ns, generation;
    uint32_t device;
    uint8_t verdict; /* enum scan_verdict */
    uint8_t reason;  /* enum scan_reason */
    uint16_t unused; /* 0 */
};

typedef void verdict_record_visitor(void *user, const struct verdict_record *record);

/* Opens or creates path, gives every record of it to visit up to the first damage, and cuts the
 * rest off. -errno. */
int verdict_cache_file_open(const char *path, verdict_record_visitor *visit, void *user,
                            struct verdict_cache_file **ret_file) MUST_USE;
struct verdict_cache_file *verdict_cache_file_close(struct verdict_cache_file *file);

/* At most VERDICT_BLOCK_RECORDS. -errno; the file is then as it was. */
#define VERDICT_BLOCK_RECORDS 4096
int verdict_cache_file_append(struct verdict_cache_file *file, const struct verdict_record *records,
                              size_t count) MUST_USE;
uint64_t verdict_cache_file_records(const struct verdict_cache_file *file);

/* Begins a fresh file beside the old one; appends go there; commit puts it in the old one's place,
 * abandon drops it. */
int verdict_cache_file_rewrite_begin(struct verdict_cache_file *file) MUST_USE;
int verdict_cache_file_rewrite_commit(struct verdict_cache_file *file) MUST_USE;
void verdict_cache_file_rewrite_abandon(struct verdict_cache_file *file);

#endif
