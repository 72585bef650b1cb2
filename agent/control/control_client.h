/* yaguractl's side of the control socket. */
#ifndef AGENT_CONTROL_CONTROL_CLIENT_H
#define AGENT_CONTROL_CONTROL_CLIENT_H

#include "agent/control/command.h"
#include "common/buffers/buffer.h"
#include "common/json/json_writer.h"

#include <jansson.h>
#include <stdint.h>

/* A request being written: control_request_begin() opens the object with its command, the caller
 * adds fields, control_call() closes and sends it. */
struct control_call {
    struct buffer text;
    struct json_writer json;
    uint64_t timeout_ns; /* longest silence of the agent; 0: for ever */
};
void control_call_begin(struct control_call *call, const char *command);

/* A line of the answer that is neither the last nor an error: its one key, the value, and the
 * value's text as the agent wrote it. Non-zero ends the call with that exit code. */
typedef int control_line(void *user, const char *key, const json_t *value, const char *text);

/* How the agent that the invocation means is started. */
const char *control_start_hint(const struct invocation *invocation);

/* Sends and reads until the last line. The agent's exit code; EXIT_ERROR, told on standard error,
 * when it cannot be reached or refuses. line may be NULL. Frees the call. */
int control_call(const struct invocation *invocation, struct control_call *call, control_line *line,
                 void *user);

#endif
