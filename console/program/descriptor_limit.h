/* How many descriptors the process may have open. */
#ifndef CONSOLE_PROGRAM_DESCRIPTOR_LIMIT_H
#define CONSOLE_PROGRAM_DESCRIPTOR_LIMIT_H

#include <stdint.h>

/* Raises the limit to what so many connections need, beside the console's own files. Says in the
 * log what to do when that is more than the process may have. */
void descriptor_limit_prepare(uint64_t connections);

#endif
