/* The root-only Unix socket that yaguractl speaks to. A connection carries one request and its
 * answer, one JSON object a line:
 *   -> {"command":"scan","paths":["/srv"]}
 *   <- {"progress":{...}}            any number of lines
 *   <- {"done":true,"exit":1}        or {"error":"what was wrong and what to do","exit":2}
 * Peers are checked by SO_PEERCRED: root only (and the user that runs the agent, when not root). A
 * client that closes its side, or sends more than its request, is gone.
 *
 * The event loop's thread runs the handlers; a request may be answered later and from any thread
 * through control_request_*. A slow reader never blocks anybody: what it has not read is bounded
 * by LIMIT_CONTROL_OUTPUT_BYTES, and a client that takes nothing for a minute is dropped. */
#ifndef AGENT_CONTROL_CONTROL_SERVER_H
#define AGENT_CONTROL_CONTROL_SERVER_H

#include "common/attributes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct control_request; /* reference-counted; freed after its end and when its client is gone */
struct control_server;
struct event_loop;

/* Listens on socket_path (mode 0600). A socket that nobody serves is replaced; -EADDRINUSE when
 * another agent answers there, -EEXIST when something else than a socket stands there,
 * -ENAMETOOLONG above 107 bytes, -errno. */
int control_server_start(struct event_loop *loop, const char *socket_path,
                         struct control_server **ret_server) MUST_USE;
/* Drops the clients (their requests are gone), removes the socket. Before the loop is freed. */
struct control_server *control_server_stop(struct control_server *server);

/* Called for {"command": name}. The handler answers at once or keeps a reference. arguments is the
 * whole request, valid during the call; json_incref keeps it. -EEXIST, -ENOMEM. */
typedef void control_handler(void *user, struct control_request *request, const json_t *arguments);
int control_server_register(struct control_server *server, const char *command,
                            control_handler *handler, void *user) MUST_USE;

/* Thread-safe. */
struct control_request *control_request_ref(struct control_request *request);
struct control_request *control_request_unref(struct control_request *request);
/* Thread-safe. Sends one line of JSON (no newline inside). -EPIPE once the client is gone or the
 * answer ended, -EAGAIN when the client reads too slowly: progress may then be skipped. */
int control_request_send(struct control_request *request, const char *json_line);
/* Any thread but the loop's: waits until the client has room again. 0, -EPIPE when it is gone,
 * -ETIMEDOUT. */
int control_request_wait(struct control_request *request, uint64_t timeout_ns) MUST_USE;
/* Thread-safe. The last line; exit is yaguractl's exit code. Later lines are ignored. */
void control_request_done(struct control_request *request, int exit);
void control_request_fail(struct control_request *request, int exit, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Thread-safe. */
bool control_request_gone(struct control_request *request);
/* Thread-safe: gone(user) is called once when the client goes away before the end (Ctrl-C), at once
 * when it has gone already, and never after control_request_done or _fail returned. gone must not
 * end the request itself. */
void control_request_on_gone(struct control_request *request, void (*gone)(void *user), void *user);

#endif
