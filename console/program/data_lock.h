/* One program at a time owns a console's data folder: the running console, or a subcommand that
 * replaces what stands there. The lock goes with the process. */
#ifndef CONSOLE_PROGRAM_DATA_LOCK_H
#define CONSOLE_PROGRAM_DATA_LOCK_H

#include "common/attributes.h"

/* -EBUSY when another program has it. ret_fd: closed to let go. */
int data_lock_take(const char *data, int *ret_fd) MUST_USE;

#endif
