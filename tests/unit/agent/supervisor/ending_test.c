/* What is told of an end, whether or not it is known who asked for it, or whether anybody did. */
#include "agent/protection/protection.h"
#include "agent/supervisor/agent.h"
#include "agent/supervisor/ending.h"

#include "common/buffers/buffer.h"
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool is_protected;
static enum event_severity told_severity;
static char told_kind[32], told_detail[512];

bool protection_is_on(struct protection *protection UNUSED)
{
    return is_protected;
}

void agent_record(struct agent *agent UNUSED, const char *kind, enum event_severity severity,
                  const char *subject UNUSED, const char *detail)
{
    (void)text_copy(told_kind, sizeof told_kind, kind);
    (void)text_copy(told_detail, sizeof told_detail, detail != NULL ? detail : "");
    told_severity = severity;
}

/* ---- a store of one thread, whose disk commits when the test says so ---- */

static const uint64_t EARLY = 1000000000 * NS_PER_SECOND, LATE = 1000000300 * NS_PER_SECOND;
static struct store_status found;
static uint64_t event_ns;
static store_committed *waiting;

void store_status(struct store *store UNUSED, struct store_status *ret_status)
{
    *ret_status = found;
}

int store_read_events(struct store *store UNUSED, const struct event_filter *filter,
                      int (*row)(void *user, const struct event_record *event), void *user)
{
    const struct event_record event = {.number = filter->until_number - 1,
                                       .committed_ns = event_ns};

    assert_true(filter->newest_first && filter->limit == 1);
    assert_int_equal(event.number, found.found_number);
    (void)row(user, &event);
    return 0;
}

int store_append(struct store *store UNUSED, const struct event_draft *draft,
                 store_work *work UNUSED, store_committed *committed, void *user UNUSED)
{
    agent_record(NULL, draft->kind, draft->severity, draft->subject, draft->detail);
    waiting = committed;
    return 0;
}

int store_run(struct store *store UNUSED, store_work *work, store_committed *committed UNUSED,
              void *user)
{
    return work(user, NULL);
}

static char folder[64], mark[128];

static void read_mark(char text[static 128])
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(127);

    assert_int_equal(file_read_all(mark, &content), 0);
    (void)text_copy(text, 128, buffer_text(&content));
}

static void set_mark_time(uint64_t ns)
{
    const struct timespec times[2] = {timespec_from_ns(ns), timespec_from_ns(ns)};

    assert_int_equal(utimensat(AT_FDCWD, mark, times, 0), 0);
}

static uint64_t mark_time(void)
{
    struct stat status;

    assert_int_equal(stat(mark, &status), 0);
    return timespec_to_ns(status.st_mtim);
}

static struct agent_config config;
static struct agent agent_that_starts(uint64_t started_ns)
{
    struct agent agent = {.config = &config, .started_ns = started_ns};

    assert_int_equal(event_loop_new(&agent.loop), 0);
    return agent;
}

static void end_without_stopping(struct agent *agent)
{
    agent->sign_timer = event_timer_free(agent->sign_timer);
    agent->loop = event_loop_free(agent->loop);
    free(agent->mark_path);
}

