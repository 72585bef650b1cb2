/* The metrics as a file, for Prometheus' node_exporter (its textfile collector) and its like:
 * written anew at intervals by a thread of its own, because a disk may be slow and the event loop
 * must not wait. */
#ifndef AGENT_SUPERVISOR_METRICS_FILE_H
#define AGENT_SUPERVISOR_METRICS_FILE_H

#include "common/attributes.h"

struct buffer;
struct event_loop;
struct metrics_file;

/* write_text fills in the text, in the loop's thread. path is copied. -errno, -ENOMEM. */
int metrics_file_start(struct event_loop *loop, const char *path,
                       void (*write_text)(void *user, struct buffer *text), void *user,
                       struct metrics_file **ret_file) MUST_USE;
/* Removes the file: nobody is to read what is true no longer. NULL is legal. */
struct metrics_file *metrics_file_stop(struct metrics_file *file);

#endif
