/* status: {"status":{"state","problems":[{"module","problem","cure"}],"agent":{},"policy":{},
 * "watch":{},"scanner":{},"scan":{},"schedule":{},"integrity":{},"logs":{},"prevention":{},"application_control":{},"health":{},
 * "store":{},"protected":B,"tamper":{},"signatures":{},"console":{}}}. state is
 * "starting" (the first signatures are being loaded, or the first walk is not done), "protecting"
 * or "degraded"; times are in seconds unless a name says otherwise. */
#include "agent/control/agent_facts.h"
#include "agent/control/handlers_private.h"

#include "agent/delivery/delivery.h"
#include "agent/policy/policy.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define STATUS_BYTES 65536
#define OLD_DAYS     7
#define DAY_NS       (86400 * NS_PER_SECOND)
#define BEHIND_NS    (60 * NS_PER_SECOND)
#define SECONDS(ns)  ((ns) / NS_PER_SECOND)

static void write_problem(struct json_writer *json, const char *module, const char *problem,
                          const char *cure)
{
    json_write_object_begin(json);
    json_write_field_string(json, "module", module);
    json_write_field_string(json, "problem", problem);
    json_write_field_string(json, "cure", cure);
    json_write_object_end(json);
}

static const char *const scanner_states[] = {
    [SCANNER_LOADING] = "loading",     [SCANNER_READY] = "ready",
    [SCANNER_RELOADING] = "reloading", [SCANNER_NO_SIGNATURES] = "no-signatures",
    [SCANNER_FAILED] = "failed",       [SCANNER_RESTING] = "resting",
};

/* Whether policy takes signatures from the console's mirror alone. */
static bool from_console(const struct agent_facts *status)
{
    return text_equal(policy_text(status->policy, POLICY_SIGNATURES_SOURCE), "console");
}

static void write_scanner_problems(struct json_writer *json, const struct agent_facts *status)
{
    const struct scanner_status *scanner = &status->scan.scanner;
    char text[128];
    if (scanner->state == SCANNER_NO_SIGNATURES)
        write_problem(json, "scanner",
                      scanner->problem[0] != '\0' ? scanner->problem : "no signatures are loaded",
                      from_console(status)
                          ? "let the console have signatures: yagura-console signatures import, or "
                            "mirror.folder in console.conf"
                          : "put signatures into a database directory of agent.conf, for example "
                            "with freshclam");
    else if (scanner->state == SCANNER_FAILED)
        write_problem(json, "scanner",
                      scanner->problem[0] != '\0' ? scanner->problem : "it cannot be started",
                      "look into the agent's log");
    else if (scanner->problem[0] != '\0')
        write_problem(json, "scanner", scanner->problem,
                      scanner->state == SCANNER_READY || scanner->state == SCANNER_RELOADING
                          ? "correct the signatures; until then the older ones stay in use"
                          : "correct the signatures; files wait until some are loaded");
    if (agent_facts_signature_age_ns(status) > OLD_DAYS * DAY_NS) {
        (void)text_format(text, sizeof(text), "the newest signatures are %llu days old",
                          (unsigned long long)(agent_facts_signature_age_ns(status) / DAY_NS));
        write_problem(json, "scanner", text,
                      from_console(status) ? "update those of the console"
                                           : "update them, for example with freshclam");
    }
}

static void write_integrity_problems(struct json_writer *json,
                                     const struct integrity_status *integrity)
{
    if (integrity->state == INTEGRITY_FAILED)
        write_problem(json, "integrity", integrity->problem,
                      "make room on the disk of the state directory, or repair it; everything is "
                      "compared again then");
    if (integrity->tampered)
        write_problem(json, "integrity", "the baseline was changed by somebody else",
                      "find out who; look at yaguractl integrity show, then yaguractl integrity "
                      "rebuild");
}

static void write_log_problems(struct json_writer *json, const struct logs_status *logs)
{
    if (logs->state != LOGS_OFF && logs->problem[0] != '\0')
        write_problem(
            json, "logs", logs->problem,
            "mend what it says, or take it out of log_inspection in the policy; the other "
            "logs are inspected");
}

static void write_prevention_problems(struct json_writer *json,
                                      const struct prevention_status *prevention)
{
    if (prevention->state == PREVENTION_DEGRADED)
        write_problem(json, "prevention", prevention->problem,
                      "mend what it says; until then infected files can be opened, and are dealt "
                      "with afterwards");
}

