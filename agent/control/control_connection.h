/* Inside agent/control: the server's side of a request, used by control_server.c in the loop's
 * thread. */
#ifndef AGENT_CONTROL_CONTROL_CONNECTION_H
#define AGENT_CONTROL_CONTROL_CONNECTION_H

#include "agent/control/control_server.h"

/* Takes fd over on success. Other threads write to wake_fd when the loop should flush. -ENOMEM. */
int control_connection_new(int fd, int wake_fd, struct control_request **ret_request) MUST_USE;
int control_connection_fd(const struct control_request *request);
/* 1 and the request's line (without its newline, valid until the next call), 0 when it is not whole
 * yet, -EMSGSIZE when it is too long, -ECONNRESET when the client is gone or sent too much. */
int control_connection_read(struct control_request *request, const char **ret_line,
                            size_t *ret_length) MUST_USE;
/* Writes what it can; ret_waiting: the rest waits for the client. -ECONNRESET when the answer is
 * complete, or the client gone: close it. */
int control_connection_flush(struct control_request *request, bool *ret_waiting) MUST_USE;
/* Whether the client took too long to ask, or to read. */
bool control_connection_is_stalled(struct control_request *request, uint64_t now_ns,
                                   uint64_t request_limit_ns, uint64_t stall_limit_ns);
/* Ends the connection; the request is gone unless it was answered. */
void control_connection_close(struct control_request *request);

#endif
