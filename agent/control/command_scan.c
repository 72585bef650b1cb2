/* yaguractl scan: on demand, through the running agent or without it. */
#include "agent/control/commands.h"
#include "agent/control/control_client.h"
#include "agent/control/scan_output.h"
#include "agent/control/standalone_scan.h"
#include "agent/policy/agent_config.h"
#include "agent/scan/scan_places.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define MOST_DAYS 36500

/* Removes empty, "." and ".." parts in place. No symbolic link is ever followed, so the text alone
 * says what ".." means. */
static void clean_path(char *path)
{
    char *end = path;
    for (const char *part = path; *part != '\0';) {
        size_t slashes = strspn(part, "/"), length = strcspn(part + slashes, "/");
        const char *name = part + slashes;
        part = name + length;
        if (length == 0 || (length == 1 && name[0] == '.'))
            continue;
        if (length == 2 && name[0] == '.' && name[1] == '.') {
            while (end > path && *--end != '/')
                continue;
            continue;
        }
        *end++ = '/';
        memmove(end, name, length);
        end += length;
    }
    if (end == path)
        *end++ = '/';
    *end = '\0';
}

/* Paths are given relative to where the caller stands; the last part may be a link that the agent
 * refuses to follow, so it is not resolved here. */
static char *absolute_path(const char *path)
{
    AUTO_FREE char *folder = path[0] == '/' ? strdup("") : getcwd(NULL, 0);
    char *absolute = folder == NULL ? NULL : text_format_new("%s/%s", folder, path);
    if (absolute != NULL)
        clean_path(absolute);
    return absolute;
}

/* What to scan: as --quick or --full says, or as named. */
struct targets {
    const char *places[SCAN_PLACES_MOST];
    const char *const *paths;
    size_t count;
};

static int find_targets(const struct invocation *invocation, struct targets *targets)
{
    bool quick = command_has(invocation, "quick"), full = command_has(invocation, "full");
    bool places = quick || full;
    if ((quick && full) || (places && invocation->argument_count > 0))
        return command_fail("--quick, --full and paths: one of them at once");
    if (!places && invocation->argument_count == 0)
        return command_fail("name a path, or --quick or --full");
    targets->places[0] = "/";
    targets->places[1] = NULL;
    if (quick)
        scan_places_quick(targets->places);
    targets->paths = places ? targets->places : (const char *const *)invocation->arguments;
    targets->count = places ? 0 : invocation->argument_count;
    while (places && targets->places[targets->count] != NULL)
        targets->count++;
    return 0;
}

static int add_paths(const struct targets *targets, struct control_call *call)
{
    json_write_key(&call->json, "paths");
    json_write_array_begin(&call->json);
    for (size_t i = 0; i < targets->count; i++) {
        AUTO_FREE char *path = absolute_path(targets->paths[i]);
        AUTO_FREE char *escaped = path == NULL ? NULL : text_escape_new(path, strlen(path));
        if (escaped == NULL)
            return command_fail("%s: cannot be found", targets->paths[i]);
        json_write_string(&call->json, escaped);
    }
    json_write_array_end(&call->json);
    return 0;
}

static int run_agent(const struct invocation *invocation, const struct targets *targets,
                     struct scan_output *output, uint64_t changed_ns)
{
    struct control_call call;
    control_call_begin(&call, "scan");
    json_write_field_bool(&call.json, "use_cache", !command_has(invocation, "no-cache"));
    json_write_field_bool(&call.json, "report_all", command_has(invocation, "report-all"));
    json_write_field_bool(&call.json, "act", !command_has(invocation, "no-action"));
    json_write_field_bool(&call.json, "polite", command_has(invocation, "polite"));
    json_write_field_unsigned(&call.json, "changed_within_ns",
                              MIN(changed_ns, (uint64_t)INT64_MAX));
    int r = add_paths(targets, &call);
    if (r != 0) {
        buffer_done(&call.text);
        return r;
    }
    return control_call(invocation, &call, scan_output_line, output);
}

/* --- without the agent ------------------------------------------------------------------------ */

static void free_paths(char ***paths)
{
    for (char **path = *paths; path != NULL && *path != NULL; path++)
        free(*path);
    free(*paths);
}

static char **absolute_paths(const struct targets *targets)
{
    char **paths = calloc(targets->count + 1, sizeof(*paths));
    for (size_t i = 0; paths != NULL && i < targets->count; i++) {
        paths[i] = absolute_path(targets->paths[i]);
        if (paths[i] == NULL) {
            free_paths(&paths);
            return NULL;
        }
    }
    return paths;
}

