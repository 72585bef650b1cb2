/* From configuration and policy to the modules' options. Owns the few paths it joins. */
#include "agent/supervisor/module_options.h"

#include "agent/respond/holding.h"
#include "agent/signatures/mirror_files.h"
#include "agent/supervisor/policy_hashes.h"
#include "common/crypto/hash.h"
#include "common/text/text.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* "directory/name", owned by options; NULL once out of memory. */
static const char *join(struct module_options *options, const char *directory, const char *name)
{
    char *path = text_format_new("%s/%s", directory, name);

    options->paths[options->path_count++] = path;
    return path;
}

static enum respond_action action_of(const struct policy *policy, enum policy_key key)
{
    const char *name = policy_text(policy, key);

    if (text_equal(name, "quarantine"))
        return RESPOND_QUARANTINE;
    return text_equal(name, "delete") ? RESPOND_DELETE : RESPOND_PASS;
}

static enum scanner_reload reload_of(const struct policy *policy)
{
    const char *name = policy_text(policy, POLICY_SCAN_RELOAD);

    if (text_equal(name, "overlap"))
        return SCANNER_RELOAD_OVERLAP;
    return text_equal(name, "sequential") ? SCANNER_RELOAD_SEQUENTIAL : SCANNER_RELOAD_AUTO;
}

/* The configuration's, or the policy's when that says "policy". */
static enum log_level log_level_of(const struct agent_config *config, const struct policy *policy)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    const char *wanted = text_equal(config->log_level, "policy")
                             ? policy_text(policy, POLICY_AGENT_LOG_LEVEL)
                             : config->log_level;

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (text_equal(wanted, names[i]))
            return (enum log_level)i;
    return LOG_LEVEL_INFO;
}

static size_t worker_count(const struct policy *policy)
{
    enum { MOST_BY_DEFAULT = 4 };
    uint64_t wanted = policy_number(policy, POLICY_SCAN_WORKERS);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted > 0)
        return (size_t)wanted;
    return (size_t)MAX(1, MIN(cores, MOST_BY_DEFAULT));
}

/* The folders of the configuration, that of the console's mirror, or both, and the one of
 * policy_hashes.c, where the console's lists stand, too. False when out of memory. */
static bool fill_databases(struct module_options *options, const struct agent_config *config,
                           const struct policy *policy)
{
    const char *source = policy_text(policy, POLICY_SIGNATURES_SOURCE);
    size_t count = 0;

    while (!text_equal(source, "console") && config->database_directories[count] != NULL)
        count++;
    options->databases = calloc(count + 3, sizeof options->databases[0]);
    if (options->databases == NULL)
        return false;
    memcpy(options->databases, config->database_directories, count * sizeof options->databases[0]);
    options->mirror = (struct delivery_mirror){
        .wanted = !text_equal(source, "host"),
        .bytes_per_second = policy_number(policy, POLICY_SIGNATURES_RATE),
        .jitter_ns = policy_number(policy, POLICY_SIGNATURES_JITTER),
    };
    if (options->mirror.wanted)
        options->databases[count++] = join(options, config->state_directory, MIRROR_FILES_FOLDER);
    options->databases[count] = join(options, config->state_directory, POLICY_HASHES_FOLDER);
    return true;
}

static size_t count_texts(const char *const *list)
{
    size_t count = 0;

    while (list[count] != NULL)
        count++;
    return count;
}

static bool is_below(const char *path, const char *const *tops)
{
    for (; *tops != NULL; tops++) {
        size_t length = strlen(*tops);
        if (length == 1 ||
            (text_starts_with(path, *tops) && (path[length] == '/' || path[length] == '\0')))
            return true;
    }
    return false;
}

/* Integrity monitoring learns of changes by the same watch, so that its paths are watched, and
 * scanned, too. False when out of memory. */
