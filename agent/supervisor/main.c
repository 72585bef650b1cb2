/* yagura-agent: protects this host's directories.
 *
 * Owns: the start order below and its exact reverse, the local configuration, signals.
 * Must not: touch a watched path, parse anything an outsider wrote, wait in the event loop.
 * Hands off: file events to agent/scan (watch_reports.c), requests of yaguractl to agent/control.
 */
#include "agent/control/control_server.h"
#include "agent/control/handlers.h"
#include "agent/control/instance_lock.h"
#include "agent/delivery/cloud_access.h"
#include "agent/delivery/delivery.h"
#include "agent/protection/protection.h"
#include "agent/signatures/console_lists.h"
#include "agent/supervisor/agent.h"
#include "agent/supervisor/ending.h"
#include "agent/supervisor/metrics_file.h"
#include "agent/supervisor/policy_hashes.h"
#include "agent/tamper/tamper.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>

/* ---- signals -------------------------------------------------------------------------------- */

static void handle_stop(void *user, int signal_number)
{
    struct agent *agent = user;

    log_info("stopping", "signal", strsignal(signal_number), NULL);
    ending_note_stop(agent, signal_number);
    (void)sd_notify(0, "STOPPING=1");
    event_loop_stop(agent->loop);
}

static void handle_reload(void *user, int signal_number UNUSED)
{
    struct settings_error error;

    if (agent_reload_policy(user, &error) == 0)
        log_info("reloaded", NULL); /* a refusal is recorded and logged already */
}

/* As many descriptors as we may have: each detection that waits for the responder holds one. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning("descriptor_limit_stays", "error", log_error_text(-errno), NULL);
}

/* Whoever writes to a file breaks our lease on it, and a signal of a lease whose owner is no thread
 * (watch/crawl.c) would end us wherever a thread does not block it. */
static void block_lease_signal(void)
{
    sigset_t signals;

    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGIO);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

/* ---- the steps of the start ----------------------------------------------------------------- */

static int start_directories(struct agent *agent)
{
    int r = file_make_directories(agent->config->state_directory, 0700);

    return r < 0 ? r : file_make_directories(agent->config->runtime_directory, 0711);
}

static int start_lock(struct agent *agent)
{
    const char *directory = agent->config->state_directory;

    int r = instance_lock_take(directory, &agent->lock);
    if (r == -EBUSY)
        log_error("already_running", "pid", log_number(instance_lock_holder(directory)),
                  "state_directory", directory, "cure",
                  "stop the other agent, or give this one another state_directory", NULL);
    return r;
}

static void stop_lock(struct agent *agent)
{
    agent->lock = instance_lock_release(agent->lock);
}

static int start_loop(struct agent *agent)
{
    int r = event_loop_new(&agent->loop);

    if (r == 0)
        r = event_loop_add_signal(agent->loop, SIGTERM, handle_stop, agent);
    if (r == 0)
        r = event_loop_add_signal(agent->loop, SIGINT, handle_stop, agent);
    if (r == 0)
        r = event_loop_add_signal(agent->loop, SIGHUP, handle_reload, agent);
    if (r == 0)
        r = event_timer_new(agent->loop, agent_mend, agent, &agent->mend);
    return r;
}

static void stop_loop(struct agent *agent)
{
    agent->mend = event_timer_free(agent->mend);
    agent->loop = event_loop_free(agent->loop);
}

static int start_policy(struct agent *agent)
{
    struct policy *policy = NULL;
    struct settings_error error = {.text = ""};

    delivery_policy_path(agent->config->state_directory, agent->policy_path);
    int r = agent_load_policy(agent, &policy, &error);
    if (r < 0 && agent->policy_path[0] != '\0') {
        /* Protected by the local one rather than not at all; the console sends its own again. */
        log_error("delivered_policy_unreadable", "problem", error.text, NULL);
        agent->policy_path[0] = '\0';
        r = agent_load_policy(agent, &policy, &error);
    }
    if (r < 0) {
        log_error("policy_refused", "problem", error.text, NULL);
        return r;
    }
    r = module_options_new(agent->config, policy, &agent->options);
    (void)policy_unref(policy);
    if (r == 0)
        log_set_level(agent->options->log_level);
    return r < 0 ? r
                 : policy_hashes_write(agent->config->state_directory,
                                       agent->options->respond.denied_hashes);
}

static void stop_policy(struct agent *agent)
{
    agent->options = module_options_free(agent->options);
}

