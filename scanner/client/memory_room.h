/* Whether a second engine fits beside the first. */
#ifndef SCANNER_CLIENT_MEMORY_ROOM_H
#define SCANNER_CLIENT_MEMORY_ROOM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Compares what the machine and the loader's control groups have left with what the loader uses.
 * True when nothing is known. */
bool memory_room_for_second(pid_t loader);
/* The bytes that a control group may use besides: the least that it and each group above it has
 * left. root: where version 2 is mounted; group: "/" or "/a/b". UINT64_MAX: no limit is known. */
uint64_t memory_room_of_group(const char *root, const char *group);

#endif
