/* Memory that is taken and given back thousands of times a second, by many at once: a thread keeps
 * some of it. The allocator joins and splits such blocks each time, which costs more than the rest
 * of a small request does. Under sanitizers it is the allocator's, so that they see its misuse. */
#ifndef COMMON_BUFFERS_SPARE_H
#define COMMON_BUFFERS_SPARE_H

#include "common/attributes.h"

#include <stddef.h>

/* At least size bytes, aligned for anything, their content undefined; NULL: no memory. A thread
 * keeps at most SPARE_KEPT blocks of each of a few sizes up to SPARE_BYTES; what is larger is
 * always the allocator's. */
#define SPARE_BYTES 4096
#define SPARE_KEPT  1024
void *spare_take(size_t size) MUST_USE;
/* size as it was taken, also by another thread. NULL is legal. */
void spare_give(void *memory, size_t size);

#endif
