/* json_writer.c: exact output, hostile strings, and that jansson reads back what was written. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/json/json_writer.h"
#include "common/limits.h"

static void test_exact_output(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer writer;
    json_writer_init(&writer, &buffer);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "name", "a\"b\\c\n\x01\x7f");
    json_write_key(&writer, "list");
    json_write_array_begin(&writer);
    json_write_number(&writer, INT64_MIN);
    json_write_unsigned(&writer, UINT64_MAX);
    json_write_real(&writer, 0.5);
    json_write_real(&writer, 7.0);
    json_write_real(&writer, (double)NAN);
    json_write_bool(&writer, true);
    json_write_null(&writer);
    json_write_array_begin(&writer);
    json_write_array_end(&writer);
    json_write_object_begin(&writer);
    json_write_object_end(&writer);
    json_write_raw(&writer, "{\"x\":1}");
    json_write_array_end(&writer);
    json_write_field_number(&writer, "n", -5);
    json_write_field_unsigned(&writer, "u", 5);
    json_write_field_bool(&writer, "b", false);
    json_write_object_end(&writer);
    assert_int_equal(buffer_failed(&buffer), 0);
    assert_string_equal(
        buffer_text(&buffer),
        "{\"name\":\"a\\\"b\\\\c\\n\\u0001\\u007f\",\"list\":[-9223372036854775808,"
        "18446744073709551615,0.5,7.0,null,true,null,[],{},{\"x\":1}],\"n\":-5,\"u\":5,"
        "\"b\":false}");
}

static void assert_string_becomes(const char *bytes, size_t length, const char *expected)
{
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer writer;
    json_writer_init(&writer, &buffer);
    json_write_string_length(&writer, bytes, length);
    assert_string_equal(buffer_text(&buffer), expected);
}

static void test_invalid_utf8(void **state)
{
    (void)state;
    assert_string_becomes("\xff", 1, "\"\\ufffd\"");
    assert_string_becomes("\xc0\xaf", 2, "\"\\ufffd\\ufffd\"");            /* overlong */
    assert_string_becomes("\xed\xa0\x80", 3, "\"\\ufffd\\ufffd\\ufffd\""); /* surrogate */
    assert_string_becomes("\xf4\x90\x80\x80", 4, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
    assert_string_becomes("\xe6\xab", 2, "\"\\ufffd\\ufffd\""); /* cut */
    assert_string_becomes("\xe6\xab\x93", 3, "\"\xe6\xab\x93\"");
    assert_string_becomes("\xf0\x9f\x8f\xaf", 4, "\"\xf0\x9f\x8f\xaf\"");
    assert_string_becomes("a\0b", 3, "\"a\\u0000b\"");
    assert_string_becomes("\xc2\x9b\xe2\x80\xae\xef\xbb\xbf\xc2\xa0", 10,
                          "\"\\u009b\\u202e\\ufeff\xc2\xa0\"");
}

static void test_errors_stick(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(16);
    struct json_writer writer;
    json_writer_init(&writer, &buffer);
    json_write_string(&writer, "much longer than the sixteen bytes it may have");
    assert_int_equal(buffer_failed(&buffer), -EMSGSIZE);

    AUTO_BUFFER struct buffer deep = BUFFER_WITH_MAXIMUM(4096);
    json_writer_init(&writer, &deep);
    for (unsigned i = 0; i <= LIMIT_JSON_DEPTH; i++)
        json_write_array_begin(&writer);
    assert_int_equal(buffer_failed(&deep), -EMSGSIZE);
}

static uint64_t seed;
static uint32_t random_below(uint32_t bound)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(seed >> 33) % bound;
}

/* Writes a random value and builds the tree jansson should read. */
static json_t *write_random(struct json_writer *writer, unsigned depth)
{
    static const char *const texts[] = {"", "櫓", "a\"\\/\b\f\n\r\t\x1f", "plain", "🏯 x"};
    switch (random_below(depth > 5 ? 4 : 6)) {
    case 0: {
        json_int_t number = (json_int_t)((uint64_t)random_below(UINT32_MAX) << random_below(30));
        json_write_number(writer, number);
        return json_integer(number);
    }
    case 1: {
        const char *text = texts[random_below(ARRAY_LENGTH(texts))];
        json_write_string(writer, text);
        return json_string(text);
    }
    case 2:
        json_write_bool(writer, true);
        return json_true();
    case 3: {
        double number = (double)random_below(1000000) / 7.0;
        json_write_real(writer, number);
        return json_real(number);
    }
    case 4: {
        json_t *array = json_array();
        json_write_array_begin(writer);
        for (uint32_t i = random_below(5); i > 0; i--)
            json_array_append_new(array, write_random(writer, depth + 1));
        json_write_array_end(writer);
        return array;
    }
    default: {
        json_t *object = json_object();
        json_write_object_begin(writer);
        for (uint32_t i = random_below(5); i > 0; i--) {
            char key[2] = {(char)('a' + i), '\0'};
            json_write_key(writer, key);
            json_object_set_new(object, key, write_random(writer, depth + 1));
        }
        json_write_object_end(writer);
        return object;
    }
    }
}

static void test_jansson_reads_it_back(void **state)
{
    (void)state;
    for (seed = 1; seed <= 2000; seed++) {
        uint64_t start = seed;
        AUTO_BUFFER struct buffer buffer = BUFFER_WITH_MAXIMUM(1 << 20);
        struct json_writer writer;
        json_writer_init(&writer, &buffer);
        json_t *expected = write_random(&writer, 0);
        json_error_t error;
        json_t *read = json_loads(buffer_text(&buffer), JSON_DECODE_ANY, &error);
        if (read == NULL || !json_equal(read, expected))
            fail_msg("seed %llu: %s", (unsigned long long)start, buffer_text(&buffer));
        json_decref(read);
        json_decref(expected);
        seed = start;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_output),
        cmocka_unit_test(test_invalid_utf8),
        cmocka_unit_test(test_errors_stick),
        cmocka_unit_test(test_jansson_reads_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
