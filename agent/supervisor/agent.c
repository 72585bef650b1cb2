/* Applying a policy to the running modules. Owns the order in which they learn of it. */
#include "agent/supervisor/agent.h"

#include "agent/protection/protection.h"
#include "agent/supervisor/policy_hashes.h"
#include "agent/tamper/tamper.h"
#include "common/event_loop/event_loop.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>

#define FIRST_MEND_NS NS_PER_SECOND
#define MOST_MEND_NS  (60 * NS_PER_SECOND)

void agent_record(struct agent *agent, const char *kind, enum event_severity severity,
                  const char *subject, const char *detail)
{
    struct event_draft draft = {
        .module = "agent",
        .kind = kind,
        .severity = severity,
        .subject = subject,
        .detail = detail != NULL ? detail : "{}",
    };

    int r = store_append(agent->store, &draft, NULL, NULL, NULL);
    if (r < 0)
        log_error("event_not_stored", "kind", kind, "error", log_error_text(r), NULL);
}

int agent_load_policy(const struct agent *agent, struct policy **ret_policy,
                      struct settings_error *ret_error)
{
    if (agent->policy_path[0] != '\0')
        return policy_load(agent->policy_path, NULL, ret_policy, ret_error);
    return agent_config_load_policy(agent->config, ret_policy, ret_error);
}

static void mend_later(struct agent *agent)
{
    uint64_t before = agent->mend_delay_ns;

    agent->mend_delay_ns = before == 0 ? FIRST_MEND_NS : MIN(before * 2, MOST_MEND_NS);
    event_timer_start(agent->mend, agent->mend_delay_ns, 0);
}

static int start_watch(struct agent *agent)
{
    if (!agent->options->watch_enabled) {
        agent_stop_watch(agent);
        return 0;
    }
    if (agent->watch != NULL)
        return watch_reconfigure(agent->watch, &agent->options->watch);
    agent->reports = (struct watch_reports){.pipeline = agent->pipeline,
                                            .integrity = agent->integrity,
                                            .health = agent->health,
                                            .store = agent->store};
    int r = watch_start(&agent->options->watch, watch_reports_take, &agent->reports, &agent->watch);
    if (r == 0)
        health_set_watch(agent->health, agent->watch);
    return r;
}

int agent_start_watch(struct agent *agent)
{
    int r = start_watch(agent);

    agent->watch_problem = agent->watch == NULL ? r : 0;
    return r;
}

static void wait_for_watch(struct agent *agent, int problem)
{
    log_error("watch_not_started", "error", log_error_text(problem), "effect",
              "no directory is watched until it can be; this is tried again", NULL);
    mend_later(agent);
}

int agent_begin_watch(struct agent *agent)
{
    int r = agent_start_watch(agent);

    if (r != -EMFILE && r != -ENFILE)
        return r;
    wait_for_watch(agent, r);
    return 0;
}

void agent_stop_watch(struct agent *agent)
{
    health_set_watch(agent->health, NULL);
    agent->watch = watch_stop(agent->watch);
}

void agent_restart_watch(struct agent *agent)
{
    agent_stop_watch(agent);
    int r = agent_start_watch(agent);
    if (r == 0)
        agent_record(agent, "sensor_restarted", EVENT_MEDIUM, "watch", NULL);
    else
        wait_for_watch(agent, r);
}

/* Tells every module; the order is that of their start. */
static int apply_options(struct agent *agent, struct module_options *options)
{
    bool blind = agent->watch_problem < 0;

    agent->options = options;
    resources_reconfigure(agent->resources, &options->resources);
    protection_set(agent->protection, options->is_protected);
    tamper_set_interval(agent->tamper, options->tamper_interval_ns);
    int r = policy_hashes_write(agent->config->state_directory, options->respond.denied_hashes);
    if (r == 0)
        r = store_reconfigure(agent->store, &options->store);
    if (r == 0)
        r = responder_reconfigure(agent->responder, &options->respond);
    if (r == 0)
        r = scan_pipeline_reconfigure(agent->pipeline, &options->scan);
    if (r == 0)
        r = integrity_reconfigure(agent->integrity, &options->integrity);
    if (r == 0)
        r = logs_reconfigure(agent->logs, &options->logs);
    if (r == 0)
        r = scan_schedule_reconfigure(agent->schedule, &options->schedule);
    if (r == 0)
        r = health_reconfigure(agent->health, &options->health);
    if (r == 0)
        r = prevention_reconfigure(agent->prevention, &options->prevention);
    if (r == 0)
        r = application_control_reconfigure(agent->application_control,
                                            &options->application_control);
    if (r == 0) {
        r = agent_start_watch(agent);
        if (blind && agent->watch_problem < 0)
            r = 0; /* it was so before, and is tried again by itself */
    }
    if (r == 0 && agent->delivery != NULL)
        delivery_set_mirror(agent->delivery, &options->mirror);
    if (r == 0)
        log_set_level(options->log_level);
    return r;
}