static bool fill_watched(struct module_options *options, const struct policy *policy)
{
    static const enum policy_key keys[] = {POLICY_WATCH_PATHS, POLICY_INTEGRITY_PATHS,
                                           POLICY_INTEGRITY_ATTRIBUTES, POLICY_INTEGRITY_LOGS};
    size_t most = policy_bool(policy, POLICY_INTEGRITY_ENABLED) ? ARRAY_LENGTH(keys) : 1;
    size_t count = 0, all = 0;

    for (size_t i = 0; i < most; i++)
        all += count_texts(policy_list(policy, keys[i]));
    options->watched = calloc(all + 1, sizeof options->watched[0]);
    if (options->watched == NULL)
        return false;
    for (size_t i = 0; i < most; i++)
        for (const char *const *path = policy_list(policy, keys[i]); *path != NULL; path++)
            if (i == 0 || !is_below(*path, policy_list(policy, POLICY_WATCH_PATHS)))
                options->watched[count++] = *path;
    return true;
}

/* Hosts of a fleet differ by their names: so do their delays. */
static uint64_t host_seed(void)
{
    char name[HOST_NAME_MAX + 1] = "";
    uint8_t digest[SHA256_BYTES] = {0};
    uint64_t seed;

    (void)gethostname(name, sizeof name - 1);
    (void)!hash_sha256(name, strlen(name), digest);
    memcpy(&seed, digest, sizeof seed);
    return seed;
}

static void fill_schedule(struct module_options *options, const struct agent_config *config,
                          const struct policy *policy)
{
    const char *const *paths = policy_list(policy, POLICY_SCAN_PATHS);

    options->schedule = (struct scan_schedule_options){
        .schedule =
            {
                .interval_ns = policy_number(policy, POLICY_SCAN_INTERVAL),
                .jitter_ns = policy_number(policy, POLICY_SCAN_JITTER),
                .seed = ~host_seed(),
            },
        .paths = paths[0] != NULL ? paths : policy_list(policy, POLICY_WATCH_PATHS),
        .changed_within_ns = policy_number(policy, POLICY_SCAN_CHANGED),
        .most_load = policy_number(policy, POLICY_SCAN_MAX_LOAD),
        .state_path = join(options, config->state_directory, "scan-schedule"),
        .load_path = "/proc/loadavg",
    };
    (void)!schedule_parse_window(policy_text(policy, POLICY_SCAN_WINDOW),
                                 &options->schedule.schedule.begin,
                                 &options->schedule.schedule.end);
}

static void fill_integrity(struct module_options *options, const struct agent_config *config,
                           const struct policy *policy)
{
    options->integrity = (struct integrity_options){
        .enabled = policy_bool(policy, POLICY_INTEGRITY_ENABLED),
        .attribution = policy_bool(policy, POLICY_INTEGRITY_ATTRIBUTION),
        .state_directory = config->state_directory,
        .inspector_program = options->respond.inspector_program,
        .lists =
            {
                .paths = policy_list(policy, POLICY_INTEGRITY_PATHS),
                .attributes = policy_list(policy, POLICY_INTEGRITY_ATTRIBUTES),
                .logs = policy_list(policy, POLICY_INTEGRITY_LOGS),
                .exclude_directories = policy_list(policy, POLICY_INTEGRITY_EXCLUDE_DIRECTORIES),
                .exclude_files = policy_list(policy, POLICY_INTEGRITY_EXCLUDE_FILES),
                .own_directories = options->own_directories,
                .critical = policy_list(policy, POLICY_INTEGRITY_CRITICAL),
                .diff = policy_list(policy, POLICY_INTEGRITY_DIFF),
                .no_diff = policy_list(policy, POLICY_INTEGRITY_NO_DIFF),
            },
        .most_bytes = policy_number(policy, POLICY_INTEGRITY_MAX_SIZE),
        .schedule =
            {
                .interval_ns = policy_number(policy, POLICY_INTEGRITY_INTERVAL),
                .jitter_ns = policy_number(policy, POLICY_INTEGRITY_JITTER),
                .seed = host_seed(),
            },
        .trust_packages = policy_bool(policy, POLICY_INTEGRITY_TRUST_PACKAGES),
    };
    (void)!schedule_parse_window(policy_text(policy, POLICY_INTEGRITY_WINDOW),
                                 &options->integrity.schedule.begin,
                                 &options->integrity.schedule.end);
}

