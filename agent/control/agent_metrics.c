/* Metrics in Prometheus' text format. Source: prometheus.io/docs/instrumenting/exposition_formats.
 * Owns their names, which stay as they are. */
#include "agent/control/agent_facts.h"
#include "agent/control/handlers_private.h"

#include "agent/delivery/delivery.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <inttypes.h>

struct metrics {
    struct buffer *text;
    const struct agent_facts *facts;
};

static void begin(struct metrics *metrics, const char *name, const char *type, const char *help)
{
    (void)buffer_append_format(metrics->text, "# HELP yagura_%s %s\n# TYPE yagura_%s %s\n", name,
                               help, name, type);
}

static void gauge(struct metrics *metrics, const char *name, const char *help, uint64_t value)
{
    begin(metrics, name, "gauge", help);
    (void)buffer_append_format(metrics->text, "yagura_%s %" PRIu64 "\n", name, value);
}

static void counter(struct metrics *metrics, const char *name, const char *help, uint64_t value)
{
    begin(metrics, name, "counter", help);
    (void)buffer_append_format(metrics->text, "yagura_%s %" PRIu64 "\n", name, value);
}

static void seconds(struct metrics *metrics, const char *name, const char *help, uint64_t ns)
{
    begin(metrics, name, "gauge", help);
    (void)buffer_append_format(metrics->text, "yagura_%s %" PRIu64 ".%09" PRIu64 "\n", name,
                               (uint64_t)(ns / NS_PER_SECOND), (uint64_t)(ns % NS_PER_SECOND));
}

static void labelled(struct metrics *metrics, const char *name, const char *label,
                     const char *value, uint64_t number)
{
    (void)buffer_append_format(metrics->text, "yagura_%s{%s=\"%s\"} %" PRIu64 "\n", name, label,
                               value, number);
}

static void write_watch(struct metrics *metrics)
{
    const struct watch_status *watch = &metrics->facts->watch;

    gauge(metrics, "watch_enabled", "Whether directories are watched.", metrics->facts->watching);
    gauge(metrics, "watch_directories", "Directories that are watched.",
          watch->directories_watched);
    gauge(metrics, "watch_directories_unwatched", "Directories beyond the budget or a limit.",
          watch->directories_unwatched);
    counter(metrics, "watch_events_total", "Records of the kernel that were read.",
            watch->events_read);
    counter(metrics, "watch_overflows_total", "Overflows of the kernel's queue.", watch->overflows);
    gauge(metrics, "watch_gaps_open", "Gaps whose trees are being walked again.", watch->gaps_open);
    counter(metrics, "watch_found_by_crawl_total", "Changes that no event had told.",
            watch->found_by_crawl);
    seconds(metrics, "watch_lag_seconds", "Of the last marker in the kernel's queue.",
            watch->lag_ns);
}

static void write_scan(struct metrics *metrics)
{
    const struct scan_pipeline_status *scan = &metrics->facts->scan;

    begin(metrics, "scan_verdicts_total", "counter", "Verdicts about files.");
    labelled(metrics, "scan_verdicts_total", "verdict", "clean", scan->clean);
    labelled(metrics, "scan_verdicts_total", "verdict", "infected", scan->infected);
    labelled(metrics, "scan_verdicts_total", "verdict", "incomplete", scan->incomplete);
    labelled(metrics, "scan_verdicts_total", "verdict", "error", scan->errors);
    counter(metrics, "scan_cached_total", "Files settled by the verdict cache.", scan->cached);
    gauge(metrics, "scan_backlog_files", "Files that wait for their scan.", scan->backlog_files);
    gauge(metrics, "scan_backlog_directories", "Directories that wait for their scan.",
          scan->backlog_directories);
    seconds(metrics, "scan_oldest_waiting_seconds", "How long the oldest file has waited.",
            scan->oldest_waiting_ns);
}

static void write_scanner(struct metrics *metrics)
{
    const struct scanner_status *scanner = &metrics->facts->scan.scanner;

    gauge(metrics, "scanner_ready", "Whether files can be scanned.",
          scanner_status_is_ready(scanner));
    gauge(metrics, "scanner_workers", "Processes that scan.", scanner->workers);
    counter(metrics, "scanner_crashes_total", "Processes that crashed.", scanner->crashed);
    counter(metrics, "scanner_timeouts_total", "Processes that took too long.", scanner->timed_out);
    counter(metrics, "scanner_reloads_total", "Times that signatures were loaded anew.",
            scanner->reloads);
    gauge(metrics, "signatures", "Signatures in use.", scanner->signatures);
    seconds(metrics, "signatures_age_seconds", "Of the newest signature file.",
            agent_facts_signature_age_ns(metrics->facts));
    begin(metrics, "engine_info", "gauge", "The engine in use.");
    labelled(metrics, "engine_info", "version", scanner->engine_version, 1);
}