static void write_application_problems(struct json_writer *json,
                                       const struct application_control_status *control)
{
    if (control->state == APPLICATION_STATE_DEGRADED || control->problem[0] != '\0')
        write_problem(json, "application_control", control->problem,
                      control->state == APPLICATION_STATE_DEGRADED
                          ? "mend what it says; until then every program runs"
                          : "mend what it says");
    if (control->tampered)
        write_problem(json, "application_control",
                      "the inventory of programs was changed by somebody else",
                      "find out who; then yaguractl applications learn");
}

static void write_tamper_problems(struct json_writer *json, const struct tamper_status *tamper)
{
    char text[sizeof tamper->first_altered + 64];

    if (tamper->altered > 0) {
        (void)text_format(text, sizeof text,
                          "%llu own files are not as their package brought them: %s",
                          (unsigned long long)tamper->altered, tamper->first_altered);
        write_problem(json, "tamper", text,
                      "find out who changed them (yaguractl events --module tamper), then install "
                      "the package again");
    }
    if (tamper->database_replaced)
        write_problem(json, "tamper", "another file has taken the name of the agent's database",
                      "find out who put it there, then restart the agent");
    if (tamper->problem != 0)
        write_problem(json, "tamper", log_error_text(tamper->problem),
                      "make room on the disk of the state directory, or repair it; until then the "
                      "next start does not know what the agent's own files were");
}

static void write_console_problems(struct json_writer *json, const struct delivery_status *console)
{
    if (console->signatures.problem[0] != '\0')
        write_problem(json, "console", console->signatures.problem,
                      "mend what it says; until then the signatures before stay in use");
}

static void write_blindness(struct json_writer *json, int error)
{
    char text[128];

    (void)text_format(text, sizeof text, "no directory is watched: %s", log_error_text(error));
    write_problem(json, "watch", text,
                  "give the agent what it lacks; this is tried again by itself");
}

static void write_problems(struct json_writer *json, const struct agent_facts *status)
{
    char text[128];
    write_scanner_problems(json, status);
    if (status->watch_problem < 0)
        write_blindness(json, status->watch_problem);
    else if (!status->watching)
        write_problem(json, "watch", "watching is switched off", "set watch.enabled in the policy");
    else if (status->watch.limit[0] != '\0')
        write_problem(json, "watch", status->watch.limit, "do as it says; then yaguractl reload");
    else if (status->watch.directories_unwatched > 0)
        write_problem(json, "watch", "not every directory is watched",
                      "raise watch.budget or fs.inotify.max_user_watches");
    if (status->watch.gaps_open > 0)
        write_problem(json, "watch", "events were lost; the trees are being walked again",
                      "none is needed; raise fs.inotify.max_queued_events if it happens often");
    if (status->scan.oldest_waiting_ns > BEHIND_NS) {
        (void)text_format(text, sizeof(text), "a file has waited %llu s for its scan",
                          (unsigned long long)SECONDS(status->scan.oldest_waiting_ns));
        write_problem(json, "scan", text,
                      "exclude what need not be scanned, or raise scan.workers");
    }
    if (status->respond.packages_unreadable)
        write_problem(json, "respond", "the databases of installed packages cannot be read",
                      "detections in system directories are held until they are released: see "
                      "yaguractl quarantine held, and yagura-inspector(8)");
    if (status->health.problem[0] != '\0')
        write_problem(json, "health", status->health.problem, status->health.cure);
    write_integrity_problems(json, &status->integrity);
    write_log_problems(json, &status->logs);
    write_prevention_problems(json, &status->prevention);
    write_application_problems(json, &status->application_control);
    write_console_problems(json, &status->console);
    if (status->protection_problem != 0)
        write_problem(json, "protection", log_error_text(status->protection_problem),
                      "make room on the disk of the state directory, or repair it, then yaguractl "
                      "reload; until then nothing there tells package scripts what holds");
    write_tamper_problems(json, &status->tamper);
    if (status->store.problem != 0)
        write_problem(json, "store", log_error_text(status->store.problem),
                      "make room on the disk of the state directory, or repair it; events wait in "
                      "memory until then");
}

