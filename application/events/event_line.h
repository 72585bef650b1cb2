/* Recorded events, one a line: the event itself, or an object with it under "event" and an "id". */
#ifndef APPLICATION_EVENTS_EVENT_LINE_H
#define APPLICATION_EVENTS_EVENT_LINE_H

#include "application/events/span.h"

/* The event in line; *ret_id as it is written, or empty. Both point into line. */
struct span event_line_read(struct span line, struct span *ret_id);

#endif
