/* What is read, and that everything hostile is refused, as jansson does. */
#include "common/json/json_tree.h"

#include "common/buffers/buffer.h"
#include "common/text/text.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct json_tree *parse(const char *text)
{
    struct json_tree *tree = NULL;
    char problem[128];
    assert_int_equal(json_tree_parse(text, strlen(text), &tree, problem), 0);
    return tree;
}

static void reads_every_kind(void **state UNUSED)
{
    struct json_tree *tree =
        parse(" { \"a\\u00e9\\n\" : \"x\\ud83d\\ude00\\/\" ,\t\"i\":-12, \"r\" : 1.5e3,"
              "\"l\":[ 1 , [ ] , {\"k\" : null} ],\"t\":true,\"f\":false}\n");
    const struct json_node *root = json_tree_root(tree);
    assert_int_equal(root->length, 6);
    const struct json_node *text = json_node_find(root, "a\xc3\xa9\n");
    assert_string_equal(text->text, "x\xf0\x9f\x98\x80/");
    assert_int_equal(text->length, 6);
    assert_int_equal(json_node_find(root, "i")->integer, -12);
    assert_int_equal(json_node_find(root, "r")->kind, JSON_NODE_REAL);
    assert_int_equal(json_node_find(root, "t")->kind, JSON_NODE_TRUE);
    assert_int_equal(json_node_find(root, "f")->kind, JSON_NODE_FALSE);
    const struct json_node *list = json_node_find(root, "l");
    assert_int_equal(list->length, 3);
    assert_int_equal(json_node_first(list)->integer, 1);
    assert_null(json_node_first(json_node_next(json_node_first(list))));
    assert_null(json_node_find(root, "k"));
    assert_string_equal(json_tree_text(tree, list), "[1,[],{\"k\":null}]");
    assert_string_equal(json_tree_text(tree, json_node_find(root, "r")), "1.5e3");
    (void)json_tree_free(tree);
}

static void agrees_with_jansson(void **state UNUSED)
{
    static const char *const texts[] = {
        "{}",
        "[]",
        "[1,2]",
        "{\"a\":1}",
        "{\"a\":{\"b\":[{},{\"c\":\"\"}]}}",
        "[\"\\\"\\\\\\b\\f\\r\\t\"]",
        "[9223372036854775807]",
        "[-9223372036854775808]",
        "[-0]",
        "[0.5]",
        "[1e5]",
        "[\"\xf4\x8f\xbf\xbf\"]",
        /* refused */
        "",
        " ",
        "1",
        "\"x\"",
        "null",
        "{",
        "[",
        "[1",
        "[1,]",
        "[,1]",
        "{\"a\":1,}",
        "{\"a\"}",
        "{\"a\":}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1,\"a\":2}",
        "[1]x",
        "[1] [2]",
        "\xef\xbb\xbf[]",
        "[01]",
        "[1.]",
        "[.5]",
        "[+1]",
        "[1e]",
        "[-]",
        "[NaN]",
        "[Infinity]",
        "[1e999]",
        "[9223372036854775808]",
        "[-9223372036854775809]",
        "[18446744073709551616]",
        "[\"\\u0000\"]",
        "[\"\\ud800\"]",
        "[\"\\udc00\"]",
        "[\"\\ud800\\u0041\"]",
        "[\"\\ud800x\"]",
        "[\"\\x\"]",
        "[\"\\u12\"]",
        "[\"\\u12g4\"]",
        "[\"",
        "[\"\\",
        "[\"\t\"]",
        "[\"\x7f\"]",
        "[\"\xc0\xaf\"]",
        "[\"\xed\xa0\x80\"]",
        "[\"\xf4\x90\x80\x80\"]",
        "[\"\xe2\x82\"]",
        "[\"\xff\"]",
        "[tru]",
        "[true",
        "[nulll]",
        "[1 2]",
        "{\"a\":1 \"b\":2}",
        "[1}",
        "{\"a\":1]",
        "/*x*/[]",
        "[1]//",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        struct json_tree *tree = NULL;
        char problem[128];
        json_t *other = json_loads(texts[i], JSON_REJECT_DUPLICATES, NULL);
        int r = json_tree_parse(texts[i], strlen(texts[i]), &tree, problem);
        if ((r == 0) != (other != NULL))
            fail_msg("%s: %d %s", texts[i], r, problem);
        if (r == 0) {
            json_t *again = json_loads(json_tree_text(tree, json_tree_root(tree)), 0, NULL);
            assert_true(json_equal(other, again));
            json_decref(again);
        } else {
            assert_true(problem[0] != '\0');
        }
        json_decref(other);
        (void)json_tree_free(tree);
    }
}

