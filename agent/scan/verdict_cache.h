/* Which files were looked at, at which state of theirs and by which engine.
 *
 * A table in memory, at most LIMIT_VERDICT_CACHE entries of 48 bytes and as many buckets of 4, kept
 * by (device, inode); when it is full, entries not asked for since the hand last passed them go
 * first. A thread of its own appends what is new to a file and now and then rewrites that file. The
 * file is a hint: what is lost or damaged is scanned again. The caller decides what may be
 * remembered as clean (docs: agent/scan/README.md). All functions are thread-safe. */
#ifndef AGENT_SCAN_VERDICT_CACHE_H
#define AGENT_SCAN_VERDICT_CACHE_H

#include "common/attributes.h"
#include "common/files/file.h"
#include "scanner/client/scan_result.h"

#include <stdbool.h>
#include <stdint.h>

struct verdict_cache;

enum verdict_cache_answer {
    VERDICT_CACHE_MISS,
    VERDICT_CACHE_STALE, /* unchanged and clean, but an older engine said so */
    VERDICT_CACHE_HIT,   /* unchanged and clean by this engine */
};

/* Reads what path holds; a missing or damaged file gives what can be read of it, or an empty cache.
 * path NULL: only memory. limit: most entries. -ENOMEM, -errno when path cannot be written. */
int verdict_cache_open(const char *path, size_t limit, struct verdict_cache **ret_cache) MUST_USE;
/* Writes what waits, then frees. NULL is legal. */
struct verdict_cache *verdict_cache_close(struct verdict_cache *cache);

enum verdict_cache_answer verdict_cache_lookup(struct verdict_cache *cache,
                                               const struct file_identity *identity,
                                               uint64_t generation);
void verdict_cache_remember_clean(struct verdict_cache *cache, const struct file_identity *identity,
                                  uint64_t generation);
/* Notes that this verdict was reported for this state of the file: the report need not be repeated.
 * Infected ones are noted in memory only. Never makes a lookup hit. */
void verdict_cache_note_report(struct verdict_cache *cache, const struct file_identity *identity,
                               const struct scan_result *result);
/* Whether the same verdict, reason and generation was noted for this state. */
bool verdict_cache_is_reported(struct verdict_cache *cache, const struct file_identity *identity,
                               const struct scan_result *result);
/* Forgets infected reports: what is done about them may have changed. */
void verdict_cache_forget_infected(struct verdict_cache *cache);

uint64_t verdict_cache_count(struct verdict_cache *cache);
/* Clean entries of other generations than this. */
uint64_t verdict_cache_count_stale(struct verdict_cache *cache, uint64_t generation);
/* Waits until all that was remembered before is in the file. For tests and the end of a job. */
void verdict_cache_flush(struct verdict_cache *cache);

#endif