static void write_agent(struct json_writer *json, const struct control_context *context,
                        const struct agent_facts *status)
{
    char started[CLOCK_TEXT_BYTES], digest[65];
    clock_format(started, context->started_ns);
    policy_digest(status->policy, digest);
    json_write_key(json, "agent");
    json_write_object_begin(json);
    json_write_field_string(json, "version", YAGURA_VERSION);
    json_write_field_number(json, "pid", getpid());
    json_write_field_string(json, "started", started);
    json_write_field_unsigned(json, "uptime",
                              status->now_ns > context->started_ns
                                  ? SECONDS(status->now_ns - context->started_ns)
                                  : 0);
    json_write_object_end(json);
    json_write_key(json, "policy");
    json_write_object_begin(json);
    json_write_field_string(json, "name", policy_name(status->policy));
    json_write_field_string(json, "description", policy_description(status->policy));
    json_write_field_string(json, "digest", digest);
    json_write_field_string(json, "action", policy_text(status->policy, POLICY_RESPOND_ACTION));
    json_write_object_end(json);
}

static void write_watch(struct json_writer *json, const struct agent_facts *status)
{
    const struct watch_status *watch = &status->watch;
    uint64_t all = watch->directories_watched + watch->directories_unwatched;
    json_write_key(json, "watch");
    json_write_object_begin(json);
    json_write_field_string(json, "state",
                            status->watch_problem < 0       ? "failed"
                            : !status->watching             ? "off"
                            : agent_facts_is_walking(watch) ? "walking"
                                                            : "watching");
    json_write_field_bool(json, "complete", status->watching && watch->complete);
    json_write_field_unsigned(json, "directories_watched", watch->directories_watched);
    json_write_field_unsigned(json, "directories_unwatched", watch->directories_unwatched);
    json_write_key(json, "coverage");
    json_write_real(json, all == 0 ? 1.0 : (double)watch->directories_watched / (double)all);
    json_write_field_unsigned(json, "events_read", watch->events_read);
    json_write_field_unsigned(json, "overflows", watch->overflows);
    json_write_field_unsigned(json, "gaps_open", watch->gaps_open);
    json_write_field_unsigned(json, "walks_running", watch->walks_running);
    json_write_field_unsigned(json, "found_by_crawl", watch->found_by_crawl);
    json_write_field_unsigned(json, "lag_ns", watch->lag_ns);
    json_write_field_string(json, "limit", watch->limit);
    json_write_object_end(json);
}

static void write_scanner(struct json_writer *json, const struct agent_facts *status)
{
    const struct scanner_status *scanner = &status->scan.scanner;
    char built[CLOCK_TEXT_BYTES] = "";
    if (scanner->database_time_ns != 0)
        clock_format(built, scanner->database_time_ns);
    json_write_key(json, "scanner");
    json_write_object_begin(json);
    json_write_field_string(json, "state", scanner_states[scanner->state]);
    json_write_field_string(json, "problem", scanner->problem);
    json_write_field_hex(json, "generation", scanner->generation);
    json_write_field_unsigned(json, "signatures", scanner->signatures);
    json_write_field_string(json, "signatures_time", built);
    json_write_field_unsigned(json, "signatures_age",
                              SECONDS(agent_facts_signature_age_ns(status)));
    json_write_field_string(json, "engine", scanner->engine_version);
    json_write_field_string(json, "sandbox", scanner->sandbox);
    json_write_field_number(json, "loader_pid", scanner->loader_pid);
    json_write_field_unsigned(json, "workers", scanner->workers);
    json_write_field_unsigned(json, "in_flight", scanner->in_flight);
    json_write_field_unsigned(json, "scanned", scanner->scanned);
    json_write_field_unsigned(json, "crashed", scanner->crashed);
    json_write_field_unsigned(json, "timed_out", scanner->timed_out);
    json_write_field_unsigned(json, "recycled", scanner->recycled);
    json_write_field_unsigned(json, "reloads", scanner->reloads);
    json_write_object_end(json);
}