static void fill_watch(struct module_options *options, const struct policy *policy)
{
    options->watch = (struct watch_options){
        .paths = options->watched,
        .exclude_directories = policy_list(policy, POLICY_WATCH_EXCLUDE_DIRECTORIES),
        .exclude_files = policy_list(policy, POLICY_WATCH_EXCLUDE_FILES),
        .exclude_extensions = policy_list(policy, POLICY_WATCH_EXCLUDE_EXTENSIONS),
        .own_directories = options->own_directories,
        .own_prefix = HOLDING_PREFIX,
        .settle_ns = policy_number(policy, POLICY_WATCH_SETTLE),
        .budget = policy_number(policy, POLICY_WATCH_BUDGET),
        .crawl_interval_ns = policy_number(policy, POLICY_WATCH_CRAWL_INTERVAL),
        .crawl_rate = policy_number(policy, POLICY_WATCH_CRAWL_RATE),
        .report_found = policy_bool(policy, POLICY_SCAN_AT_START),
    };
}

static void fill_scan(struct module_options *options, const struct agent_config *config,
                      const struct policy *policy)
{
    options->scan = (struct scan_pipeline_options){
        .scanner =
            {
                .program = join(options, config->program_directory, "yagura-scanner"),
                .databases = options->databases,
                .user = geteuid() == 0 ? config->scanner_user : NULL,
                .temporary_directory = join(options, config->runtime_directory, "scanner"),
                .temporary_bytes = policy_number(policy, POLICY_SCAN_TEMPORARY),
                .workers = worker_count(policy),
                .recycle_files = policy_number(policy, POLICY_SCAN_RECYCLE),
                .reload = reload_of(policy),
                .niceness = (int)policy_number(policy, POLICY_AGENT_NICE),
                .limits =
                    {
                        .max_file_size = policy_number(policy, POLICY_SCAN_MAX_FILE_SIZE),
                        .max_scan_size = policy_number(policy, POLICY_SCAN_MAX_SCAN_SIZE),
                        .max_files = policy_number(policy, POLICY_SCAN_MAX_FILES),
                        .max_recursion = policy_number(policy, POLICY_SCAN_MAX_RECURSION),
                        .max_time_ns = policy_number(policy, POLICY_SCAN_MAX_TIME),
                        .heuristics = policy_bool(policy, POLICY_SCAN_HEURISTICS),
                        .report_encrypted = policy_bool(policy, POLICY_SCAN_ENCRYPTED),
                        .detect_macros = policy_bool(policy, POLICY_SCAN_MACROS),
                        .detect_broken = policy_bool(policy, POLICY_SCAN_BROKEN),
                        .unwanted_applications = policy_bool(policy, POLICY_SCAN_UNWANTED),
                    },
            },
        .cache_path = join(options, config->state_directory, "verdicts.cache"),
        .exclude_directories = options->watch.exclude_directories,
        .exclude_files = options->watch.exclude_files,
        .exclude_extensions = options->watch.exclude_extensions,
        .own_directories = options->own_directories,
        .rescan_paths = policy_list(policy, POLICY_WATCH_PATHS),
        .rescan_on_update = policy_bool(policy, POLICY_SCAN_RESCAN),
        .rescan_rate = policy_number(policy, POLICY_SCAN_RESCAN_RATE),
        .most_load = policy_number(policy, POLICY_SCAN_MAX_LOAD),
        .load_path = "/proc/loadavg",
        .idle_exit_ns = policy_number(policy, POLICY_SCAN_IDLE_EXIT),
        .scan_at_start = policy_bool(policy, POLICY_SCAN_AT_START),
    };
}

