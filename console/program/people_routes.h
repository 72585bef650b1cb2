/* What the port of people answers: the API, and the web page. */
#ifndef CONSOLE_PROGRAM_PEOPLE_ROUTES_H
#define CONSOLE_PROGRAM_PEOPLE_ROUTES_H

#include "common/attributes.h"
#include "console/http/http_server.h"

/* Both tables in one; the caller frees it. user of the handlers is a struct api_service. */
int people_routes_new(struct http_route **ret_routes, size_t *ret_count) MUST_USE;

#endif
