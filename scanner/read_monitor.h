/* Notices when the file being scanned cannot be read to its end.
 *
 * libclamav ends a scan quietly, as clean, when pread of a page fails (fmap_need returns NULL and
 * the matcher stops). This module defines pread64, which libclamav's own calls resolve to because
 * the program stands before libc in symbol lookup, and remembers failures on one descriptor.
 * One scan at a time in a process. */
#ifndef SCANNER_READ_MONITOR_H
#define SCANNER_READ_MONITOR_H

#include <stdbool.h>

/* From now on reads of fd are watched; -1: none. Forgets what was seen before. */
void read_monitor_watch(int fd);
bool read_monitor_failed(void); /* an error */
bool read_monitor_shrank(void); /* end of file where bytes were expected */

#endif