static void write_scan(struct json_writer *json, const struct scan_pipeline_status *scan)
{
    json_write_key(json, "scan");
    json_write_object_begin(json);
    json_write_field_unsigned(json, "backlog_files", scan->backlog_files);
    json_write_field_unsigned(json, "backlog_directories", scan->backlog_directories);
    json_write_field_unsigned(json, "in_flight", scan->in_flight);
    json_write_field_unsigned(json, "oldest_waiting_ns", scan->oldest_waiting_ns);
    json_write_field_unsigned(json, "scanned", scan->scanned);
    json_write_field_unsigned(json, "cached", scan->cached);
    json_write_field_unsigned(json, "clean", scan->clean);
    json_write_field_unsigned(json, "infected", scan->infected);
    json_write_field_unsigned(json, "incomplete", scan->incomplete);
    json_write_field_unsigned(json, "errors", scan->errors);
    json_write_field_unsigned(json, "vanished", scan->vanished);
    json_write_field_unsigned(json, "rescanned_changed", scan->rescanned_changed);
    json_write_field_unsigned(json, "folded", scan->folded);
    json_write_field_unsigned(json, "cache_entries", scan->cache_entries);
    json_write_object_end(json);
}

static void write_time(struct json_writer *json, const char *key, uint64_t realtime_ns)
{
    char text[CLOCK_TEXT_BYTES] = "";
    if (realtime_ns != 0)
        clock_format(text, realtime_ns);
    json_write_field_string(json, key, text);
}

static void write_schedule(struct json_writer *json, const struct scan_schedule_status *schedule)
{
    json_write_key(json, "schedule");
    json_write_object_begin(json);
    json_write_field_string(json, "state", scan_schedule_state_name(schedule->state));
    write_time(json, "last", schedule->last_ns);
    write_time(json, "next", schedule->next_ns);
    json_write_field_unsigned(json, "files", schedule->totals.files_seen);
    json_write_field_unsigned(json, "scanned", schedule->totals.files_scanned);
    json_write_field_unsigned(json, "infected", schedule->totals.infected);
    json_write_object_end(json);
}

static void write_integrity(struct json_writer *json, const struct integrity_status *integrity)
{
    json_write_key(json, "integrity");
    json_write_object_begin(json);
    json_write_field_string(json, "state", integrity_state_name(integrity->state));
    json_write_field_string(json, "problem", integrity->problem);
    json_write_field_unsigned(json, "entries", integrity->entries);
    json_write_field_unsigned(json, "changed", integrity->changed);
    json_write_field_unsigned(json, "waiting", integrity->waiting);
    json_write_field_unsigned(json, "files_checked", integrity->files_checked);
    json_write_field_bool(json, "tampered", integrity->tampered);
    json_write_field_string(json, "key", integrity->key_id);
    write_time(json, "approved", integrity->approved_ns);
    write_time(json, "checked", integrity->checked_ns);
    write_time(json, "next", integrity->next_ns);
    json_write_object_end(json);
}

static void write_tamper(struct json_writer *json, const struct tamper_status *tamper)
{
    json_write_key(json, "tamper");
    json_write_object_begin(json);
    json_write_field_unsigned(json, "passes", tamper->passes);
    json_write_field_unsigned(json, "files", tamper->files);
    json_write_field_unsigned(json, "changed", tamper->changed);
    json_write_field_unsigned(json, "altered", tamper->altered);
    json_write_field_bool(json, "database_replaced", tamper->database_replaced);
    json_write_object_end(json);
}

static void write_logs(struct json_writer *json, const struct logs_status *logs)
{
    json_write_key(json, "logs");
    json_write_object_begin(json);
    json_write_field_string(json, "state", logs_state_name(logs->state));
    json_write_field_string(json, "problem", logs->problem);
    json_write_field_bool(json, "journal", logs->journal);
    json_write_field_unsigned(json, "files", logs->files);
    json_write_field_unsigned(json, "rules", logs->rules);
    json_write_field_unsigned(json, "lines", logs->lines);
    json_write_field_unsigned(json, "matched", logs->matched);
    json_write_field_unsigned(json, "told", logs->told);
    json_write_field_unsigned(json, "folded", logs->folded);
    json_write_field_unsigned(json, "limited", logs->limited);
    json_write_field_unsigned(json, "cut", logs->cut);
    json_write_field_unsigned(json, "exhausted", logs->exhausted);
    json_write_field_unsigned(json, "lost", logs->lost);
    json_write_field_unsigned(json, "lag_bytes", logs->lag_bytes);
    json_write_field_unsigned(json, "lag_ns", logs->lag_ns);
    json_write_field_unsigned(json, "restarts", logs->restarts);
    json_write_field_number(json, "inspector_pid", logs->inspector_pid);
    json_write_object_end(json);
}

