/* Whether a second engine fits beside the first. */
#ifndef SCANNER_CLIENT_MEMORY_ROOM_H
#define SCANNER_CLIENT_MEMORY_ROOM_H

#include <stdbool.h>
#include <sys/types.h>

/* Compares what the machine and the loader's control group have left with what the loader uses.
 * True when nothing is known. */
bool memory_room_for_second(pid_t loader);

#endif
