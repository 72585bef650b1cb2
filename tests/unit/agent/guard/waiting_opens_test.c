/* Opens wait fairly: nobody's flood keeps others waiting, and every entry has its deadline. */
#include "agent/guard/waiting_opens.h"

#include "common/time/clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct waiting_opens opens;

static int set_up(void **state)
{
    (void)state;
    waiting_opens_init(&opens);
    return 0;
}

/* Descriptors are only numbers here. */
static struct waiting_open *add(uid_t user, uint64_t since_ns)
{
    static int fd = 100;
    const struct waiting_open open = {.fd = fd++, .user = user, .since_ns = since_ns};

    return waiting_opens_add(&opens, &open);
}

static struct waiting_open *ask_next(void)
{
    struct waiting_open *open = waiting_opens_next(&opens);

    if (open != NULL)
        waiting_opens_note_asked(&opens, open);
    return open;
}

static void an_answer_finds_its_open_once(void **state)
{
    (void)state;
    struct waiting_open *first = add(1, 0);
    uint64_t id = first->id;
    int fd = first->fd;

    assert_ptr_equal(waiting_opens_find(&opens, id), first);
    assert_int_equal(waiting_opens_remove(&opens, first), fd);
    assert_null(waiting_opens_find(&opens, id));
    /* The slot is used again, under another id: a late answer is for nobody. */
    struct waiting_open *second = add(1, 0);
    assert_ptr_equal(second, first);
    assert_null(waiting_opens_find(&opens, id));
    assert_int_equal(opens.count, 1);
}

static void one_user_gets_a_part_of_the_table(void **state)
{
    (void)state;
    for (int i = 0; i < WAITING_OPENS_OF_USER; i++)
        assert_non_null(add(1, 0));
    assert_null(add(1, 0));
    assert_non_null(add(2, 0));
    for (uid_t user = 2; opens.count < WAITING_OPENS; user++)
        for (int i = 0; i < WAITING_OPENS_OF_USER - 1 && opens.count < WAITING_OPENS; i++)
            assert_non_null(add(user, 0));
    assert_null(add(100, 0));
}

static void who_has_least_asked_is_next(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        (void)add(1, 0);
    struct waiting_open *late = add(2, 5), *later = add(2, 6);

    assert_int_equal(ask_next()->user, 1);
    assert_ptr_equal(ask_next(), late);
    assert_int_equal(ask_next()->user, 1);
    assert_ptr_equal(ask_next(), later);
    for (int i = 4; i < GUARD_ASKED_MOST; i++)
        assert_int_equal(ask_next()->user, 1);
    assert_null(ask_next());
    (void)waiting_opens_remove(&opens, late);
    assert_non_null(ask_next());
    assert_null(ask_next());
}

static void of_one_user_the_first_is_first(void **state)
{
    (void)state;
    struct waiting_open *first = add(1, 0), *second = add(1, 0), *third = add(1, 0);

    (void)waiting_opens_remove(&opens, first);
    struct waiting_open *fourth = add(1, 0); /* in the slot of the first */
    assert_ptr_equal(fourth, first);
    assert_ptr_equal(ask_next(), second);
    assert_ptr_equal(ask_next(), third);
    assert_ptr_equal(ask_next(), fourth);
    assert_null(ask_next());
}

static void deadlines_come_in_order(void **state)
{
    (void)state;
    const uint64_t deadline = 5 * NS_PER_SECOND;

    assert_int_equal(waiting_opens_patience(&opens, 0, deadline), UINT64_MAX);
    struct waiting_open *second = add(1, 2000), *first = add(2, 1000);
    assert_int_equal(waiting_opens_patience(&opens, 3000, deadline), deadline - 2000);
    assert_null(waiting_opens_late(&opens, 1000 + deadline - 1, deadline));
    assert_ptr_equal(waiting_opens_late(&opens, 1000 + deadline, deadline), first);
    (void)waiting_opens_remove(&opens, first);
    assert_null(waiting_opens_late(&opens, 1000 + deadline, deadline));
    assert_ptr_equal(waiting_opens_late(&opens, 2000 + deadline, deadline), second);
    assert_int_equal(waiting_opens_patience(&opens, 9000 + deadline, deadline), 0);
}

static void make_late(uid_t user, unsigned count)
{
    while (count-- > 0) {
        struct waiting_open *open = add(user, 0);
        waiting_opens_note_late(&opens, open);
        (void)waiting_opens_remove(&opens, open);
    }
}

static void one_user_makes_nobody_pass_unasked(void **state)
{
    (void)state;
    (void)add(3, 0);
    make_late(1, 100);
    assert_false(waiting_opens_are_tired(&opens));
    make_late(2, 1);
    assert_true(waiting_opens_are_tired(&opens));
    waiting_opens_note_late(&opens, NULL);
    assert_false(waiting_opens_are_tired(&opens));
    make_late(2, 7);
    make_late(1, 1);
    assert_true(waiting_opens_are_tired(&opens));
}

static void an_agent_that_answers_root_no_more_is_not_waited_for(void **state)
{
    (void)state;
    (void)add(0, 0);
    make_late(0, 7);
    assert_false(waiting_opens_are_tired(&opens));
    make_late(0, 1);
    assert_true(waiting_opens_are_tired(&opens));
}

static void a_crowd_is_one_user_s(void **state)
{
    (void)state;
    for (int i = 0; i < WAITING_OPENS_OF_USER; i++) {
        assert_false(waiting_opens_are_crowded(&opens, 1));
        (void)add(1, 0);
    }
    assert_true(waiting_opens_are_crowded(&opens, 1));
    assert_false(waiting_opens_are_crowded(&opens, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_answer_finds_its_open_once, set_up),
        cmocka_unit_test_setup(one_user_gets_a_part_of_the_table, set_up),
        cmocka_unit_test_setup(who_has_least_asked_is_next, set_up),
        cmocka_unit_test_setup(of_one_user_the_first_is_first, set_up),
        cmocka_unit_test_setup(deadlines_come_in_order, set_up),
        cmocka_unit_test_setup(one_user_makes_nobody_pass_unasked, set_up),
        cmocka_unit_test_setup(an_agent_that_answers_root_no_more_is_not_waited_for, set_up),
        cmocka_unit_test_setup(a_crowd_is_one_user_s, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