static void write_prevention(struct json_writer *json, const struct prevention_status *prevention)
{
    static const char *const states[] = {
        [PREVENTION_OFF] = "off",
        [PREVENTION_STARTING] = "starting",
        [PREVENTION_WORKING] = "working",
        [PREVENTION_DEGRADED] = "degraded",
    };
    const struct guard_counts *counts = &prevention->counts;

    json_write_key(json, "prevention");
    json_write_object_begin(json);
    json_write_field_string(json, "state", states[prevention->state]);
    json_write_field_string(json, "problem", prevention->problem);
    json_write_field_unsigned(json, "blocked", prevention->blocked);
    json_write_field_unsigned(json, "restarts", prevention->restarts);
    json_write_field_number(json, "guard_pid", prevention->guard_pid);
    json_write_field_unsigned(json, "opens", counts->opens);
    json_write_field_unsigned(json, "asked", counts->asked);
    json_write_field_unsigned(json, "remembered", counts->remembered);
    json_write_field_unsigned(json, "denied", counts->denied);
    json_write_field_unsigned(json, "late", counts->late);
    json_write_field_unsigned(json, "overrun", counts->overrun);
    json_write_field_unsigned(json, "overflow", counts->overflow);
    json_write_field_unsigned(json, "waiting", counts->waiting);
    json_write_object_end(json);
}

static void write_application_control(struct json_writer *json,
                                      const struct application_control_status *control)
{
    static const char *const states[] = {
        [APPLICATION_STATE_OFF] = "off",           [APPLICATION_STATE_LEARNING] = "learning",
        [APPLICATION_STATE_WORKING] = "working",   [APPLICATION_STATE_MAINTENANCE] = "maintenance",
        [APPLICATION_STATE_DEGRADED] = "degraded",
    };
    static const char *const modes[] = {
        [APPLICATION_OFF] = "off",
        [APPLICATION_LEARN] = "learn",
        [APPLICATION_REPORT] = "report",
        [APPLICATION_BLOCK] = "block",
    };

    json_write_key(json, "application_control");
    json_write_object_begin(json);
    json_write_field_string(json, "state", states[control->state]);
    json_write_field_string(json, "mode", modes[control->mode]);
    json_write_field_string(json, "problem", control->problem);
    json_write_field_unsigned(json, "programs", control->programs);
    write_time(json, "complete", control->complete_ns);
    write_time(json, "maintenance_until", control->maintenance_until_ns);
    json_write_field_unsigned(json, "known", control->known);
    json_write_field_unsigned(json, "unknown", control->unknown);
    json_write_field_unsigned(json, "blocked", control->blocked);
    json_write_field_unsigned(json, "trusted", control->trusted);
    json_write_field_bool(json, "walking", control->walking);
    json_write_field_unsigned(json, "looked_at", control->looked_at);
    json_write_field_number(json, "guard_pid", control->guard.guard_pid);
    json_write_field_unsigned(json, "asked", control->guard.counts.asked);
    json_write_field_unsigned(json, "denied", control->guard.counts.denied);
    json_write_field_unsigned(json, "late", control->guard.counts.late);
    json_write_field_unsigned(json, "waiting", control->guard.counts.waiting);
    json_write_object_end(json);
}

static void write_health(struct json_writer *json, const struct health_status *health)
{
    static const char *const self_tests[] = {"none", "passed", "failed"};
    json_write_key(json, "health");
    json_write_object_begin(json);
    write_time(json, "checked", health->checked_ns);
    json_write_field_string(json, "self_test", self_tests[health->self_test]);
    json_write_field_unsigned(json, "rounds", health->rounds);
    json_write_field_unsigned(json, "restarts", health->restarts);
    json_write_field_unsigned(json, "places", health->places);
    json_write_field_unsigned(json, "silent", health->silent);
    json_write_field_unsigned(json, "unscanned", health->unscanned);
    json_write_field_unsigned(json, "untried", health->untried);
    json_write_field_unsigned(json, "seen_ns", health->seen_ns);
    json_write_field_unsigned(json, "verdict_ns", health->verdict_ns);
    json_write_object_end(json);
}

static void write_store(struct json_writer *json, const struct store_status *store)
{
    json_write_key(json, "store");
    json_write_object_begin(json);
    json_write_field_string(json, "epoch", store->epoch);
    json_write_field_unsigned(json, "last_number", store->last_number);
    json_write_field_unsigned(json, "acknowledged_number", store->acknowledged_number);
    json_write_field_unsigned(json, "waiting", store->waiting);
    json_write_field_unsigned(json, "bytes", store->bytes);
    json_write_field_unsigned(json, "dropped", store->dropped);
    json_write_field_string(json, "problem",
                            store->problem != 0 ? log_error_text(store->problem) : "");
    json_write_object_end(json);
}

