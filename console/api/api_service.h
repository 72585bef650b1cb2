/* The REST API of people and programs, /api/v1, on the page's port. Its description is
 * console/api/openapi.json, which a test holds against the route table. */
#ifndef CONSOLE_API_API_SERVICE_H
#define CONSOLE_API_API_SERVICE_H

#include "common/attributes.h"
#include "console/agents/agent_service.h"
#include "console/http/http_server.h"
#include "console/people/sign_in_limit.h"
#include "console/signatures/signature_judge.h"

struct alert_engine;
struct forwarder;
struct secret_box;
struct api_stream;
struct stream_hub;
struct page_files;

struct api_service {
    struct console_store *store;
    const struct console_identity *identity;
    struct agent_service *agents; /* its counters */
    const struct secret_box *secrets;
    const char *tenant_id;
    const char *scratch_directory;  /* ours, for policies that are being checked */
    const struct page_files *pages; /* NULL: no web page */
    unsigned agents_port;           /* where agents are heard; set before people are */
    uint64_t heartbeat_seconds;
    struct sign_in_limit sign_ins;
    struct api_stream *stream;
    struct alert_engine *alerts; /* its counters */
    struct forwarder *forwarder;
    struct signature_judge judge;
};

/* user of the handlers is a struct api_service. */
extern const struct http_route API_ROUTES[];
extern const size_t API_ROUTE_COUNT;
/* Before each handler: who asks, and may they. */
bool api_admit(struct http_request *request, const struct http_route *route, void *service);

/* Live changes; connections: how many the listener takes. */
int api_stream_start(struct api_service *service, unsigned connections,
                     struct api_stream **ret_stream) MUST_USE;
/* Ends every stream; before the listener stops. NULL is legal. */
void api_stream_close(struct api_stream *stream);
/* After the listener stopped. NULL is legal. */
struct api_stream *api_stream_stop(struct api_stream *stream);
struct stream_hub *api_stream_hub(struct api_stream *stream);

#endif
