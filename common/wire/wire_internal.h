/* Shared by the files of common/wire only. */
#ifndef COMMON_WIRE_WIRE_INTERNAL_H
#define COMMON_WIRE_WIRE_INTERNAL_H

#include "common/json/json_writer.h"
#include "common/wire/wire_read.h"

/* Keys that every message of an agent has. */
void wire_sender_write(struct json_writer *json, const char *session, const struct wire_host *host);
void wire_sender_read(struct wire_reader *reader, const char **ret_session, struct wire_host *host);

/* A document to be signed: an object that begins with its purpose. end: the buffer's error. */
struct json_writer wire_document_begin(struct buffer *document, const char *purpose);
int wire_document_end(struct json_writer *json, struct buffer *document) MUST_USE;
/* Fails unless the document is what it is read as: a signature holds for one purpose only. When it
 * is 0, wire_close or the caller ends with ret_root. */
int wire_document_open(const char *document, const char *purpose, json_t **ret_root,
                       struct wire_reader *ret_reader, struct wire_problem *ret_problem) MUST_USE;
/* From when until when it holds. */
void wire_times_write(struct json_writer *json, uint64_t issued_ms, uint64_t expires_ms);
void wire_times_read(struct wire_reader *reader, uint64_t *ret_issued_ms, uint64_t *ret_expires_ms);

/* "events" of a heartbeat or a sensor's report. read: the list is the caller's to free, also after
 * a failure; its texts belong to the tree. The reader's error, or -ENOMEM. */
void wire_events_write(struct json_writer *json, const struct wire_event *events, size_t count);
int wire_events_read(struct wire_reader *reader, struct json_tree *tree,
                     struct wire_event **ret_events, size_t *ret_count) MUST_USE;

#endif