static const char *state_of(const struct agent_facts *status, bool degraded)
{
    if (degraded)
        return "degraded";
    const struct scanner_status *scanner = &status->scan.scanner;
    bool loading = scanner->state == SCANNER_LOADING && !scanner_status_is_ready(scanner);
    bool walking = status->watching && agent_facts_is_walking(&status->watch);
    return loading || walking ? "starting" : "protecting";
}

/* The set the console gave, and how far the fetch of its mirror's files is. */
static void write_signatures(struct json_writer *json, const struct agent_facts *status)
{
    const struct delivery_signatures *signatures = &status->console.signatures;

    json_write_key(json, "signatures");
    json_write_object_begin(json);
    json_write_field_string(json, "source", policy_text(status->policy, POLICY_SIGNATURES_SOURCE));
    json_write_field_string(json, "digest", signatures->digest);
    json_write_field_unsigned(json, "lists", signatures->lists);
    json_write_field_unsigned(json, "allowed", signatures->allowed);
    json_write_field_unsigned(json, "files", signatures->files);
    write_time(json, "built", signatures->newest_ms * NS_PER_MS);
    json_write_field_string(json, "fetching", signatures->file);
    json_write_field_unsigned(json, "fetched_bytes", signatures->file_offset);
    json_write_field_unsigned(json, "bytes", signatures->file_bytes);
    json_write_field_string(json, "problem", signatures->problem);
    json_write_object_end(json);
}

static void write_console(struct json_writer *json, const struct delivery_status *console)
{
    json_write_key(json, "console");
    json_write_object_begin(json);
    json_write_field_string(json, "state",
                            console->configured ? link_state_name(console->state.code) : "none");
    json_write_field_string(json, "url", console->url);
    json_write_field_string(json, "agent_id", console->agent_id);
    json_write_field_string(json, "problem", console->state.text);
    write_time(json, "last_contact", console->state.last_contact_ns);
    write_time(json, "next_try", console->state.next_try_ns);
    json_write_field_unsigned(json, "messenger_starts", console->messenger_starts);
    json_write_object_end(json);
}

const char *control_write_status(const struct control_context *context, struct buffer *object)
{
    AUTO_BUFFER struct buffer problems = BUFFER_WITH_MAXIMUM(STATUS_BYTES);
    struct json_writer json;
    struct agent_facts status = {0};
    agent_facts_collect(context, &status);

    json_writer_init(&json, &problems);
    json_write_array_begin(&json);
    size_t before = problems.length;
    write_problems(&json, &status);
    bool degraded = problems.length > before;
    json_write_array_end(&json);

    json_writer_init(&json, object);
    json_write_object_begin(&json);
    const char *state = state_of(&status, degraded);
    json_write_field_string(&json, "state", state);
    json_write_key(&json, "problems");
    json_write_raw(&json, buffer_text(&problems));
    write_agent(&json, context, &status);
    write_watch(&json, &status);
    write_scanner(&json, &status);
    write_scan(&json, &status.scan);
    write_schedule(&json, &status.schedule);
    write_integrity(&json, &status.integrity);
    write_logs(&json, &status.logs);
    write_health(&json, &status.health);
    write_prevention(&json, &status.prevention);
    write_application_control(&json, &status.application_control);
    write_store(&json, &status.store);
    json_write_field_bool(&json, "protected", status.is_protected);
    write_tamper(&json, &status.tamper);
    write_signatures(&json, &status);
    write_console(&json, &status.console);
    json_write_object_end(&json);
    return state;
}

void handle_status(void *user, struct control_request *request, const json_t *arguments UNUSED)
{
    const struct control_handlers *handlers = user;
    AUTO_BUFFER struct buffer object = BUFFER_WITH_MAXIMUM(STATUS_BYTES);
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(2 * STATUS_BYTES);
    const char *state = control_write_status(&handlers->context, &object);
    (void)buffer_append_format(&line, "{\"status\":%s}", buffer_text(&object));
    if (send_json(request, &line) == 0)
        control_request_done(request, strcmp(state, "protecting") == 0 ? 0 : 1);
}