static int start_resources(struct agent *agent)
{
    return resources_start(&agent->options->resources, &agent->resources);
}

static void stop_resources(struct agent *agent)
{
    agent->resources = resources_stop(agent->resources);
}

static int start_store(struct agent *agent)
{
    char notice[512];

    int r = store_open(&agent->options->store, &agent->store, notice);
    if (notice[0] != '\0')
        log_warning("store_notice", "notice", notice, NULL);
    return r;
}

static void stop_store(struct agent *agent)
{
    agent->store = store_close(agent->store);
}

static int start_protection(struct agent *agent)
{
    int r = protection_start(agent->loop, agent->store, agent->config->state_directory,
                             &agent->protection);

    if (r == 0)
        protection_set(agent->protection, agent->options->is_protected);
    return r;
}

static void stop_protection(struct agent *agent)
{
    agent->protection = protection_stop(agent->protection);
}

static int start_tamper(struct agent *agent)
{
    const struct agent_config *config = agent->config;
    AUTO_FREE char *inspector = text_format_new("%s/yagura-inspector", config->program_directory);
    AUTO_FREE char *snapshot = text_format_new("%s/own-files", config->state_directory);
    if (inspector == NULL || snapshot == NULL)
        return -ENOMEM;
    const struct tamper_options options = {
        .root = "",
        .program_directory = config->program_directory,
        .inspector_program = inspector,
        .configuration = agent->config_path,
        .policy = config->policy,
        .database = agent->options->store.path,
        .snapshot_path = snapshot,
        .interval_ns = agent->options->tamper_interval_ns,
    };

    return tamper_start(&options, agent->store, &agent->tamper);
}

static void stop_tamper(struct agent *agent)
{
    agent->tamper = tamper_stop(agent->tamper);
}

/* What the console allows counts from the first detection on. */
static int allow_contents(struct agent *agent)
{
    struct wire_signatures set;

    if (console_lists_read(agent->config->state_directory, &set) < 0)
        return 0;
    int r = responder_set_allowed(agent->responder, set.allowed, set.allowed_count);
    wire_signatures_done(&set);
    return r;
}

static int start_responder(struct agent *agent)
{
    int r = responder_start(agent->store, &agent->options->respond, &agent->responder);

    return r < 0 ? r : allow_contents(agent);
}

static void stop_responder(struct agent *agent)
{
    agent->responder = responder_stop(agent->responder);
}

static int start_pipeline(struct agent *agent)
{
    return scan_pipeline_start(&agent->options->scan, agent->store, agent->responder,
                               &agent->pipeline);
}

static void stop_pipeline(struct agent *agent)
{
    agent->pipeline = scan_pipeline_stop(agent->pipeline);
}

static int start_integrity(struct agent *agent)
{
    return integrity_start(&agent->options->integrity, agent->store, &agent->integrity);
}

static void stop_integrity(struct agent *agent)
{
    agent->integrity = integrity_stop(agent->integrity);
}

static int start_logs(struct agent *agent)
{
    return logs_start(&agent->options->logs, agent->store, &agent->logs);
}

static void stop_logs(struct agent *agent)
{
    agent->logs = logs_stop(agent->logs);
}

static int start_schedule(struct agent *agent)
{
    return scan_schedule_start(&agent->options->schedule, agent->pipeline, agent->store,
                               &agent->schedule);
}

static void stop_schedule(struct agent *agent)
{
    agent->schedule = scan_schedule_stop(agent->schedule);
}

static int start_prevention(struct agent *agent)
{
    const struct prevention_parts parts = {
        .store = agent->store,
        .pipeline = agent->pipeline,
        .responder = agent->responder,
    };

    return prevention_start(&agent->options->prevention, &parts, &agent->prevention);
}

static void stop_prevention(struct agent *agent)
{
    agent->prevention = prevention_stop(agent->prevention);
}

static int start_application_control(struct agent *agent)
{
    return application_control_start(&agent->options->application_control, agent->store,
                                     &agent->application_control);
}

static void stop_application_control(struct agent *agent)
{
    agent->application_control = application_control_stop(agent->application_control);
}

static int start_watch(struct agent *agent)
{
    return agent_begin_watch(agent);
}

static void restart_watch(void *user)
{
    agent_restart_watch(user);
}

static int start_health(struct agent *agent)
{
    const struct health_parts parts = {
        .store = agent->store,
        .pipeline = agent->pipeline,
        .loop = agent->loop,
        .restart = restart_watch,
        .user = agent,
    };

    return health_start(&agent->options->health, &parts, &agent->health);
}