static void bounds_depth_and_finds_repeated_keys(void **state UNUSED)
{
    struct json_tree *tree = NULL;
    char problem[128];
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(1 << 20);
    for (size_t depth = JSON_TREE_DEPTH; depth <= JSON_TREE_DEPTH + 1; depth++) {
        buffer_clear(&text);
        for (size_t i = 0; i < depth; i++)
            (void)buffer_append_text(&text, "[");
        for (size_t i = 0; i < depth; i++)
            (void)buffer_append_text(&text, "]");
        int r = json_tree_parse(text.data, text.length, &tree, problem);
        assert_int_equal(r, depth > JSON_TREE_DEPTH ? -EBADMSG : 0);
        if (r == 0)
            tree = json_tree_free(tree);
    }
    for (int repeated = 0; repeated < 2; repeated++) {
        buffer_clear(&text);
        (void)buffer_append_text(&text, "{");
        for (int i = 0; i < 5000; i++)
            (void)buffer_append_format(&text, "\"k%d\":%d,", i, i);
        (void)buffer_append_format(&text, "\"k%d\":1}", repeated ? 17 : 5000);
        int r = json_tree_parse(text.data, text.length, &tree, problem);
        assert_int_equal(r, repeated ? -EBADMSG : 0);
        if (r == 0)
            tree = json_tree_free(tree);
    }
}

static void takes_space_out_of_a_text(void **state UNUSED)
{
    struct json_tree *tree =
        parse("{ \"a\" : { \"b c\" : \"x \\\" \\\\\" , \"d\" : [ 1 ,\n2 ] } ,\t\"e\" : [ ] }");
    const struct json_node *root = json_tree_root(tree);
    assert_string_equal(json_tree_text(tree, json_node_find(root, "a")),
                        "{\"b c\":\"x \\\" \\\\\",\"d\":[1,2]}");
    assert_string_equal(json_tree_text(tree, json_node_find(root, "e")), "[]");
    (void)json_tree_free(tree);
}

/* Strings of every length, with every kind of byte at every place. */
static void reads_strings_of_every_length(void **state UNUSED)
{
    static const char *const pieces[] = {"",     "\"",   "\\\\", "\\u00e9",          "\xc3\xa9",
                                         "\xc3", "\x7f", "\x1f", "\xf0\x9f\x98\x80", "\x80",
                                         "\\",   "!"};
    for (size_t piece = 0; piece < ARRAY_LENGTH(pieces); piece++) {
        for (size_t length = 0; length < 40; length++) {
            for (size_t at = 0; at <= length; at++) {
                char text[80];
                AUTO_FREE char *exact = NULL; /* a byte too far is found by the sanitizer */
                struct json_tree *tree = NULL;
                char problem[128];
                (void)text_format(text, sizeof(text), "[\"%.*s%s%.*s\"]", (int)at,
                                  "abcdefghijklmnopqrstuvwxyz0123456789ABCDEF", pieces[piece],
                                  (int)(length - at), "zyxwvutsrqponmlkjihgfedcba9876543210FEDCBA");
                exact = malloc(strlen(text));
                assert_non_null(exact);
                memcpy(exact, text, strlen(text));
                json_t *other = json_loads(text, 0, NULL);
                int r = json_tree_parse(exact, strlen(text), &tree, problem);
                assert_int_equal(r == 0, other != NULL);
                if (r == 0)
                    assert_string_equal(json_node_first(json_tree_root(tree))->text,
                                        json_string_value(json_array_get(other, 0)));
                json_decref(other);
                (void)json_tree_free(tree);
            }
        }
    }
}

static void tells_alike_keys_apart(void **state UNUSED)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {{"{\"ab\":1,\"ac\":2}", true},
                 {"{\"ab\":1,\"x\":{\"ab\":1},\"ac\":2}", true},
                 {"{\"ab\":1,\"x\":{\"y\":1},\"ab\":2}", false},
                 {"{\"x\":{\"ab\":1,\"c\":[{}],\"ab\":1}}", false},
                 {"[{\"ab\":1},{\"ab\":1}]", true},
                 {"{\"\":1,\"\":2}", false},
                 {"{\"\\u0061\":1,\"a\":2}", false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct json_tree *tree = NULL;
        char problem[128];
        int r = json_tree_parse(cases[i].text, strlen(cases[i].text), &tree, problem);
        assert_int_equal(r, cases[i].good ? 0 : -EBADMSG);
        (void)json_tree_free(tree);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_kind),
        cmocka_unit_test(takes_space_out_of_a_text),
        cmocka_unit_test(reads_strings_of_every_length),
        cmocka_unit_test(tells_alike_keys_apart),
        cmocka_unit_test(agrees_with_jansson),
        cmocka_unit_test(bounds_depth_and_finds_repeated_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
