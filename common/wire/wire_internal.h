/* Shared by the files of common/wire only. */
#ifndef COMMON_WIRE_WIRE_INTERNAL_H
#define COMMON_WIRE_WIRE_INTERNAL_H

#include "common/json/json_writer.h"
#include "common/wire/wire_read.h"

/* Keys that every message of an agent has. */
void wire_sender_write(struct json_writer *json, const char *session, const struct wire_host *host);
void wire_sender_read(struct wire_reader *reader, const char **ret_session, struct wire_host *host);

#endif