static int make_folder(void **state UNUSED)
{
    (void)text_copy(folder, sizeof folder, "/tmp/yagura-ending-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)text_format(mark, sizeof mark, "%s/running", folder);
    config.state_directory = folder;
    found = (struct store_status){.found_number = 7};
    waiting = NULL;
    told_kind[0] = '\0';
    is_protected = false;
    return 0;
}

static int remove_folder(void **state UNUSED)
{
    return file_remove_tree(AT_FDCWD, folder);
}

/* A run that began at EARLY and was killed; the one after it, started. */
static struct agent after_a_death(uint64_t sign_ns, uint64_t last_event_ns)
{
    struct agent killed = agent_that_starts(EARLY);

    ending_open(&killed);
    assert_string_equal(told_kind, "");
    end_without_stopping(&killed);
    set_mark_time(sign_ns);
    event_ns = last_event_ns;
    struct agent agent = agent_that_starts(LATE);
    ending_open(&agent);
    assert_string_equal(told_kind, "agent_died");
    return agent;
}

static void a_death_says_from_when_on_nothing_was_seen(void **state UNUSED)
{
    const uint64_t early = EARLY + NS_PER_SECOND, late = EARLY + 2 * NS_PER_SECOND;
    static const char expected[] = "{\"protected\":false,\"started\":\"2001-09-09T01:46:40.000Z\","
                                   "\"unseen_from\":\"2001-09-09T01:46:42.000Z\"}";

    struct agent agent = after_a_death(early, late);
    assert_string_equal(told_detail, expected);
    waiting(&agent, 0, 8);
    ending_tell_stop(&agent);
    ending_close(&agent);
    assert_int_equal(access(mark, F_OK), -1);
    agent.loop = event_loop_free(agent.loop);
    told_kind[0] = '\0';
    agent = after_a_death(late, early);
    assert_string_equal(told_detail, expected);
    end_without_stopping(&agent);
}

static void a_death_is_told_until_that_is_committed(void **state UNUSED)
{
    char text[128], started[CLOCK_TEXT_BYTES];
    struct agent agent = after_a_death(EARLY, EARLY);

    clock_format(started, EARLY);
    read_mark(text);
    assert_non_null(strstr(text, started));
    waiting(&agent, -EIO, 0);
    read_mark(text);
    assert_non_null(strstr(text, started));
    waiting(&agent, 0, 8);
    clock_format(started, LATE);
    read_mark(text);
    assert_non_null(strstr(text, started));
    end_without_stopping(&agent);
}

static void signs_of_life_are_given_while_the_disk_works(void **state UNUSED)
{
    struct agent agent;

    clock_set_fake(LATE, LATE);
    agent = agent_that_starts(EARLY);
    ending_open(&agent);
    set_mark_time(EARLY);
    clock_set_fake(LATE + 59 * NS_PER_SECOND, LATE);
    assert_int_equal(event_loop_turn(agent.loop, 0), 0);
    assert_int_equal(mark_time(), EARLY);
    found.problem = -ENOSPC;
    clock_set_fake(LATE + 61 * NS_PER_SECOND, LATE);
    assert_int_equal(event_loop_turn(agent.loop, 0), 1);
    assert_int_equal(mark_time(), EARLY);
    found.problem = 0;
    clock_set_fake(LATE + 121 * NS_PER_SECOND, LATE);
    assert_int_equal(event_loop_turn(agent.loop, 0), 1);
    assert_true(mark_time() > LATE);
    end_without_stopping(&agent);
    clock_set_fake(0, 0);
}

static void an_end_by_itself_says_whether_it_was_protected(void **state UNUSED)
{
    struct agent agent = {.stop_detail = NULL};

    is_protected = true;
    ending_tell_stop(&agent);
    assert_string_equal(told_kind, "agent_stopped");
    assert_string_equal(told_detail, "{\"protected\":true}");
    assert_int_equal(told_severity, EVENT_HIGH);
    is_protected = false;
    ending_tell_stop(&agent);
    assert_string_equal(told_detail, "{\"protected\":false}");
    assert_int_equal(told_severity, EVENT_INFO);
}

static void who_stopped_it_is_told(void **state UNUSED)
{
    char detail[] = "{\"protected\":true,\"signal\":\"Terminated\"}";
    struct agent agent = {.stop_detail = detail};

    ending_tell_stop(&agent);
    assert_string_equal(told_detail, detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_end_by_itself_says_whether_it_was_protected),
        cmocka_unit_test(who_stopped_it_is_told),
        cmocka_unit_test_setup_teardown(a_death_says_from_when_on_nothing_was_seen, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(a_death_is_told_until_that_is_committed, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(signs_of_life_are_given_while_the_disk_works, make_folder,
                                        remove_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
