/* An identity stays with its machine; what cannot be known breaks nothing. */
#include "agent/delivery/host_binding.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BOARD   "11111111-2222-3333-4444-555555555555"
#define OTHER   "99999999-2222-3333-4444-555555555555"
#define MACHINE "3d1219c7c4c5404aaa1f6d2a48adfda4"

static const char *told(const struct console_orders *orders, const char *instance)
{
    static struct link_settings settings;

    (void)text_copy(settings.machine_id, sizeof settings.machine_id, MACHINE);
    (void)text_copy(settings.instance_id, sizeof settings.instance_id, instance);
    host_binding_apply(orders, &settings);
    return settings.machine_id;
}

static void the_first_board_is_taken(void **state UNUSED)
{
    struct console_orders orders = {.board = ""};

    assert_int_equal(host_binding_check(&orders, ""), HOST_BINDING_HOLDS);
    assert_int_equal(host_binding_check(&orders, BOARD), HOST_BINDING_MADE);
    assert_int_equal(host_binding_check(&orders, BOARD), HOST_BINDING_HOLDS);
    assert_int_equal(host_binding_check(&orders, ""), HOST_BINDING_HOLDS);
    assert_string_equal(told(&orders, ""), MACHINE);
}

static void another_board_is_another_machine(void **state UNUSED)
{
    struct console_orders orders = {.board = BOARD};
    char first[64];

    assert_int_equal(host_binding_check(&orders, OTHER), HOST_BINDING_BROKEN);
    assert_string_not_equal(told(&orders, ""), MACHINE);
    assert_int_equal(strlen(told(&orders, "")), strlen(MACHINE));
    (void)text_copy(first, sizeof first, told(&orders, ""));
    assert_int_equal(host_binding_check(&orders, OTHER), HOST_BINDING_HOLDS);
    assert_string_equal(told(&orders, ""), first); /* also after a restart */
    assert_string_equal(told(&orders, "i-0123456789abcdef0"), MACHINE);
    assert_int_equal(host_binding_check(&orders, BOARD), HOST_BINDING_BROKEN);
    assert_string_not_equal(told(&orders, ""), first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_board_is_taken),
        cmocka_unit_test(another_board_is_another_machine),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
