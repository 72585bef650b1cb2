/* Shared by the files of common/wire only. */
#ifndef COMMON_WIRE_WIRE_INTERNAL_H
#define COMMON_WIRE_WIRE_INTERNAL_H

#include "common/json/json_writer.h"
#include "common/wire/wire_read.h"

/* Keys that every message of an agent has. */
void wire_sender_write(struct json_writer *json, const char *session, const struct wire_host *host);
void wire_sender_read(struct wire_reader *reader, const char **ret_session, struct wire_host *host);

/* Fails unless the document is what it is read as: a signature holds for one purpose only. */
void wire_read_purpose(struct wire_reader *reader, const char *purpose);

/* "events" of a heartbeat or a sensor's report. read: the list is the caller's to free, also after
 * a failure; its texts belong to the tree. The reader's error, or -ENOMEM. */
void wire_events_write(struct json_writer *json, const struct wire_event *events, size_t count);
int wire_events_read(struct wire_reader *reader, struct json_tree *tree,
                     struct wire_event **ret_events, size_t *ret_count) MUST_USE;

#endif
