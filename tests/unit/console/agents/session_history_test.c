/* Restarts, two copies and three; more runs than are kept. */
#include "console/agents/session_history.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define A "aaaaaaaa-0000-4000-8000-000000000000"
#define B "bbbbbbbb-0000-4000-8000-000000000000"
#define C "cccccccc-0000-4000-8000-000000000000"

static void expect(const struct session_history *history, const char *current, const char *earlier,
                   const char *blocked)
{
    assert_string_equal(history->current, current);
    assert_string_equal(history->earlier, earlier);
    assert_string_equal(history->blocked, blocked);
}

static void a_restart_blocks_nobody(void **state UNUSED)
{
    struct session_history history = {.current = A};
    session_history_begin(&history, B);
    session_history_begin(&history, C);
    expect(&history, C, A " " B, "");
    assert_true(session_list_holds(history.earlier, B));
    assert_false(session_list_holds(history.earlier, C));
    assert_false(session_list_holds(history.earlier, ""));
    assert_false(session_list_holds(history.earlier, "aaaaaaaa"));
}

static void the_first_of_two_stays(void **state UNUSED)
{
    struct session_history history = {.current = A};
    session_history_begin(&history, B);
    session_history_return(&history, A);
    expect(&history, A, "", B);
}

static void the_first_of_three_stays(void **state UNUSED)
{
    struct session_history history = {.current = A};
    session_history_begin(&history, B);
    session_history_begin(&history, C);
    session_history_return(&history, B); /* whoever is heard first */
    expect(&history, B, A, C);
    session_history_return(&history, A);
    expect(&history, A, "", C " " B);
    history = (struct session_history){.current = A};
    session_history_begin(&history, B);
    session_history_begin(&history, C);
    session_history_return(&history, A);
    expect(&history, A, "", B " " C);
}

static void the_oldest_are_forgotten(void **state UNUSED)
{
    struct session_history history = {.current = ""};
    char session[UUID_TEXT_BYTES];
    for (int i = 0; i < 3 * SESSIONS_KEPT; i++) {
        (void)text_format(session, sizeof(session), "%08d-0000-4000-8000-000000000000", i);
        session_history_begin(&history, session);
    }
    assert_string_equal(history.current, session);
    assert_true(strlen(history.earlier) < SESSIONS_BYTES);
    (void)text_format(session, sizeof(session), "%08d-0000-4000-8000-000000000000",
                      2 * SESSIONS_KEPT - 1);
    assert_true(session_list_holds(history.earlier, session));
    (void)text_format(session, sizeof(session), "%08d-0000-4000-8000-000000000000",
                      2 * SESSIONS_KEPT - 2);
    assert_false(session_list_holds(history.earlier, session));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restart_blocks_nobody),
        cmocka_unit_test(the_first_of_two_stays),
        cmocka_unit_test(the_first_of_three_stays),
        cmocka_unit_test(the_oldest_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
