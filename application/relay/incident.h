/* What is told about a request: one JSON object a finding or failure, in the shape of the suite's
 * events, without number and id (the reporter gives them). docs/application.md names the fields. */
#ifndef APPLICATION_RELAY_INCIDENT_H
#define APPLICATION_RELAY_INCIDENT_H

#include "application/relay/ruling.h"
#include "application/runtime_area.h"
#include "common/buffers/buffer.h"

/* What the relay knows of an invocation. */
struct incident_invocation {
    const char *request_id, *trace_id, *function_arn;
};
/* What the process knows of its function; any may be "". */
struct incident_function {
    const char *name, *version, *region, *memory;
};

/* A request that was reported or blocked. */
void incident_write(struct buffer *json, const struct incident_function *function,
                    const struct incident_invocation *invocation, const struct ruling *ruling);
/* A file that the function opened, or a program it started, against the rules. */
void incident_write_runtime(struct buffer *json, const struct incident_function *function,
                            const struct incident_invocation *invocation,
                            const struct runtime_finding *finding);
/* A request that was not, or not wholly, inspected: why is an inspector_outcome_name. blocked: it
 * was refused for that reason (YAGURA_APPLICATION_FAIL=closed). */
void incident_write_uninspected(struct buffer *json, const struct incident_function *function,
                                const struct incident_invocation *invocation, const char *why,
                                bool blocked);

#endif
