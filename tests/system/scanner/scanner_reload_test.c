/* Signatures that come, go, change or are broken, while files are being scanned. */
#include "tests/system/scanner/scanner_fixture.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct scan_fixture fixture;
static int eicar_fd;

static int prepare(void **state)
{
    (void)state;
    scan_fixture_prepare(&fixture);
    eicar_fd = scan_fixture_file(eicar_text, strlen(eicar_text));
    return 0;
}

static void start(void)
{
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
}

static int stop(void **state)
{
    (void)state;
    close(eicar_fd);
    scan_fixture_stop(&fixture);
    return 0;
}

static enum scan_verdict eicar_verdict(void)
{
    return scan_fixture_scan_fd(&fixture, eicar_fd).verdict;
}

static bool has_problem(const struct scan_fixture *watched)
{
    return watched->status.problem[0] != '\0' && watched->status.state == SCANNER_READY;
}

static bool has_reloaded(const struct scan_fixture *watched)
{
    return watched->status.reloads >= 1 && scan_fixture_is_ready(watched);
}

static bool has_no_signatures(const struct scan_fixture *watched)
{
    return watched->status.state == SCANNER_NO_SIGNATURES;
}

static void test_a_broken_database_leaves_the_old_engine_working(void **state)
{
    (void)state;
    start();
    uint64_t generation = fixture.status.generation;
    scan_fixture_write_database(&fixture, "custom.ndb", "This is:not a signature\n");
    scan_fixture_until(&fixture, has_problem, "problem");
    print_message("%s\n", fixture.status.problem);
    assert_non_null(strstr(fixture.status.problem, "custom.ndb"));
    assert_true(fixture.status.generation == generation);
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
    scan_fixture_write_database(&fixture, "custom.ndb",
                                "Custom.Hello:0:0:68656c6c6f20776f726c64\n");
    scan_fixture_until(&fixture, has_reloaded, "reload");
    assert_string_equal(fixture.status.problem, "");
    assert_true(fixture.status.generation != generation);
    assert_int_equal(scan_fixture_scan_bytes(&fixture, "hello world", 11).verdict, SCAN_INFECTED);
}