static int load_policy(const struct invocation *invocation, const struct agent_config *config,
                       struct policy **ret_policy)
{
    struct settings_error error = {.text = ""};
    const char *path = command_option(invocation, "policy");
    int r = path == NULL ? policy_new_default(ret_policy)
                         : policy_load(path, config->policy_directory, ret_policy, &error);
    if (r < 0)
        (void)command_fail("%s", error.text);
    return r;
}

static int run_standalone(const struct invocation *invocation, const struct targets *targets,
                          struct scan_output *output, uint64_t changed_ns)
{
    AUTO_AGENT_CONFIG struct agent_config *config = NULL;
    CLEANUP(free_paths) char **paths = absolute_paths(targets);
    struct settings_error error;
    struct policy *policy = NULL;
    if (agent_config_load(command_option(invocation, "config"), &config, &error) < 0)
        return command_fail("%s", error.text);
    AUTO_FREE char *program = text_format_new("%s/yagura-scanner", config->program_directory);
    if (paths == NULL || program == NULL)
        return command_fail("out of memory");
    if (load_policy(invocation, config, &policy) < 0)
        return EXIT_ERROR;
    const char *named = command_option(invocation, "database");
    AUTO_FREE char *absolute = named != NULL ? absolute_path(named) : NULL;
    const char *const database[] = {absolute, NULL};
    const struct standalone_options options = {
        .paths = (const char *const *)paths,
        .databases =
            database[0] != NULL ? database : (const char *const *)config->database_directories,
        .program = program,
        .user = geteuid() == 0 ? config->scanner_user : NULL,
        .policy = policy,
        .report_all = command_has(invocation, "report-all"),
        .changed_within_ns = changed_ns,
    };
    int r = standalone_scan(&options, output);
    (void)policy_unref(policy);
    return r;
}

/* --changed-within, or --changed-days. */
static int read_changed(const struct invocation *invocation, uint64_t *ret_ns)
{
    const char *within = command_option(invocation, "changed-within");
    const char *days = command_option(invocation, "changed-days");
    uint64_t number = 0;
    *ret_ns = 0;
    if (within != NULL && days != NULL)
        return command_fail("--changed-within and --changed-days: one of them at once");
    if (within != NULL && text_parse_duration(within, ret_ns) < 0)
        return command_fail("--changed-within %s is not a duration such as 7d", within);
    if (days == NULL)
        return 0;
    if (text_parse_u64(days, &number) < 0 || number == 0 || number > MOST_DAYS)
        return command_fail("--changed-days %s is not a number of days, 1 to %d", days, MOST_DAYS);
    *ret_ns = number * 86400 * NS_PER_SECOND;
    return 0;
}

static int run_scan(const struct invocation *invocation)
{
    struct scan_output output = {.json = invocation->json};
    struct targets targets = {0};
    uint64_t changed_ns = 0;
    if (find_targets(invocation, &targets) != 0 || read_changed(invocation, &changed_ns) != 0)
        return EXIT_ERROR;
    bool standalone = command_has(invocation, "standalone");
    if (!standalone && (command_has(invocation, "database") || command_has(invocation, "policy")))
        return command_fail("--database and --policy are for --standalone; the agent has its own");
    int r = standalone ? run_standalone(invocation, &targets, &output, changed_ns)
                       : run_agent(invocation, &targets, &output, changed_ns);
    scan_output_end(&output, r);
    return r;
}

static const struct command_option options[] = {
    {"quick", 0, NULL, NULL, "where malware lands first: /tmp, /home, /etc, /var/www, ..."},
    {"full", 0, NULL, NULL, "the whole host"},
    {"changed-days", 0, "DAYS", NULL, "only files changed within this number of days"},
    {"polite", 0, NULL, NULL, "pause while the host is busy (scan.schedule_max_load)"},
    {"no-cache", 0, NULL, NULL, "scan every file anew, also what is known to be unchanged"},
    {"report-all", 'a', NULL, NULL, "report clean files too"},
    {"no-action", 0, NULL, NULL, "only report malware, whatever the policy says"},
    {"changed-within", 0, "TIME", NULL, "only files changed within this time, such as 7d"},
    {"standalone", 0, NULL, NULL, "without the agent, as the caller; never acts on a file"},
    {"database", 0, "PATH", "FILE", "standalone: signatures (default: as agent.conf says)"},
    {"policy", 0, "FILE", "FILE", "standalone: limits and exclusions (default: built in)"},
    {NULL, 0, NULL, NULL, NULL},
};

const struct command command_scan = {
    .name = "scan",
    .arguments = "[PATH...]",
    .most = INT_MAX,
    .summary = "Scan files and directories now",
    .options = options,
    .more =
        "Exit: 0 everything is clean, 1 malware was found, 2 something could not be scanned or not\n"
        "completely. Ctrl-C cancels the scan.\n",
    .run = run_scan,
};
