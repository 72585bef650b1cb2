/* An event as the extension hands it over (application/relay/incident.h) becomes one of a sensor.
 */
#ifndef APPLICATION_REPORTER_REPORT_EVENT_H
#define APPLICATION_REPORTER_REPORT_EVENT_H

#include "common/attributes.h"

#include <stddef.h>

struct sensor_report;

/* -EBADMSG when it is none; what sensor_report_add says. */
int report_event_add(struct sensor_report *report, const char *json, size_t length) MUST_USE;

#endif
