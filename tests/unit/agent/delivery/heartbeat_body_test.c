/* Which events a heartbeat carries, and that hostile names cannot make it too long. */
#include "agent/delivery/heartbeat_body.h"

#include "agent/store/store.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

struct place {
    char directory[64], path[96];
    struct store *store;
};

static const struct link_settings settings = {.hostname = "host",
                                              .machine_id = "machine",
                                              .boot_id = "boot",
                                              .os = "Test 1",
                                              .session = "01a20110-8b87-741b-b374-275c67b8f792"};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    char notice[512];

    (void)text_copy(place->directory, sizeof place->directory, "/tmp/heartbeat_body_XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    assert_true(text_format(place->path, sizeof place->path, "%s/events", place->directory) > 0);
    const struct store_options options = {.path = place->path};
    assert_int_equal(store_open(&options, &place->store, notice), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    (void)store_close(place->store);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static void append(struct place *place, const char *subject, size_t count)
{
    const struct event_draft draft = {.module = "malware",
                                      .kind = "malware_found",
                                      .subject = subject};

    for (size_t i = 0; i + 1 < count; i++)
        assert_int_equal(store_append(place->store, &draft, NULL, NULL, NULL), 0);
    assert_int_equal(store_append_wait(place->store, &draft, NULL, NULL, NULL), 0);
}

/* The decoded heartbeat; the caller frees it. */
static struct wire_heartbeat write_body(struct place *place, struct command_result *results,
                                        size_t count, bool *more)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_HEARTBEAT_BYTES);
    const struct heartbeat_body heartbeat = {.settings = &settings,
                                             .facts = "{\"state\":\"protecting\"}",
                                             .policy_digest = "",
                                             .policy_problem = "",
                                             .results = results,
                                             .result_count = count};
    struct wire_heartbeat decoded;
    struct wire_problem problem = {.text = ""};

    assert_int_equal(heartbeat_body_write(place->store, &heartbeat, &body, more), 0);
    assert_true(body.length <= LIMIT_HEARTBEAT_BYTES);
    int r = wire_heartbeat_decode(buffer_text(&body), body.length, &decoded, &problem);
    assert_string_equal(problem.text, "");
    assert_int_equal(r, 0);
    return decoded;
}

static void test_the_oldest_unacknowledged_go_first(void **state)
{
    struct place *place = *state;
    bool more;

    append(place, "/srv/file", LIMIT_HEARTBEAT_EVENTS + 10);
    struct wire_heartbeat heartbeat = write_body(place, NULL, 0, &more);
    assert_int_equal(heartbeat.event_count, LIMIT_HEARTBEAT_EVENTS);
    assert_int_equal(heartbeat.events[0].number, 1);
    assert_int_equal(heartbeat.events[499].number, 500);
    assert_true(more);
    wire_heartbeat_done(&heartbeat);

    assert_int_equal(store_acknowledge(place->store, 500, NULL, NULL), 0);
    append(place, "/srv/last", 1); /* committed after the acknowledgement */
    heartbeat = write_body(place, NULL, 0, &more);
    assert_int_equal(heartbeat.event_count, 11);
    assert_int_equal(heartbeat.events[0].number, 501);
    assert_false(more);
    wire_heartbeat_done(&heartbeat);
}

/* A subject may be a path of 4,095 quotes: each takes two bytes of JSON. */
static void test_hostile_names_make_it_no_longer(void **state)
{
    struct place *place = *state;
    static struct command_result results[64];
    static char subject[LIMIT_EVENT_SUBJECT_BYTES];
    bool more;

    memset(subject, '"', sizeof subject - 1);
    append(place, subject, 200);
    for (size_t i = 0; i < ARRAY_LENGTH(results); i++) {
        (void)text_copy(results[i].id, sizeof results[i].id, settings.session);
        memset(results[i].output, '\\', sizeof results[i].output - 1);
    }
    struct wire_heartbeat heartbeat = write_body(place, results, ARRAY_LENGTH(results), &more);
    assert_int_equal(heartbeat.result_count, LIMIT_HEARTBEAT_COMMANDS);
    assert_true(heartbeat.event_count > 0);
    assert_int_equal(heartbeat.events[0].number, 1);
    assert_true(more);
    wire_heartbeat_done(&heartbeat);
}

/* The disk was full from the start: there is no epoch that numbers could belong to. */
static void test_without_a_store_there_is_no_heartbeat(void **state)
{
    struct place *place = *state;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_HEARTBEAT_BYTES);
    const struct heartbeat_body heartbeat = {
        .settings = &settings, .facts = "{}", .policy_digest = "", .policy_problem = ""};
    char path[96];
    const struct store_options options = {.path = path};
    struct store *store = NULL;
    struct rlimit before;
    char notice[512];
    bool more;

    assert_true(text_format(path, sizeof path, "%s/other", place->directory) > 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit full = {.rlim_cur = 0, .rlim_max = before.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &full), 0);
    int r = store_open(&options, &store, notice);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(r, 0);
    assert_int_equal(heartbeat_body_write(store, &heartbeat, &body, &more), -EAGAIN);
    (void)store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_oldest_unacknowledged_go_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_names_make_it_no_longer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_a_store_there_is_no_heartbeat, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
