/* Owns the choice of a kind. */
#include "console/forward/sink.h"

int sink_open(const struct destination *destination, struct sink **ret_sink,
              char problem[static SINK_PROBLEM_BYTES])
{
    static const struct sink_kind *const kinds[] = {
        [DESTINATION_SYSLOG] = &SYSLOG_SINK,
        [DESTINATION_WEBHOOK] = &WEBHOOK_SINK,
        [DESTINATION_SNS] = &SNS_SINK,
    };
    const struct sink_kind *kind = kinds[destination->type];
    problem[0] = '\0';
    int r = kind->open(destination, ret_sink, problem);
    if (r == 0)
        (*ret_sink)->kind = kind;
    return r;
}

void sink_send(struct sink *sink, const struct sink_event *events, size_t count,
               struct sink_outcome *ret_outcome)
{
    *ret_outcome = (struct sink_outcome){.sent = 0};
    sink->kind->send(sink, events, count, ret_outcome);
}

struct sink *sink_close(struct sink *sink)
{
    if (sink)
        sink->kind->close(sink);
    return NULL;
}
