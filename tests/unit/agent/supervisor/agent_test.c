/* A policy is applied whole or not at all. The modules are replaced by ones that record what they
 * were told and refuse when asked to. */
#include "agent/protection/protection.h"
#include "agent/supervisor/agent.h"
#include "agent/tamper/tamper.h"
#include "common/event_loop/event_loop.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct {
    uint64_t store_max_age_ns;
    enum respond_action action;
    uint64_t max_file_size;
    size_t watched_paths;
    bool watching, integrity, logs, is_protected;
    enum event_severity lowest_log;
    uint64_t schedule_ns, health_ns, scanner_memory;
    int refuse;     /* what scan_pipeline_reconfigure answers to a limit other than 100 MiB */
    int refuse_all; /* what it answers to any */
    int no_watch;   /* what watch_start answers */
    unsigned mends; /* how often the timer was started */
    uint64_t mend_delay_ns;
    struct {
        enum application_mode mode;
        bool trust_packages, deny_late;
        uint64_t deadline_ns, most_bytes;
        size_t paths, excluded, allowed, blocked;
    } applications;
    char last_kind[64];
    char last_detail[512];
} modules;

int store_append(struct store *store UNUSED, const struct event_draft *draft,
                 store_work *work UNUSED, store_committed *committed UNUSED, void *user UNUSED)
{
    (void)text_copy(modules.last_kind, sizeof modules.last_kind, draft->kind);
    (void)text_copy(modules.last_detail, sizeof modules.last_detail, draft->detail);
    return 0;
}

int store_reconfigure(struct store *store UNUSED, const struct store_options *options)
{
    modules.store_max_age_ns = options->max_age_ns;
    return 0;
}

int responder_reconfigure(struct responder *responder UNUSED,
                          const struct responder_options *options)
{
    modules.action = options->action;
    return 0;
}

int scan_pipeline_reconfigure(struct scan_pipeline *pipeline UNUSED,
                              const struct scan_pipeline_options *options)
{
    modules.max_file_size = options->scanner.limits.max_file_size;
    if (modules.refuse_all < 0)
        return modules.refuse_all;
    return modules.max_file_size == 100ULL << 20 ? 0 : modules.refuse;
}

void scan_pipeline_take_event(struct scan_pipeline *pipeline UNUSED,
                              const struct watch_event *event UNUSED)
{
}

int integrity_reconfigure(struct integrity *integrity UNUSED,
                          const struct integrity_options *options)
{
    modules.integrity = options->enabled;
    return 0;
}

int logs_reconfigure(struct logs *logs UNUSED, const struct logs_options *options)
{
    modules.logs = options->enabled;
    modules.lowest_log = options->lowest;
    return 0;
}

int scan_schedule_reconfigure(struct scan_schedule *schedule UNUSED,
                              const struct scan_schedule_options *options)
{
    modules.schedule_ns = options->schedule.interval_ns;
    return 0;
}

void delivery_set_mirror(struct delivery *delivery UNUSED,
                         const struct delivery_mirror *mirror UNUSED)
{
}

int prevention_reconfigure(struct prevention *prevention UNUSED,
                           const struct prevention_options *options UNUSED)
{
    return 0;
}

static size_t count(const char *const *list)
{
    size_t length = 0;

    while (list[length] != NULL)
        length++;
    return length;
}

int application_control_reconfigure(struct application_control *control UNUSED,
                                    const struct application_control_options *options)
{
    modules.applications.mode = options->mode;
    modules.applications.trust_packages = options->trust_packages;
    modules.applications.deny_late = options->deny_late;
    modules.applications.deadline_ns = options->deadline_ns;
    modules.applications.most_bytes = options->most_bytes;
    modules.applications.paths = count(options->paths);
    modules.applications.excluded = count(options->exclude_directories);
    modules.applications.allowed = count(options->allow_hashes);
    modules.applications.blocked = count(options->block_hashes);
    return 0;
}

void integrity_take_event(struct integrity *integrity UNUSED,
                          const struct watch_event *event UNUSED)
{
}

void resources_reconfigure(struct resources *resources UNUSED,
                           const struct resources_options *options)
{
    modules.scanner_memory = options->scanner_memory;
}