static void stop_health(struct agent *agent)
{
    agent->health = health_stop(agent->health);
}

static struct watch *current_watch(void *user)
{
    return ((struct agent *)user)->watch;
}

static int watch_problem(void *user)
{
    return ((struct agent *)user)->watch_problem;
}

static struct policy *current_policy(void *user)
{
    return ((struct agent *)user)->options->policy;
}

static int write_facts(void *user, struct buffer *json)
{
    (void)control_write_status(&((struct agent *)user)->control_context, json);
    return buffer_failed(json);
}

static int apply_policy(void *user, const char *path, struct settings_error *ret_error)
{
    return agent_obey_policy(user, path, ret_error);
}

static int reload_policy(void *user, struct settings_error *ret_error)
{
    return agent_reload_policy(user, ret_error);
}

static int start_delivery(struct agent *agent)
{
    AUTO_FREE struct link_cloud *cloud = calloc(1, sizeof *cloud);
    char problem[512];

    int r = cloud != NULL ? cloud_access_read(agent->config, NULL, cloud, problem, sizeof problem)
                          : -ENOMEM;
    if (r == -EINVAL)
        log_error("configuration_refused", "problem", problem, NULL);
    if (r < 0)
        return r;
    const struct delivery_options options = {
        .state_directory = agent->config->state_directory,
        .program_directory = agent->config->program_directory,
        .control_socket = agent->config->control_socket,
        .database_directories = agent->config->database_directories,
        .cloud = cloud,
        .main_loop = agent->loop,
        .store = agent->store,
        .pipeline = agent->pipeline,
        .responder = agent->responder,
        .integrity = agent->integrity,
        .schedule = agent->schedule,
        .application_control = agent->application_control,
        .protection = agent->protection,
        .write_facts = write_facts,
        .apply_policy = apply_policy,
        .user = agent,
    };

    r = delivery_start(&options, &agent->delivery);
    explicit_bzero(cloud, sizeof *cloud);
    if (r == 0)
        delivery_set_mirror(agent->delivery, &agent->options->mirror);
    return r;
}

static void stop_delivery(struct agent *agent)
{
    agent->delivery = delivery_stop(agent->delivery);
}

static int start_control(struct agent *agent)
{
    agent->control_context = (struct control_context){
        .config = agent->config,
        .store = agent->store,
        .responder = agent->responder,
        .pipeline = agent->pipeline,
        .integrity = agent->integrity,
        .logs = agent->logs,
        .schedule = agent->schedule,
        .health = agent->health,
        .prevention = agent->prevention,
        .application_control = agent->application_control,
        .resources = agent->resources,
        .protection = agent->protection,
        .tamper = agent->tamper,
        .delivery = agent->delivery,
        .started_ns = agent->started_ns,
        .watch = current_watch,
        .watch_problem = watch_problem,
        .policy = current_policy,
        .reload = reload_policy,
        .user = agent,
    };

    int r = control_server_start(agent->loop, agent->config->control_socket, &agent->control);
    if (r < 0)
        return r;
    return control_handlers_start(agent->control, &agent->control_context, &agent->handlers);
}

static void stop_control(struct agent *agent)
{
    agent->control = control_server_stop(agent->control);
    health_cancel(agent->health); /* the handlers' stop waits for a self-test that runs */
    agent->handlers = control_handlers_stop(agent->handlers);
}

static void write_metrics(void *user, struct buffer *text)
{
    control_write_metrics(&((struct agent *)user)->control_context, text);
}

static int start_metrics(struct agent *agent)
{
    return metrics_file_start(agent->loop, agent->config->metrics_file, write_metrics, agent,
                              &agent->metrics);
}

static void stop_metrics(struct agent *agent)
{
    agent->metrics = metrics_file_stop(agent->metrics);
}

/* systemd's watchdog: as long as the loop turns, it is fed. */
static void feed_watchdog(void *user UNUSED)
{
    (void)sd_notify(0, "WATCHDOG=1");
}

static int start_watchdog(struct agent *agent)
{
    uint64_t timeout_us = 0;

    int r = sd_watchdog_enabled(0, &timeout_us);
    if (r <= 0)
        return r;
    r = event_timer_new(agent->loop, feed_watchdog, NULL, &agent->watchdog);
    if (r == 0)
        event_timer_start(agent->watchdog, 0, timeout_us * NS_PER_US / 3);
    return r;
}

