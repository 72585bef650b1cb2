/* Copies a ruling out of memory that another process can write. */
#include "application/relay/ruling.h"

#include <string.h>

#define END(text) ((text)[sizeof(text) - 1] = '\0')

static uint32_t action_of(uint32_t action)
{
    return action <= RULING_BLOCK ? action : RULING_PASS;
}

static void end_request(struct ruling_request *request)
{
    END(request->method);
    END(request->path);
    END(request->route);
    END(request->host);
    END(request->source);
    END(request->request_id);
    END(request->trace_id);
}

static void end_finding(struct ruling_finding *finding)
{
    END(finding->protection);
    END(finding->message);
    END(finding->part);
    END(finding->excerpt);
    finding->action = action_of(finding->action);
}

void ruling_take(const struct ruling *shared, struct ruling *ret_ruling)
{
    memcpy(ret_ruling, shared, sizeof *ret_ruling);
    ret_ruling->finding_count = MIN(ret_ruling->finding_count, RULING_FINDINGS);
    end_request(&ret_ruling->request);
    for (size_t i = 0; i < RULING_FINDINGS; i++)
        end_finding(&ret_ruling->findings[i]);
    ret_ruling->action = action_of(ret_ruling->action);
    if (ret_ruling->answer_length == 0 || ret_ruling->answer_length >= RULING_ANSWER)
        ret_ruling->answer_length = 0;
    if (ret_ruling->action == RULING_BLOCK && ret_ruling->answer_length == 0)
        ret_ruling->action = RULING_REPORT;
}