static void test_a_broken_database_at_the_start_costs_only_itself(void **state)
{
    (void)state;
    scan_fixture_write_database(&fixture, "aaa.ndb", "broken one\n");
    scan_fixture_write_database(&fixture, "zzz.ldb", "broken;two\n");
    start();
    print_message("%s\n", fixture.status.problem);
    assert_non_null(strstr(fixture.status.problem, "2 broken"));
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

static void test_an_empty_folder_is_told_and_watched(void **state)
{
    (void)state;
    scan_fixture_write_database(&fixture, "eicar.ndb", NULL);
    scan_fixture_write_database(&fixture, "clamav.hdb", NULL);
    scan_fixture_start(&fixture);
    scan_fixture_until(&fixture, has_no_signatures, "state without signatures");
    print_message("%s\n", fixture.status.problem);
    assert_non_null(strstr(fixture.status.problem, fixture.databases));
    assert_int_equal(scanner_client_submit(fixture.client, eicar_fd, NULL), -EAGAIN);
    scan_fixture_write_database(&fixture, "eicar.ndb", eicar_database);
    scan_fixture_until(&fixture, scan_fixture_is_ready, "engine");
    assert_string_equal(fixture.status.problem, "");
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

static void test_a_folder_may_come_later(void **state)
{
    (void)state;
    char folder[160];
    char path[192];
    (void)text_format(folder, sizeof(folder), "%s/later/custom", fixture.folder);
    (void)text_format(path, sizeof(path), "%s/hello.ndb", folder);
    fixture.database_list[1] = folder;
    start();
    assert_int_equal(scan_fixture_scan_bytes(&fixture, "hello world", 11).verdict, SCAN_CLEAN);
    assert_int_equal(file_make_directories(folder, 0700), 0);
    static const char line[] = "Custom.Hello:0:0:68656c6c6f20776f726c64\n";
    assert_int_equal(file_replace(path, line, strlen(line), 0600), 0);
    scan_fixture_until(&fixture, has_reloaded, "reload");
    assert_int_equal(scan_fixture_scan_bytes(&fixture, "hello world", 11).verdict, SCAN_INFECTED);
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

static void test_a_deleted_database_is_noticed(void **state)
{
    (void)state;
    start();
    uint64_t generation = fixture.status.generation;
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
    scan_fixture_write_database(&fixture, "eicar.ndb", NULL);
    scan_fixture_until(&fixture, has_reloaded, "reload");
    assert_true(fixture.status.generation != generation);
    assert_int_equal(eicar_verdict(), SCAN_CLEAN);
}

/* Scans without a pause until the reload is through. Returns the longest time without room, ns. */
static uint64_t scan_through_reload(void)
{
    static struct scan_request requests[64];
    uint64_t longest_ns = 0;
    uint64_t since_ns = clock_monotonic_ns();
    size_t next = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++)
        requests[i].done = true;
    uint64_t end_ns = since_ns + 30 * NS_PER_SECOND;
    while (!has_reloaded(&fixture) && clock_monotonic_ns() < end_ns) {
        struct scan_request *request = &requests[next % ARRAY_LENGTH(requests)];
        if (request->done && scanner_client_room(fixture.client) > 0) {
            scan_fixture_submit(&fixture, eicar_fd, request);
            next++;
            since_ns = clock_monotonic_ns();
            continue;
        }
        longest_ns = MAX(longest_ns, clock_monotonic_ns() - since_ns);
        assert_true(event_loop_turn(fixture.loop, NS_PER_MS) >= 0);
        scanner_client_status(fixture.client, &fixture.status);
    }
    assert_true(has_reloaded(&fixture));
    for (size_t i = 0; i < MIN(next, ARRAY_LENGTH(requests)); i++) {
        scan_fixture_await(&fixture, &requests[i]);
        assert_int_equal(requests[i].result.verdict, SCAN_INFECTED);
    }
    print_message("%zu files, longest time without room %.1f ms\n", next, (double)longest_ns / 1e6);
    return longest_ns;
}

static void test_overlapping_reload_leaves_no_gap(void **state)
{
    (void)state;
    fixture.options.reload = SCANNER_RELOAD_OVERLAP;
    start();
    pid_t loader = fixture.status.loader_pid;
    assert_int_equal(scanner_client_reload(fixture.client), 0);
    assert_true(scan_through_reload() < 500 * NS_PER_MS);
    assert_int_not_equal(fixture.status.loader_pid, loader);
}

static bool is_loading(const struct scan_fixture *watched)
{
    return watched->status.state == SCANNER_LOADING;
}

static void test_sequential_reload_has_one_engine_at_a_time(void **state)
{
    (void)state;
    fixture.options.reload = SCANNER_RELOAD_SEQUENTIAL;
    start();
    pid_t loader = fixture.status.loader_pid;
    assert_int_equal(scanner_client_reload(fixture.client), 0);
    scan_fixture_until(&fixture, is_loading, "state loading");
    (void)scan_through_reload();
    assert_int_not_equal(fixture.status.loader_pid, loader);
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

/* With nothing to fall back on, what can be loaded is. */
static void test_sequential_reload_survives_a_broken_database(void **state)
{
    (void)state;
    fixture.options.reload = SCANNER_RELOAD_SEQUENTIAL;
    start();
    scan_fixture_write_database(&fixture, "custom.ndb", "broken\n");
    scan_fixture_until(&fixture, has_reloaded, "reload");
    assert_non_null(strstr(fixture.status.problem, "custom.ndb"));
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

static void test_generation_follows_content_and_options(void **state)
{
    (void)state;
    start();
    uint64_t generation = fixture.status.generation;
    fixture.client = scanner_client_stop(fixture.client);
    fixture.loop = event_loop_free(fixture.loop);
    scan_fixture_write_database(&fixture, "eicar.ndb",
                                eicar_database); /* a new file, same content */
    start();
    assert_true(fixture.status.generation == generation);
    struct scanner_options options = fixture.options;
    options.limits.heuristics = false;
    assert_int_equal(scanner_client_reconfigure(fixture.client, &options), 0);
    scan_fixture_until(&fixture, has_reloaded, "reload");
    assert_true(fixture.status.generation != generation);
}

static void test_worker_number_changes_at_once(void **state)
{
    (void)state;
    fixture.options.workers = 3;
    start();
    struct scanner_options options = fixture.options;
    options.workers = 1;
    assert_int_equal(scanner_client_reconfigure(fixture.client, &options), 0);
    fixture.options.workers = 1;
    scan_fixture_until(&fixture, scan_fixture_is_ready, "one worker");
    assert_int_equal(fixture.status.reloads, 0);
    options.workers = 4;
    assert_int_equal(scanner_client_reconfigure(fixture.client, &options), 0);
    fixture.options.workers = 4;
    scan_fixture_until(&fixture, scan_fixture_is_ready, "four workers");
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

/* SHA-256 of "hello world": denied by .hsb, and of EICAR: allowed by .sfp. */
static void test_hash_lists_allow_and_deny(void **state)
{
    (void)state;
    char folder[160];
    char path[192];
    static const char denied[] =
        "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9:11:Denied.Hello:73\n";
    static const char allowed[] =
        "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f:68:Allowed.Eicar:73\n";
    (void)text_format(folder, sizeof(folder), "%s/custom", fixture.folder);
    assert_int_equal(mkdir(folder, 0700), 0);
    (void)text_format(path, sizeof(path), "%s/deny.hsb", folder);
    assert_int_equal(file_replace(path, denied, strlen(denied), 0600), 0);
    fixture.database_list[1] = folder;
    start();
    struct scan_result result = scan_fixture_scan_bytes(&fixture, "hello world", 11);
    assert_int_equal(result.verdict, SCAN_INFECTED);
    assert_string_equal(result.signature, "Denied.Hello.UNOFFICIAL");
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
    (void)text_format(path, sizeof(path), "%s/allow.sfp", folder);
    assert_int_equal(file_replace(path, allowed, strlen(allowed), 0600), 0);
    scan_fixture_until(&fixture, has_reloaded, "reload");
    assert_int_equal(eicar_verdict(), SCAN_CLEAN);
}

static void test_refused_yara_rules_are_told(void **state)
{
    (void)state;
    scan_fixture_write_database(&fixture, "rules.yar",
                                "import \"pe\"\nrule one { condition: pe.is_dll() }\n");
    start();
    print_message("%s\n", fixture.status.problem);
    assert_string_not_equal(fixture.status.problem, "");
    assert_int_equal(eicar_verdict(), SCAN_INFECTED);
}

static void test_yara_rules_work(void **state)
{
    (void)state;
    scan_fixture_write_database(
        &fixture, "rules.yar", "rule Hello { strings: $a = \"hello yara world\" condition: $a }\n");
    start();
    assert_string_equal(fixture.status.problem, "");
    struct scan_result result = scan_fixture_scan_bytes(&fixture, "say hello yara world again", 26);
    assert_int_equal(result.verdict, SCAN_INFECTED);
    assert_string_equal(result.signature, "YARA.Hello.UNOFFICIAL");
}

int main(void)
{
#define RELOAD_TEST(test) cmocka_unit_test_setup_teardown(test, prepare, stop)
    const struct CMUnitTest tests[] = {
        RELOAD_TEST(test_a_broken_database_leaves_the_old_engine_working),
        RELOAD_TEST(test_a_broken_database_at_the_start_costs_only_itself),
        RELOAD_TEST(test_an_empty_folder_is_told_and_watched),
        RELOAD_TEST(test_a_folder_may_come_later),
        RELOAD_TEST(test_a_deleted_database_is_noticed),
        RELOAD_TEST(test_overlapping_reload_leaves_no_gap),
        RELOAD_TEST(test_sequential_reload_has_one_engine_at_a_time),
        RELOAD_TEST(test_sequential_reload_survives_a_broken_database),
        RELOAD_TEST(test_generation_follows_content_and_options),
        RELOAD_TEST(test_worker_number_changes_at_once),
        RELOAD_TEST(test_hash_lists_allow_and_deny),
        RELOAD_TEST(test_refused_yara_rules_are_told),
        RELOAD_TEST(test_yara_rules_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