static void stop_watchdog(struct agent *agent)
{
    agent->watchdog = event_timer_free(agent->watchdog);
}

/* Each step uses what stands above it; they are undone in the reverse order. */
static const struct step {
    const char *name;
    int (*start)(struct agent *agent);
    void (*stop)(struct agent *agent);
} steps[] = {
    {"directories", start_directories, NULL},
    {"lock", start_lock, stop_lock},
    {"event loop", start_loop, stop_loop},
    {"policy", start_policy, stop_policy},
    {"resource limits", start_resources, stop_resources},
    {"store", start_store, stop_store},
    {"protection", start_protection, stop_protection},
    {"tampering", start_tamper, stop_tamper},
    {"responder", start_responder, stop_responder},
    {"scan pipeline", start_pipeline, stop_pipeline},
    {"integrity monitoring", start_integrity, stop_integrity},
    {"log inspection", start_logs, stop_logs},
    {"scheduled scans", start_schedule, stop_schedule},
    {"health", start_health, stop_health},
    {"prevention", start_prevention, stop_prevention},
    {"application control", start_application_control, stop_application_control},
    {"watch", start_watch, agent_stop_watch},
    {"delivery", start_delivery, stop_delivery},
    {"control socket", start_control, stop_control},
    {"metrics", start_metrics, stop_metrics},
    {"watchdog", start_watchdog, stop_watchdog},
};

static void stop_steps(struct agent *agent, size_t started)
{
    while (started-- > 0)
        if (steps[started].stop != NULL)
            steps[started].stop(agent);
}

static int run(struct agent *agent)
{
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        int r = steps[i].start(agent);
        if (r == 0)
            continue;
        log_error("start_failed", "step", steps[i].name, "error", log_error_text(r), NULL);
        stop_steps(agent, i + 1);
        return r;
    }
    ending_open(agent);
    agent_record(agent, "agent_started", EVENT_INFO, "yagura-agent " YAGURA_VERSION, NULL);
    log_info("started", "version", YAGURA_VERSION, "policy", policy_name(agent->options->policy),
             "socket", agent->config->control_socket, NULL);
    (void)sd_notify(0, "READY=1");
    int r = event_loop_run(agent->loop);
    ending_tell_stop(agent);
    store_hurry(agent->store); /* nobody waits for a full disk: what is there is found again */
    stop_steps(agent, ARRAY_LENGTH(steps));
    ending_close(agent);
    log_info("stopped", NULL);
    return r;
}

/* ---- the command line ----------------------------------------------------------------------- */

static const char usage[] =
    "Usage: yagura-agent [--config FILE] [--foreground]\n"
    "Protects this host's directories. Steer it with yaguractl.\n"
    "\n"
    "  -c, --config FILE  local configuration (default " AGENT_CONFIG_PATH ", if it is there)\n"
    "  -f, --foreground   accepted for readability: the agent never leaves the foreground\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "Exit: 0 stopped by a signal, 1 could not start or run, 2 wrong command line.\n";

/* 0 run, 1 done, -EINVAL. */
static int parse_command_line(int argc, char **argv, const char **ret_config)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"foreground", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };

    for (int option; (option = getopt_long(argc, argv, "c:fhV", options, NULL)) != -1;) {
        switch (option) {
        case 'c':
            *ret_config = optarg;
            break;
        case 'f':
            break;
        case 'h':
            (void)fputs(usage, stdout);
            return 1;
        case 'V':
            (void)puts("yagura-agent " YAGURA_VERSION);
            return 1;
        default:
            return -EINVAL;
        }
    }
    return optind == argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
    struct agent agent = {.started_ns = clock_realtime_ns()};
    struct settings_error error = {.text = ""};
    const char *config_path = NULL;

    int r = parse_command_line(argc, argv, &config_path);
    if (r < 0)
        (void)fputs(usage, stderr);
    if (r != 0)
        return r < 0 ? 2 : 0;

    (void)umask(077);
    (void)prctl(PR_SET_DUMPABLE, 0); /* the host key is in our memory */
    log_open("yagura-agent", LOG_LEVEL_INFO);
    block_lease_signal();
    raise_descriptor_limit();
    r = agent_config_load(config_path, &agent.config, &error);
    if (r < 0) {
        log_error("configuration_refused", "problem", error.text, NULL);
        return 1;
    }
    agent.config_path = config_path != NULL ? config_path : AGENT_CONFIG_PATH;
    r = run(&agent);
    agent.config = agent_config_free(agent.config);
    return r < 0 ? 1 : 0;
}