void tamper_set_interval(struct tamper *tamper UNUSED, uint64_t interval_ns)
{
    assert_true(interval_ns > 0);
}

void protection_set(struct protection *protection UNUSED, bool enabled)
{
    modules.is_protected = enabled;
}

int health_reconfigure(struct health *health UNUSED, const struct health_options *options)
{
    modules.health_ns = options->interval_ns;
    return 0;
}

void health_set_watch(struct health *health UNUSED, struct watch *watch UNUSED) {}

enum health_share health_take_event(struct health *health UNUSED,
                                    const struct watch_event *event UNUSED)
{
    return HEALTH_NOT_OURS;
}

static void see_watch(const struct watch_options *options)
{
    modules.watching = true;
    modules.watched_paths = count(options->paths);
}

int watch_start(const struct watch_options *options, watch_sink *sink UNUSED, void *user UNUSED,
                struct watch **ret_watch)
{
    static char the_watch;

    if (modules.no_watch < 0)
        return modules.no_watch;
    see_watch(options);
    *ret_watch = (struct watch *)(void *)&the_watch;
    return 0;
}

int watch_reconfigure(struct watch *watch UNUSED, const struct watch_options *options)
{
    see_watch(options);
    return 0;
}

struct watch *watch_stop(struct watch *watch UNUSED)
{
    modules.watching = false;
    return NULL;
}

void event_timer_start(struct event_timer *timer UNUSED, uint64_t delay_ns,
                       uint64_t interval_ns UNUSED)
{
    modules.mends++;
    modules.mend_delay_ns = delay_ns;
}

/* ---- the fixture: a configuration in a folder of its own ------------------------------------- */

struct fixture {
    char folder[64];
    char policy_path[128];
    struct agent agent;
};

static void write_policy(struct fixture *fixture, const char *text)
{
    assert_int_equal(file_replace(fixture->policy_path, text, strlen(text), 0600), 0);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    char config_path[128], config[512];
    struct settings_error error;
    struct policy *policy;

    memset(&modules, 0, sizeof modules);
    memset(&fixture, 0, sizeof fixture);
    (void)text_copy(fixture.folder, sizeof fixture.folder, "/tmp/yagura-agent-test-XXXXXX");
    assert_non_null(mkdtemp(fixture.folder));
    (void)text_format(fixture.policy_path, sizeof fixture.policy_path, "%s/policy.conf",
                      fixture.folder);
    (void)text_format(config_path, sizeof config_path, "%s/agent.conf", fixture.folder);
    (void)text_format(config, sizeof config, "state_directory = \"%s/state\";\npolicy = \"%s\";\n",
                      fixture.folder, fixture.policy_path);
    assert_int_equal(file_replace(config_path, config, strlen(config), 0600), 0);
    write_policy(&fixture, "watch = { paths = ( \"/srv\" ); };\n");
    assert_int_equal(agent_config_load(config_path, &fixture.agent.config, &error), 0);
    assert_int_equal(agent_load_policy(&fixture.agent, &policy, &error), 0);
    assert_int_equal(module_options_new(fixture.agent.config, policy, &fixture.agent.options), 0);
    (void)policy_unref(policy);
    assert_int_equal(agent_start_watch(&fixture.agent), 0);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    fixture->agent.options = module_options_free(fixture->agent.options);
    fixture->agent.config = agent_config_free(fixture->agent.config);
    assert_int_equal(file_remove_tree(AT_FDCWD, fixture->folder), 0);
    return 0;
}

/* ---- the tests --------------------------------------------------------------------------------
 */

static void options_say_what_the_policy_says(void **state)
{
    struct fixture *fixture = *state;
    const struct module_options *options = fixture->agent.options;

    assert_string_equal(options->watch.paths[0], "/srv");
    assert_null(options->watch.paths[1]);
    assert_int_equal(options->respond.action, RESPOND_QUARANTINE);
    assert_int_equal(options->respond.heuristic_action, RESPOND_PASS);
    assert_int_equal(options->scan.scanner.limits.max_time_ns, 60000000000ULL);
    assert_int_not_equal(options->scan.scanner.workers, 0);
    assert_true(text_ends_with(options->store.path, "/state/events.db"));
    assert_true(text_ends_with(options->own_directories[0], "/state"));
}

