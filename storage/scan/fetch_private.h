/* Shared by the files that make up fetch.h. Not for others. */
#ifndef STORAGE_SCAN_FETCH_PRIVATE_H
#define STORAGE_SCAN_FETCH_PRIVATE_H

#include "storage/scan/fetch.h"

#define FETCH_STALL_NS (20ULL * 1000000000)

/* An empty one: in memory, or in directory when it may become larger than limits->memory. -errno.
 */
int fetch_open_space(const struct fetch_limits *limits, uint64_t size, int *ret_fd) MUST_USE;
/* What is left until deadline_ns, at least a moment. */
uint64_t fetch_time_left(uint64_t deadline_ns);

/* The whole object of facts.size bytes in parts, into fetched->fd, with its hash. */
enum aws_outcome fetch_parts(struct fetch_pool *pool, uint64_t part_bytes,
                             const struct s3_object *object, uint64_t deadline_ns,
                             struct fetched *fetched);

#endif
