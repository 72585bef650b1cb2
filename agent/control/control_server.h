/* The root-only Unix socket that yaguractl speaks to. One JSON object a line each way:
 *   -> {"command":"scan","paths":["/srv"]}
 *   <- {"progress":{...}}            any number of lines
 *   <- {"done":true,"exit":1}        or {"error":"what was wrong and what to do","exit":2}
 * Peers are checked by SO_PEERCRED: root only (and the user that runs the agent, when not root).
 *
 * The event loop's thread runs the handlers; a request may be answered later and from any thread
 * through control_request_post. */
#ifndef AGENT_CONTROL_CONTROL_SERVER_H
#define AGENT_CONTROL_CONTROL_SERVER_H

#include "common/attributes.h"

#include <jansson.h>
#include <stdbool.h>

struct control_request; /* reference-counted; freed after its end and when its client is gone */
struct control_server;
struct event_loop;

int control_server_start(struct event_loop *loop, const char *socket_path,
                         struct control_server **ret_server) MUST_USE;
struct control_server *control_server_stop(struct control_server *server);

/* Called for {"command": name}. The handler answers at once or keeps a reference. */
typedef void control_handler(void *user, struct control_request *request, const json_t *arguments);
int control_server_register(struct control_server *server, const char *command,
                            control_handler *handler, void *user) MUST_USE;

struct control_request *control_request_ref(struct control_request *request);
struct control_request *control_request_unref(struct control_request *request);
/* Thread-safe. Sends one line of JSON (no newline inside). -EPIPE once the client is gone, -EAGAIN
 * when it reads too slowly: progress may then be skipped. */
int control_request_send(struct control_request *request, const char *json_line);
/* Thread-safe. The last line; exit is yaguractl's exit code. */
void control_request_done(struct control_request *request, int exit);
void control_request_fail(struct control_request *request, int exit, const char *format, ...)
    PRINTF_LIKE(3, 4);
bool control_request_gone(struct control_request *request);
/* Thread-safe: called once when the client goes away before the end (Ctrl-C): cancel the work. */
void control_request_on_gone(struct control_request *request, void (*gone)(void *user), void *user);

#endif