static void a_new_policy_reaches_every_module(void **state)
{
    struct fixture *fixture = *state;
    struct settings_error error;

    write_policy(fixture, "watch = { paths = ( \"/srv\", \"/opt\" ); };\n"
                          "respond = { action = \"delete\"; };\n"
                          "store = { max_age = \"7d\"; };\n"
                          "protection = { enabled = true; };\n"
                          "limits = { scanner_memory = 33; };\n"
                          "log_inspection = { enabled = true; lowest_severity = \"high\"; };\n"
                          "health = { interval = \"7m\"; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_int_equal(modules.watched_paths, 2);
    assert_int_equal(modules.action, RESPOND_DELETE);
    assert_int_equal(modules.store_max_age_ns, 7ULL * 86400 * 1000000000ULL);
    assert_true(modules.is_protected);
    assert_true(modules.logs);
    assert_int_equal(modules.lowest_log, EVENT_HIGH);
    assert_int_equal(modules.scanner_memory, 33);
    assert_int_equal(modules.health_ns, 420ULL * 1000000000ULL);
    assert_string_equal(modules.last_kind, "policy_applied");
}

#define A_HASH "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""
#define B_HASH "\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\""

static void application_control_obeys_each_of_its_keys(void **state)
{
    struct fixture *fixture = *state;
    struct settings_error error;

    write_policy(fixture, "application_control = {\n"
                          "  mode = \"block\"; on_timeout = \"deny\"; trust_packages = false;\n"
                          "  deadline = \"7s\"; max_file_size = \"3M\";\n"
                          "  paths = ( \"/srv\", \"/opt\" );\n"
                          "  exclude_directories = ( \"/srv/1/\", \"/srv/2/\", \"/srv/3/\" );\n"
                          "  allow_hashes = ( " A_HASH " );\n"
                          "  block_hashes = ( " A_HASH ", " B_HASH " );\n"
                          "};\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_int_equal(modules.applications.mode, APPLICATION_BLOCK);
    assert_true(modules.applications.deny_late);
    assert_false(modules.applications.trust_packages);
    assert_int_equal(modules.applications.deadline_ns, 7ULL * 1000000000ULL);
    assert_int_equal(modules.applications.most_bytes, 3ULL << 20);
    assert_int_equal(modules.applications.paths, 2);
    assert_int_equal(modules.applications.excluded, 3);
    assert_int_equal(modules.applications.allowed, 1);
    assert_int_equal(modules.applications.blocked, 2);
    write_policy(fixture, "application_control = { mode = \"report\"; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_int_equal(modules.applications.mode, APPLICATION_REPORT);
    assert_false(modules.applications.deny_late);
    assert_true(modules.applications.trust_packages);
}

static void a_broken_policy_changes_nothing(void **state)
{
    struct fixture *fixture = *state;
    const struct module_options *before = fixture->agent.options;
    struct settings_error error;

    write_policy(fixture, "respond = { action = \"explode\"; };\n");
    assert_true(agent_reload_policy(&fixture->agent, &error) < 0);
    assert_ptr_equal(fixture->agent.options, before);
    assert_int_equal(modules.store_max_age_ns, 0); /* no module was told */
    assert_non_null(strstr(error.text, "policy.conf:1"));
    assert_non_null(strstr(error.text, "respond.action"));
    assert_string_equal(modules.last_kind, "policy_refused");
    assert_non_null(strstr(modules.last_detail, "respond.action"));
}

static void a_module_that_refuses_gets_the_old_policy_back(void **state)
{
    struct fixture *fixture = *state;
    const struct module_options *before = fixture->agent.options;
    struct settings_error error;

    modules.refuse = -ENOSPC;
    write_policy(fixture, "respond = { action = \"delete\"; };\n"
                          "scan = { max_file_size = \"5M\"; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), -ENOSPC);
    assert_ptr_equal(fixture->agent.options, before);
    assert_int_equal(modules.action, RESPOND_QUARANTINE);
    assert_int_equal(modules.max_file_size, 100ULL << 20);
    assert_string_equal(modules.last_kind, "policy_refused");
}

static void watching_can_be_switched_off_and_on(void **state)
{
    struct fixture *fixture = *state;
    struct settings_error error;

    assert_true(modules.watching);
    write_policy(fixture, "watch = { enabled = false; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_false(modules.watching);
    write_policy(fixture, "watch = { enabled = true; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_true(modules.watching);
}

/* ---- what the host lacks for now -------------------------------------------------------------
 */

static void a_watch_that_cannot_be_started_anew_is_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct agent *agent = &fixture->agent;

    modules.no_watch = -EMFILE;
    agent_restart_watch(agent);
    assert_null(agent->watch);
    assert_int_equal(agent->watch_problem, -EMFILE);
    assert_int_equal(modules.mends, 1);
    uint64_t first_ns = modules.mend_delay_ns;
    agent_mend(agent);
    assert_int_equal(modules.mends, 2);
    assert_int_equal(modules.mend_delay_ns, 2 * first_ns);
    assert_string_equal(modules.last_kind, "");
    modules.no_watch = 0;
    agent_mend(agent);
    assert_true(modules.watching);
    assert_int_equal(agent->watch_problem, 0);
    assert_int_equal(modules.mends, 2);
    assert_string_equal(modules.last_kind, "sensor_restarted");
    modules.no_watch = -EMFILE;
    agent_restart_watch(agent);
    assert_int_equal(modules.mend_delay_ns, first_ns);
}

static void an_agent_begins_without_the_watch_it_lacks_descriptors_for(void **state)
{
    struct fixture *fixture = *state;
    struct agent *agent = &fixture->agent;

    agent_stop_watch(agent);
    modules.no_watch = -EMFILE;
    assert_int_equal(agent_begin_watch(agent), 0);
    assert_int_equal(agent->watch_problem, -EMFILE);
    assert_int_equal(modules.mends, 1);
    modules.no_watch = 0;
    agent_mend(agent);
    assert_true(modules.watching);
    agent_stop_watch(agent);
    modules.no_watch = -EINVAL;
    assert_int_equal(agent_begin_watch(agent), -EINVAL);
    assert_int_equal(modules.mends, 1);
}

static void a_policy_is_applied_while_there_is_no_watch(void **state)
{
    struct fixture *fixture = *state;
    struct settings_error error;

    modules.no_watch = -EMFILE;
    agent_restart_watch(&fixture->agent);
    write_policy(fixture, "respond = { action = \"delete\"; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_int_equal(modules.action, RESPOND_DELETE);
    assert_int_equal(fixture->agent.watch_problem, -EMFILE);
    write_policy(fixture, "watch = { enabled = false; };\n");
    assert_int_equal(agent_reload_policy(&fixture->agent, &error), 0);
    assert_int_equal(fixture->agent.watch_problem, 0);
    agent_mend(&fixture->agent);
    assert_false(modules.watching);
    assert_int_equal(modules.mends, 1);
}

static void a_policy_that_cannot_be_restored_is_restored_later(void **state)
{
    struct fixture *fixture = *state;
    struct agent *agent = &fixture->agent;
    struct settings_error error;

    modules.refuse_all = -EMFILE;
    write_policy(fixture, "respond = { action = \"delete\"; };\n"
                          "health = { interval = \"7m\"; };\n");
    assert_int_equal(agent_reload_policy(agent, &error), -EMFILE);
    assert_true(agent->unapplied);
    assert_int_equal(modules.mends, 1);
    agent_mend(agent);
    assert_int_equal(modules.mends, 2);
    assert_int_equal(modules.health_ns, 0); /* behind the module that refuses */
    modules.refuse_all = 0;
    agent_mend(agent);
    assert_false(agent->unapplied);
    assert_int_equal(modules.mends, 2);
    assert_int_equal(modules.action, RESPOND_QUARANTINE);
    assert_int_equal(modules.health_ns, 300ULL * 1000000000ULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(options_say_what_the_policy_says, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_new_policy_reaches_every_module, set_up, tear_down),
        cmocka_unit_test_setup_teardown(application_control_obeys_each_of_its_keys, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_broken_policy_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_module_that_refuses_gets_the_old_policy_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(watching_can_be_switched_off_and_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_watch_that_cannot_be_started_anew_is_tried_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_agent_begins_without_the_watch_it_lacks_descriptors_for,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_policy_is_applied_while_there_is_no_watch, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_policy_that_cannot_be_restored_is_restored_later, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
