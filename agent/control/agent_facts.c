#include "agent/control/agent_facts.h"

#include "agent/control/handlers.h"
#include "agent/protection/protection.h"
#include "common/time/clock.h"

void agent_facts_collect(const struct control_context *context, struct agent_facts *ret_facts)
{
    struct watch *watch = context->watch(context->user);

    *ret_facts = (struct agent_facts){
        .now_ns = clock_realtime_ns(),
        .policy = context->policy(context->user),
        .watching = watch != NULL,
        .watch_problem = context->watch_problem(context->user),
    };
    if (watch != NULL)
        watch_status(watch, &ret_facts->watch);
    scan_pipeline_status(context->pipeline, &ret_facts->scan);
    store_status(context->store, &ret_facts->store);
    responder_status(context->responder, &ret_facts->respond);
    integrity_status(context->integrity, &ret_facts->integrity);
    logs_status(context->logs, &ret_facts->logs);
    scan_schedule_status(context->schedule, &ret_facts->schedule);
    health_status(context->health, &ret_facts->health);
    prevention_status(context->prevention, &ret_facts->prevention);
    application_control_status(context->application_control, &ret_facts->application_control);
    delivery_status(context->delivery, &ret_facts->console);
    ret_facts->is_protected = protection_is_on(context->protection);
    ret_facts->protection_problem = protection_problem(context->protection);
    tamper_status(context->tamper, &ret_facts->tamper);
}

uint64_t agent_facts_signature_age_ns(const struct agent_facts *facts)
{
    uint64_t built = facts->scan.scanner.database_time_ns;

    return built == 0 || built > facts->now_ns ? 0 : facts->now_ns - built;
}

bool agent_facts_is_walking(const struct watch_status *watch)
{
    return !watch->complete && (watch->directories_unwatched == 0 || watch->walks_running > 0);
}