static void record_policy(struct agent *agent, const char *kind, enum event_severity severity,
                          const char *reason)
{
    char digest[65];
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES);
    struct json_writer json;

    policy_digest(agent->options->policy, digest);
    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    json_write_field_string(&json, "in_force", digest);
    if (reason != NULL)
        json_write_field_string(&json, "reason", reason);
    json_write_object_end(&json);
    agent_record(agent, kind, severity, policy_name(agent->options->policy), buffer_text(&detail));
    log_event(severity > EVENT_INFO ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, kind, "policy",
              policy_name(agent->options->policy), "reason", reason, NULL);
}

static int replace_policy(struct agent *agent, struct policy *policy,
                          struct settings_error *ret_error)
{
    struct module_options *before = agent->options, *after;

    int r = module_options_new(agent->config, policy, &after);
    if (r < 0)
        return r;
    r = apply_options(agent, after);
    agent->unapplied = false;
    if (r < 0) {
        (void)text_format(ret_error->text, sizeof ret_error->text,
                          "the policy could not be applied: %s; the one before stays in force",
                          log_error_text(r));
        int back = apply_options(agent, before);
        if (back < 0) {
            log_error("policy_not_restored", "error", log_error_text(back), "effect",
                      "modules obey one or the other until it can be; this is tried again", NULL);
            agent->unapplied = true;
            mend_later(agent);
        }
        (void)module_options_free(after);
        return r;
    }
    (void)module_options_free(before);
    return 0;
}

void agent_mend(void *user)
{
    struct agent *agent = user;
    bool blind = agent->watch_problem < 0;
    int r = 0;

    if (agent->unapplied) {
        r = apply_options(agent, agent->options);
        agent->unapplied = r < 0;
        if (r == 0)
            log_info("policy_restored", "policy", policy_name(agent->options->policy), NULL);
    }
    if (r == 0 && agent->watch_problem < 0)
        r = agent_start_watch(agent);
    if (r < 0) {
        mend_later(agent);
        return;
    }
    agent->mend_delay_ns = 0;
    if (blind && agent->watch != NULL)
        agent_record(agent, "sensor_restarted", EVENT_MEDIUM, "watch", NULL);
}

int agent_reload_policy(struct agent *agent, struct settings_error *ret_error)
{
    struct policy *policy = NULL;

    ret_error->text[0] = '\0';
    int r = agent_load_policy(agent, &policy, ret_error);
    if (r == 0)
        r = replace_policy(agent, policy, ret_error);
    (void)policy_unref(policy);
    if (r < 0 && ret_error->text[0] == '\0')
        (void)text_copy(ret_error->text, sizeof ret_error->text, log_error_text(r));
    if (r < 0)
        record_policy(agent, "policy_refused", EVENT_HIGH, ret_error->text);
    else
        record_policy(agent, "policy_applied", EVENT_INFO, NULL);
    return r;
}

int agent_obey_policy(struct agent *agent, const char *path, struct settings_error *ret_error)
{
    char before[LINK_TEXT_BYTES];

    (void)text_copy(before, sizeof before, agent->policy_path);
    int r = text_copy(agent->policy_path, sizeof agent->policy_path, path);
    if (r == 0)
        r = agent_reload_policy(agent, ret_error);
    if (r < 0)
        (void)text_copy(agent->policy_path, sizeof agent->policy_path, before);
    return r;
}