/* Of the guard that works: the counters begin anew with each. */
static void write_guard(struct metrics *metrics, const char *name,
                        const struct guard_counts *counts)
{
    static const uint32_t bounds[GUARD_WAIT_BOUNDS] = GUARD_WAIT_BOUNDS_US;
    const struct {
        const char *name, *help;
        uint64_t value;
    } counters[] = {
        {"opens", "Opens that the kernel told of.", counts->opens},
        {"asked", "Opens that had to be asked for.", counts->asked},
        {"remembered", "Opens whose answer was known.", counts->remembered},
        {"allowed", "Opens that were allowed.", counts->opens - MIN(counts->opens, counts->denied)},
        {"denied", "Opens that were denied.", counts->denied},
        {"timed_out", "Opens without an answer in time.", counts->late},
        {"too_many", "Opens that found no room to wait.", counts->overrun},
    };
    char full[64];
    uint64_t sum = 0;

    for (size_t i = 0; i < ARRAY_LENGTH(counters); i++) {
        (void)text_format(full, sizeof full, "%s_%s_total", name, counters[i].name);
        counter(metrics, full, counters[i].help, counters[i].value);
    }
    (void)text_format(full, sizeof full, "%s_waiting", name);
    gauge(metrics, full, "Opens that wait now.", counts->waiting);
    (void)text_format(full, sizeof full, "%s_wait_seconds", name);
    begin(metrics, full, "histogram", "How long opens waited that had to be asked for.");
    for (size_t i = 0; i < GUARD_WAIT_BOUNDS; i++) {
        sum += counts->waits[i];
        (void)buffer_append_format(metrics->text, "yagura_%s_bucket{le=\"%u.%06u\"} %" PRIu64 "\n",
                                   full, bounds[i] / 1000000, bounds[i] % 1000000, sum);
    }
    sum += counts->waits[GUARD_WAIT_BOUNDS];
    (void)buffer_append_format(metrics->text,
                               "yagura_%s_bucket{le=\"+Inf\"} %" PRIu64 "\nyagura_%s_sum %" PRIu64
                               ".%09" PRIu64 "\nyagura_%s_count %" PRIu64 "\n",
                               full, sum, full, (uint64_t)(counts->waited_ns / NS_PER_SECOND),
                               (uint64_t)(counts->waited_ns % NS_PER_SECOND), full, sum);
}

static void write_prevention(struct metrics *metrics)
{
    const struct prevention_status *prevention = &metrics->facts->prevention;

    if (prevention->state == PREVENTION_OFF)
        return;
    gauge(metrics, "prevention_working", "Whether infected files cannot be opened.",
          prevention->state == PREVENTION_WORKING);
    counter(metrics, "prevention_blocked_total", "Events of infected files that were not opened.",
            prevention->blocked);
    counter(metrics, "prevention_restarts_total", "Guards that ended, or were ended.",
            prevention->restarts);
    write_guard(metrics, "prevention", &prevention->counts);
}

static void write_application_control(struct metrics *metrics)
{
    const struct application_control_status *control = &metrics->facts->application_control;

    if (control->state == APPLICATION_STATE_OFF)
        return;
    gauge(metrics, "application_control_working", "Whether unknown programs are told or blocked.",
          control->state == APPLICATION_STATE_WORKING);
    gauge(metrics, "application_control_programs", "Programs that are known.", control->programs);
    begin(metrics, "application_control_programs_run_total", "counter",
          "Programs that were asked for, by what became of it.");
    labelled(metrics, "application_control_programs_run_total", "answer", "known", control->known);
    labelled(metrics, "application_control_programs_run_total", "answer", "trusted",
             control->trusted);
    labelled(metrics, "application_control_programs_run_total", "answer", "unknown",
             control->unknown);
    labelled(metrics, "application_control_programs_run_total", "answer", "blocked",
             control->blocked);
    write_guard(metrics, "application_control", &control->guard.counts);
}

