/* Files that were reported already, so that the same detection is not told again and again. Bounded
 * (LIMIT_DETECTIONS_KNOWN): the oldest are forgotten, which only means one more report.
 * Thread-safe. */
#ifndef AGENT_RESPOND_DETECTION_MEMORY_H
#define AGENT_RESPOND_DETECTION_MEMORY_H

#include "common/attributes.h"
#include "common/files/file.h"

#include <stdbool.h>

struct detection_memory;

int detection_memory_new(struct detection_memory **ret_memory) MUST_USE;
struct detection_memory *detection_memory_free(struct detection_memory *memory);

/* True when this very state of the file was noted with this signature: ret_result is what came of
 * it. A failure is forgotten after an hour, so that it is tried and told again. */
bool detection_memory_find(struct detection_memory *memory, const struct file_identity *identity,
                           const char *signature, int *ret_result);
void detection_memory_note(struct detection_memory *memory, const struct file_identity *identity,
                           const char *signature, int result);
void detection_memory_forget(struct detection_memory *memory, const struct file_identity *identity);
void detection_memory_clear(struct detection_memory *memory);

#endif
