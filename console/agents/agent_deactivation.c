/* Owns the agent's goodbye. Must not remove anything: the record and its history stay. */
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/agents/waiting_agents.h"
#include "console/events/event_store.h"
#include "console/people/audit.h"
#include "console/store/console_store.h"

#include <errno.h>

struct goodbye {
    struct waiting_agents *waiting;
    struct http_request *request;
    struct agent_row row;
};

static int deactivate_work(struct sql *sql, void *user)
{
    const struct goodbye *goodbye = user;
    char actor[64];
    (void)text_format(actor, sizeof(actor), "agent:%s", goodbye->row.id);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(goodbye->request),
                                .action = "computer_deactivated",
                                .subject = goodbye->row.hostname,
                                .detail = ""};
    int r = sql_run(sql, "UPDATE computers SET state = 'deactivated' WHERE number = $1", NULL, "n",
                    goodbye->row.number);
    if (r == 0)
        r = event_store_add_own(sql, goodbye->row.number, "deactivated", 1, "by the agent", "{}");
    return r == 0 ? audit_append(sql, &entry) : r;
}

static void said_goodbye(void *user, int result)
{
    const struct goodbye *goodbye = user;
    waiting_agents_wake(goodbye->waiting, goodbye->row.number);
    if (result < 0)
        agent_respond_failure(goodbye->request, result);
    else
        http_respond(goodbye->request, 204, NULL, NULL, 0);
}

void agent_deactivate(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct agent_row row;
    if (!agent_find(request, service, digest, &row))
        return;
    struct goodbye *goodbye = calloc(1, sizeof(*goodbye));
    if (!goodbye) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    *goodbye = (struct goodbye){service->waiting, request, row};
    http_request_set_context(request, goodbye, free);
    http_request_hold(request);
    int r = console_store_submit(service->store, deactivate_work, said_goodbye, goodbye);
    if (r < 0)
        agent_respond_failure(request, r);
}