static void fill_respond(struct module_options *options, const struct agent_config *config,
                         const struct policy *policy)
{
    options->respond = (struct responder_options){
        .state_directory = config->state_directory,
        .action = action_of(policy, POLICY_RESPOND_ACTION),
        .heuristic_action = action_of(policy, POLICY_RESPOND_HEURISTIC),
        .hold_package_files = policy_bool(policy, POLICY_RESPOND_HOLD_PACKAGES),
        .brake_actions = policy_number(policy, POLICY_RESPOND_BRAKE),
        .quarantine_bytes = policy_number(policy, POLICY_QUARANTINE_SIZE),
        .quarantine_drop_oldest =
            text_equal(policy_text(policy, POLICY_QUARANTINE_FULL), "drop-oldest"),
        .allowed_signatures = policy_list(policy, POLICY_RESPOND_ALLOW_SIGNATURES),
        .allowed_hashes = policy_list(policy, POLICY_RESPOND_ALLOW_HASHES),
        .denied_hashes = policy_list(policy, POLICY_RESPOND_DENY_HASHES),
        .inspector_program = join(options, config->program_directory, "yagura-inspector"),
    };
}

static void fill_prevention(struct module_options *options, const struct agent_config *config,
                            const struct policy *policy)
{
    options->prevention = (struct prevention_options){
        .enabled = policy_bool(policy, POLICY_PREVENTION_ENABLED),
        .exec_only = policy_bool(policy, POLICY_PREVENTION_EXEC_ONLY),
        .deny_late = text_equal(policy_text(policy, POLICY_PREVENTION_ON_TIMEOUT), "deny"),
        .deadline_ns = policy_number(policy, POLICY_PREVENTION_DEADLINE),
        .guard_program = join(options, config->program_directory, "yagura-guard"),
        .paths = policy_list(policy, POLICY_PREVENTION_PATHS),
        .exclude_directories = options->watch.exclude_directories,
        .exclude_files = options->watch.exclude_files,
        .exclude_extensions = options->watch.exclude_extensions,
        .own_directories = options->own_directories,
    };
}

static enum application_mode application_mode_of(const struct policy *policy)
{
    const char *mode = policy_text(policy, POLICY_CONTROL_MODE);

    if (text_equal(mode, "learn"))
        return APPLICATION_LEARN;
    if (text_equal(mode, "report"))
        return APPLICATION_REPORT;
    return text_equal(mode, "block") ? APPLICATION_BLOCK : APPLICATION_OFF;
}

static void fill_application_control(struct module_options *options,
                                     const struct agent_config *config, const struct policy *policy)
{
    options->application_control = (struct application_control_options){
        .mode = application_mode_of(policy),
        .trust_packages = policy_bool(policy, POLICY_CONTROL_TRUST_PACKAGES),
        .deny_late = text_equal(policy_text(policy, POLICY_CONTROL_ON_TIMEOUT), "deny"),
        .deadline_ns = policy_number(policy, POLICY_CONTROL_DEADLINE),
        .most_bytes = policy_number(policy, POLICY_CONTROL_MAX_SIZE),
        .guard_program = options->prevention.guard_program,
        .inspector_program = options->respond.inspector_program,
        .inventory_path = join(options, config->state_directory, "programs.db"),
        .key_path = join(options, config->state_directory, "programs.key"),
        .paths = policy_list(policy, POLICY_CONTROL_PATHS),
        .exclude_directories = policy_list(policy, POLICY_CONTROL_EXCLUDE_DIRECTORIES),
        .allow_hashes = policy_list(policy, POLICY_CONTROL_ALLOW_HASHES),
        .block_hashes = policy_list(policy, POLICY_CONTROL_BLOCK_HASHES),
        .own_directories = options->own_directories,
    };
}

