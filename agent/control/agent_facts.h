/* The state of every module at one moment: what status and metrics are written from. */
#ifndef AGENT_CONTROL_AGENT_FACTS_H
#define AGENT_CONTROL_AGENT_FACTS_H

#include "agent/application_control/application_control.h"
#include "agent/delivery/delivery.h"
#include "agent/health/health.h"
#include "agent/integrity/integrity.h"
#include "agent/logs/logs.h"
#include "agent/prevention/prevention.h"
#include "agent/respond/responder.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/scan/scan_schedule.h"
#include "agent/store/store.h"
#include "agent/tamper/tamper.h"
#include "agent/watch/watch.h"

struct control_context;

struct agent_facts {
    struct watch_status watch;
    bool watching;     /* policy has it on */
    int watch_problem; /* policy has it on, and it cannot be started: -errno */
    struct scan_pipeline_status scan;
    struct store_status store;
    struct responder_status respond;
    struct integrity_status integrity;
    struct logs_status logs;
    struct scan_schedule_status schedule;
    struct health_status health;
    struct prevention_status prevention;
    struct application_control_status application_control;
    struct delivery_status console;
    bool is_protected;
    int protection_problem; /* 0, or -errno */
    struct tamper_status tamper;
    struct policy *policy; /* borrowed */
    uint64_t now_ns;       /* realtime */
};

/* In the loop's thread. */
void agent_facts_collect(const struct control_context *context, struct agent_facts *ret_facts);

/* How old the newest signature file is; 0 when that is not known. */
uint64_t agent_facts_signature_age_ns(const struct agent_facts *facts);
/* Whether the first walk is still under way. Beyond the budget it never counts as complete. */
bool agent_facts_is_walking(const struct watch_status *watch);

#endif
