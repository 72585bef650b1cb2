/* Shared by the files of common/wire only. */
#ifndef COMMON_WIRE_WIRE_INTERNAL_H
#define COMMON_WIRE_WIRE_INTERNAL_H

#include "common/json/json_writer.h"
#include "common/wire/wire_read.h"

void wire_host_write(struct json_writer *json, const struct wire_host *host);
void wire_host_read(struct wire_reader *parent, struct wire_host *host);

#endif