static enum event_severity lowest_severity_of(const struct policy *policy)
{
    static const char *const names[] = {
        [EVENT_INFO] = "info", [EVENT_LOW] = "low",           [EVENT_MEDIUM] = "medium",
        [EVENT_HIGH] = "high", [EVENT_CRITICAL] = "critical",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        if (text_equal(policy_text(policy, POLICY_LOG_LOWEST), names[i]))
            return (enum event_severity)i;
    return EVENT_INFO;
}

static void fill_logs(struct module_options *options, const struct agent_config *config,
                      const struct policy *policy)
{
    options->logs = (struct logs_options){
        .enabled = policy_bool(policy, POLICY_LOG_ENABLED),
        .journal = policy_bool(policy, POLICY_LOG_JOURNAL),
        .journal_directory = config->journal_directory,
        .inspector_program = options->respond.inspector_program,
        .shipped_path = join(options, config->policy_directory, "log_rules/linux.conf"),
        .files = policy_list(policy, POLICY_LOG_FILES),
        .decoders = policy_list(policy, POLICY_LOG_DECODERS),
        .rules = policy_list(policy, POLICY_LOG_RULES),
        .lowest = lowest_severity_of(policy),
        .fold_ns = policy_number(policy, POLICY_LOG_FOLD),
        .rate = policy_number(policy, POLICY_LOG_RATE),
    };
}

int module_options_new(const struct agent_config *config, struct policy *policy,
                       struct module_options **ret_options)
{
    struct module_options *options = calloc(1, sizeof *options);
    if (options == NULL)
        return -ENOMEM;
    options->policy = policy_ref(policy);
    options->own_directories[0] = config->state_directory;
    options->own_directories[1] = config->runtime_directory;
    options->is_protected = policy_bool(policy, POLICY_PROTECTION_ENABLED);
    options->tamper_interval_ns = policy_number(policy, POLICY_PROTECTION_CHECK_INTERVAL);
    options->watch_enabled = policy_bool(policy, POLICY_WATCH_ENABLED);
    options->log_level = log_level_of(config, policy);
    bool complete = fill_databases(options, config, policy) && fill_watched(options, policy);
    fill_watch(options, policy);
    fill_scan(options, config, policy);
    fill_respond(options, config, policy);
    fill_integrity(options, config, policy);
    fill_logs(options, config, policy);
    fill_schedule(options, config, policy);
    options->resources = (struct resources_options){
        .directory = config->control_group,
        .scanner_weight = policy_number(policy, POLICY_LIMITS_SCANNER_WEIGHT),
        .scanner_quota = policy_number(policy, POLICY_LIMITS_SCANNER_QUOTA),
        .scanner_memory = policy_number(policy, POLICY_LIMITS_SCANNER_MEMORY),
    };
    options->health = (struct health_options){
        .watch = &options->watch,
        .interval_ns = policy_number(policy, POLICY_HEALTH_INTERVAL),
        .patience_ns = policy_number(policy, POLICY_HEALTH_PATIENCE),
    };
    fill_prevention(options, config, policy);
    fill_application_control(options, config, policy);
    options->store = (struct store_options){
        .path = join(options, config->state_directory, "events.db"),
        .max_age_ns = policy_number(policy, POLICY_STORE_MAX_AGE),
        .max_bytes = policy_number(policy, POLICY_STORE_MAX_SIZE),
    };
    for (size_t i = 0; i < options->path_count; i++)
        complete = complete && options->paths[i] != NULL;
    if (!complete) {
        (void)module_options_free(options);
        return -ENOMEM;
    }
    *ret_options = options;
    return 0;
}

struct module_options *module_options_free(struct module_options *options)
{
    if (options == NULL)
        return NULL;
    for (size_t i = 0; i < options->path_count; i++)
        free(options->paths[i]);
    free(options->databases);
    free(options->watched);
    (void)policy_unref(options->policy);
    free(options);
    return NULL;
}
