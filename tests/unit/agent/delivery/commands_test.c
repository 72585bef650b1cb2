/* Only what is on the list is done, with arguments that are looked at. */
#include "agent/delivery/commands.h"

#include "agent/scan/scan_pipeline.h"
#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AGENT   "01a20110-8b87-741b-b374-275c67b8f792"
#define COMMAND "01a20110-8c8f-7be4-bdb3-843036f9649c"
#define HOUR_MS 3600000ULL

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned count;
    bool good, pending;
    char output[LIMIT_COMMAND_OUTPUT_BYTES];
} result = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static struct wire_command command_of(const char *type, const char *arguments)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;

    return (struct wire_command){.agent_id = AGENT,
                                 .id = COMMAND,
                                 .type = type,
                                 .arguments = arguments,
                                 .issued_ms = now_ms,
                                 .expires_ms = now_ms + HOUR_MS};
}

static int set_up(void **state UNUSED)
{
    result.count = 0;
    result.pending = false;
    return 0;
}

static void note_result(void *user UNUSED, const char *id, bool good, const char *output)
{
    assert_string_equal(id, COMMAND);
    (void)pthread_mutex_lock(&result.lock);
    result.count++;
    result.good = good;
    (void)text_copy(result.output, sizeof result.output, output);
    (void)pthread_cond_signal(&result.changed);
    (void)pthread_mutex_unlock(&result.lock);
}

static bool is_pending(void *user UNUSED, const char *id)
{
    assert_string_equal(id, COMMAND);
    return result.pending;
}

static void run(const char *type, const char *arguments)
{
    static const struct command_context context = {.done = note_result,
                                                   .directory = "/nonexistent",
                                                   .program_directory = "/nonexistent"};
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(65536);
    const struct wire_command command = command_of(type, arguments);
    struct commands *commands = NULL;

    assert_int_equal(commands_new(&context, &commands), 0);
    assert_int_equal(wire_command_encode(&command, &document), 0);
    command_run(commands, buffer_text(&document));
    (void)pthread_mutex_lock(&result.lock);
    while (result.count == 0) /* some are done by the worker */
        (void)pthread_cond_wait(&result.changed, &result.lock);
    (void)pthread_mutex_unlock(&result.lock);
    (void)commands_free(commands);
}

static void test_what_is_not_on_the_list_is_not_done(void **state UNUSED)
{
    run("run_shell", "{}");
    assert_int_equal(result.count, 1);
    assert_false(result.good);
    assert_non_null(strstr(result.output, "does not know"));
}

static void test_wrong_arguments_are_told(void **state UNUSED)
{
    static const char *const wrong[][2] = {
        {"scan", "{}"},
        {"scan", "{\"path\":7}"},
        {"scan", "{\"path\":\"relative\"}"},
        {"scan", "{\"path\":\"/bad\\\\xzz\"}"},
        {"quarantine_restore", "{}"},
        {"quarantine_restore", "{\"id\":\"../../etc\"}"},
        {"quarantine_delete", "{\"id\":\"01a20110\"}"},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        result.count = 0;
        run(wrong[i][0], wrong[i][1]);
        assert_int_equal(result.count, 1);
        assert_false(result.good);
    }
}

static void test_what_is_off_is_said(void **state UNUSED)
{
    run("rebuild_baseline", "{}");
    assert_false(result.good);
    assert_non_null(strstr(result.output, "integrity monitoring is off"));
    result.count = 0;
    run("learn_programs", "{}");
    assert_false(result.good);
    assert_non_null(strstr(result.output, "application control is off"));
    result.count = 0;
    run("maintenance", "{\"minutes\":\"30\"}");
    assert_false(result.good);
    assert_non_null(strstr(result.output, "application control is off"));
    result.count = 0;
    run("maintenance", "{\"minutes\":\"1441\"}");
    assert_non_null(strstr(result.output, "minutes must be 0 to 1440"));
    result.count = 0;
    run("maintenance", "{\"minutes\":\"-1\"}");
    assert_non_null(strstr(result.output, "minutes must be 0 to 1440"));
}

static void test_a_version_is_one_or_nothing(void **state UNUSED)
{
    static const char *const wrong[] = {"-y",      "1.0;reboot", "$(id)",  "../1", "1 2",
                                        "v1",      "1.0\\n2",    "--help", "1/2",  "1%s",
                                        "1.0`id`", "1.0*",       "1.0=2",  ""};
    char arguments[128];

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        result.count = 0;
        (void)text_format(arguments, sizeof arguments, "{\"version\":\"%s\"}", wrong[i]);
        run("upgrade", arguments);
        assert_false(result.good);
        assert_non_null(strstr(result.output, "does not look like one"));
    }
    (void)text_format(arguments, sizeof arguments, "{\"version\":\"%064d\"}", 1);
    run("upgrade", arguments);
    assert_null(strstr(result.output, "does not look like one"));
    (void)text_format(arguments, sizeof arguments, "{\"version\":\"%065d\"}", 1);
    run("upgrade", arguments);
    assert_non_null(strstr(result.output, "does not look like one"));
}

static void test_a_lost_result_is_told(void **state UNUSED)
{
    static const struct command_context context = {.done = note_result,
                                                   .directory = "/nonexistent",
                                                   .program_directory = "/nonexistent"};
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(65536);
    const struct wire_command command = command_of("scan_full", "{}");
    struct commands *commands = NULL;

    assert_int_equal(commands_new(&context, &commands), 0);
    assert_int_equal(wire_command_encode(&command, &document), 0);
    result.pending = true;
    command_repeated(commands, buffer_text(&document), is_pending);
    assert_int_equal(result.count, 0);
    result.pending = false;
    command_repeated(commands, buffer_text(&document), is_pending);
    assert_int_equal(result.count, 1);
    assert_false(result.good);
    (void)commands_free(commands);
}

static struct scan_job_options ordered;

/* In place of the pipeline: notes what is ordered and refuses it. */
int __wrap_scan_job_start(struct scan_pipeline *pipeline, const struct scan_job_options *options,
                          const struct scan_job_callbacks *callbacks, void *user,
                          struct scan_job **ret_job);
int __wrap_scan_job_start(struct scan_pipeline *pipeline UNUSED,
                          const struct scan_job_options *options,
                          const struct scan_job_callbacks *callbacks UNUSED, void *user UNUSED,
                          struct scan_job **ret_job UNUSED)
{
    ordered = *options;
    return -ESHUTDOWN;
}

/* Somebody waits for it: a busy host is no reason to let it stand. */
static void test_an_ordered_scan_is_not_held(void **state UNUSED)
{
    static const char *const orders[][2] = {{"scan", "{\"path\":\"/srv\"}"},
                                            {"scan_quick", "{}"},
                                            {"scan_full", "{}"}};

    for (size_t i = 0; i < ARRAY_LENGTH(orders); i++) {
        ordered = (struct scan_job_options){.polite = true};
        result.count = 0;
        run(orders[i][0], orders[i][1]);
        assert_int_equal(ordered.cause, SCAN_CAUSE_DEMAND);
        assert_true(ordered.act);
        assert_false(ordered.polite);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_ordered_scan_is_not_held, set_up),
        cmocka_unit_test_setup(test_what_is_not_on_the_list_is_not_done, set_up),
        cmocka_unit_test_setup(test_wrong_arguments_are_told, set_up),
        cmocka_unit_test_setup(test_what_is_off_is_said, set_up),
        cmocka_unit_test_setup(test_a_version_is_one_or_nothing, set_up),
        cmocka_unit_test_setup(test_a_lost_result_is_told, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
