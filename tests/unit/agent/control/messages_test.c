/* The catalogue: a translation takes what the English text takes, and the locale decides. */
#include "agent/control/messages.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "%s %d", in their order. */
static void placeholders_of(const char *text, char placeholders[static 64])
{
    size_t length = 0;

    for (; *text != '\0'; text++) {
        if (*text != '%')
            continue;
        size_t size = strspn(text + 1, "0123456789.*-l") + 2;
        assert_true(length + size < 64);
        memcpy(placeholders + length, text, size);
        length += size;
        text += size - 1;
    }
    placeholders[length] = '\0';
}

static void translations_take_the_same_arguments(void **state UNUSED)
{
    const struct message *message;

    for (size_t i = 0; (message = message_at(i)) != NULL; i++) {
        char english[64], japanese[64];
        placeholders_of(message->english, english);
        placeholders_of(message->japanese, japanese);
        assert_string_equal(english, japanese);
        assert_string_not_equal(message->japanese, "");
        assert_int_equal(text_ends_with(message->english, "\n"),
                         text_ends_with(message->japanese, "\n"));
    }
}

static void no_text_is_there_twice(void **state UNUSED)
{
    const struct message *message, *other;

    for (size_t i = 0; (message = message_at(i)) != NULL; i++)
        for (size_t k = i + 1; (other = message_at(k)) != NULL; k++)
            assert_string_not_equal(message->english, other->english);
}

static const char *said(const char *all, const char *messages, const char *language)
{
    assert_int_equal(setenv("LC_ALL", all, 1), 0);
    assert_int_equal(setenv("LC_MESSAGES", messages, 1), 0);
    assert_int_equal(setenv("LANG", language, 1), 0);
    messages_choose();
    return say("degraded");
}

static void the_locale_chooses(void **state UNUSED)
{
    assert_string_equal(said("", "", "ja_JP.UTF-8"), "低下");
    assert_string_equal(said("", "ja_JP.utf8", "C"), "低下");
    assert_string_equal(said("C.UTF-8", "ja_JP.utf8", "ja_JP.UTF-8"), "degraded");
    assert_string_equal(said("", "", "ja_JP.eucJP"), "degraded");
    assert_string_equal(said("", "", "ja"), "degraded");
    assert_string_equal(said("", "", ""), "degraded");
    assert_string_equal(said("", "", "ja_JP.UTF-8"), "低下");
    assert_string_equal(say("no such text"), "no such text");
}

static void east_asian_letters_take_two_columns(void **state UNUSED)
{
    assert_int_equal(messages_width("Watch"), 5);
    assert_int_equal(messages_width("監視"), 4);
    assert_int_equal(messages_width(""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(translations_take_the_same_arguments),
        cmocka_unit_test(no_text_is_there_twice),
        cmocka_unit_test(the_locale_chooses),
        cmocka_unit_test(east_asian_letters_take_two_columns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
