/* From the local configuration and the policy to the options of each module: the only place that
 * knows which key means what to whom. Immutable once made; the modules' options point into it, so
 * it lives until the modules have been given newer ones. */
#ifndef AGENT_SUPERVISOR_MODULE_OPTIONS_H
#define AGENT_SUPERVISOR_MODULE_OPTIONS_H

#include "agent/application_control/application_control.h"
#include "agent/delivery/delivery.h"
#include "agent/health/health.h"
#include "agent/integrity/integrity.h"
#include "agent/logs/logs.h"
#include "agent/policy/agent_config.h"
#include "agent/policy/policy.h"
#include "agent/prevention/prevention.h"
#include "agent/resources/resources.h"
#include "agent/respond/responder.h"
#include "agent/scan/scan_pipeline.h"
#include "agent/scan/scan_schedule.h"
#include "agent/store/store.h"
#include "agent/watch/watch.h"
#include "common/log/log.h"

struct module_options {
    struct policy *policy; /* a reference */
    struct watch_options watch;
    struct scan_pipeline_options scan;
    struct responder_options respond;
    struct store_options store;
    struct integrity_options integrity;
    struct logs_options logs;
    struct scan_schedule_options schedule;
    struct health_options health;
    struct prevention_options prevention;
    struct application_control_options application_control;
    struct resources_options resources;
    struct delivery_mirror mirror;
    enum log_level log_level;
    bool watch_enabled;
    bool is_protected;
    uint64_t tamper_interval_ns; /* 0: own files are not looked at */
    /* What the pointers above point to, beside the policy and the configuration. */
    char *paths[16];
    size_t path_count;
    const char *own_directories[4];
    const char **watched;   /* the policy's paths, and those of integrity monitoring */
    const char **databases; /* the configured ones or the mirror's, then the policy's own list */
};

/* config must outlive the result; policy is referenced. -ENOMEM. */
int module_options_new(const struct agent_config *config, struct policy *policy,
                       struct module_options **ret_options) MUST_USE;
struct module_options *module_options_free(struct module_options *options);

#endif
