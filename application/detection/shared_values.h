/* The values of a request that could lead a function astray, for the preload object to compare with
 * what is opened and started. */
#ifndef APPLICATION_DETECTION_SHARED_VALUES_H
#define APPLICATION_DETECTION_SHARED_VALUES_H

#include "application/events/request.h"
#include "application/runtime_area.h"

/* request NULL: none. What does not fit is left out. */
void shared_values_write(const struct request *request, struct runtime_values *values);

#endif
