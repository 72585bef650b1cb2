/* What sensors that are not hosts ask for on the people's port, with a sensor key: reports, the
 * signing key, their policy. docs/protocol.md, "Sensors". user of the handlers is a struct
 * api_service; they authenticate by themselves and may block. */
#ifndef CONSOLE_SENSORS_SENSOR_SERVICE_H
#define CONSOLE_SENSORS_SENSOR_SERVICE_H

#include "console/http/http_server.h"
#include "console/sensors/sensor_store.h"

struct api_service;

http_handler sensor_report, sensor_policy, sensor_signing_key;

/* The key of the request's header; "" when there is none that could be one. */
void sensor_key_text(const struct http_request *request, char ret_text[static SECRET_TEXT_BYTES]);
void sensor_refuse_key(struct http_request *request);
/* Answers what a failed store means. */
void sensor_respond_failure(struct http_request *request, int error);

#endif