static void write_logs(struct metrics *metrics)
{
    const struct logs_status *logs = &metrics->facts->logs;

    gauge(metrics, "log_inspection_enabled", "Whether logs are inspected.",
          logs->state != LOGS_OFF);
    counter(metrics, "log_lines_total", "Lines of logs that were inspected.", logs->lines);
    begin(metrics, "log_matches_total", "counter", "Matches of rules, by what became of them.");
    labelled(metrics, "log_matches_total", "outcome", "told", logs->told);
    labelled(metrics, "log_matches_total", "outcome", "folded", logs->folded);
    labelled(metrics, "log_matches_total", "outcome", "limited", logs->limited);
    labelled(metrics, "log_matches_total", "outcome", "quiet",
             logs->matched - MIN(logs->matched, logs->told + logs->folded + logs->limited));
    counter(metrics, "log_gaps_total", "Places of logs that could not be read.", logs->lost);
    gauge(metrics, "log_lag_bytes", "Of log files, written and not read yet.", logs->lag_bytes);
    seconds(metrics, "log_lag_seconds", "Age of the journal's entry that is read.", logs->lag_ns);
    counter(metrics, "log_inspector_restarts_total", "Times that the inspector was started anew.",
            logs->restarts);
}

/* What a limit of ours kept from being whole: each should stay 0. */
static void write_caps(struct metrics *metrics)
{
    const struct agent_facts *facts = metrics->facts;

    begin(metrics, "cap_hits_total", "counter", "Times that a limit was met.");
    labelled(metrics, "cap_hits_total", "cap", "backlog", facts->scan.folded);
    labelled(metrics, "cap_hits_total", "cap", "scan", facts->scan.incomplete);
    labelled(metrics, "cap_hits_total", "cap", "store", facts->store.dropped);
}

static void write_health(struct metrics *metrics)
{
    const struct health_status *health = &metrics->facts->health;

    counter(metrics, "health_rounds_total", "Rounds of test files.", health->rounds);
    counter(metrics, "sensor_restarts_total", "Sensors started anew because they were silent.",
            health->restarts);
    begin(metrics, "health_places", "gauge", "Mounts of the last round, by what became of them.");
    labelled(metrics, "health_places", "outcome", "passed",
             health->places - health->silent - health->unscanned - health->untried);
    labelled(metrics, "health_places", "outcome", "silent", health->silent);
    labelled(metrics, "health_places", "outcome", "unscanned", health->unscanned);
    labelled(metrics, "health_places", "outcome", "untried", health->untried);
    gauge(metrics, "self_test_passed", "Whether the EICAR test file was detected.",
          health->self_test == HEALTH_SELF_TEST_PASSED);
    seconds(metrics, "health_checked_seconds", "When the last round ended, since 1970.",
            health->checked_ns);
    seconds(metrics, "health_seen_seconds", "The slowest test file until it was seen.",
            health->seen_ns);
    seconds(metrics, "health_verdict_seconds", "The slowest test file until its verdict.",
            health->verdict_ns);
}

static void write_delivery(struct metrics *metrics, const struct control_context *context)
{
    const struct store_status *store = &metrics->facts->store;
    struct delivery_status console;

    delivery_status(context->delivery, &console);
    counter(metrics, "events_total", "Events that were recorded.", store->last_number);
    gauge(metrics, "events_undelivered", "Events the console has not acknowledged.",
          console.configured ? store->last_number - store->acknowledged_number : 0);
    gauge(metrics, "store_bytes", "Size of the event store.", store->bytes);
    gauge(metrics, "console_configured", "Whether this host has a console.", console.configured);
    seconds(metrics, "console_last_contact_seconds", "Since 1970; 0: none.",
            console.state.last_contact_ns);
}

void control_write_metrics(const struct control_context *context, struct buffer *text)
{
    struct agent_facts facts;
    AUTO_BUFFER struct buffer status = BUFFER_WITH_MAXIMUM(LIMIT_METRICS_BYTES);
    const char *state = control_write_status(context, &status);

    agent_facts_collect(context, &facts);
    struct metrics metrics = {text, &facts};
    begin(&metrics, "up", "gauge",
          "Whether everything is as it should be: 1, or 0 while degraded.");
    (void)buffer_append_format(text, "yagura_up{state=\"%s\"} %d\n", state,
                               strcmp(state, "degraded") != 0);
    seconds(&metrics, "uptime_seconds", "Since the agent started.",
            facts.now_ns > context->started_ns ? facts.now_ns - context->started_ns : 0);
    write_watch(&metrics);
    write_scan(&metrics);
    write_scanner(&metrics);
    write_prevention(&metrics);
    write_application_control(&metrics);
    write_logs(&metrics);
    write_caps(&metrics);
    write_health(&metrics);
    write_delivery(&metrics, context);
}
