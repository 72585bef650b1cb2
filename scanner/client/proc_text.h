/* What the text files of /proc and /sys say. Thread-safe: no state. */
#ifndef SCANNER_CLIENT_PROC_TEXT_H
#define SCANNER_CLIENT_PROC_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The decimal number at the start of text, after blanks; 0 when there is none. */
uint64_t proc_text_number(const char *text);
/* The number of the field with this index (0 first) of a line of fields parted by single blanks. */
uint64_t proc_text_field(const char *text, size_t index);
/* The parent in the text of a /proc/PID/stat; 0: there is none. */
pid_t proc_text_parent(const char *stat);

#endif
