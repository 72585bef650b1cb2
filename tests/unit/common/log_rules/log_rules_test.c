/* log_rules.c, log_rules_read.c: what a text of rules may say, and how a wrong one is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/log_rules/log_rules.h"
#include "common/text/text.h"

#define DECODER "decoders = ( { name = \"d\"; program = \"p\"; regex = \"^(?<user>.*)$\"; } );\n"

static int read_text(const char *text, bool custom, struct settings_error *error)
{
    struct log_rules *rules = NULL;

    error->text[0] = '\0';
    assert_int_equal(log_rules_new(&rules), 0);
    int r = log_rules_add_text(rules, "r.conf", text, custom, error);
    if (r == 0)
        r = log_rules_seal(rules, error);
    (void)log_rules_free(rules);
    return r;
}

static void test_whole(void **state)
{
    struct settings_error error;

    (void)state;
    int r = read_text(
        DECODER "rules = (\n"
                "  { id = 1; decoder = [\"d\"]; severity = \"low\"; description = \"x\";\n"
                "    match = \"a\"; unless = \"b\"; fields = { user = \"c\"; }; quiet = true; },\n"
                "  { id = 2; if_matched_rules = [1]; frequency = 3; timeframe = \"1m\";\n"
                "    same = [\"user\"]; ignore = 5; severity = \"high\"; group = \"brute_force\";\n"
                "    description = \"y\"; description_ja = \"\xe3\x81\x82\"; } );\n",
        false, &error);
    if (r < 0)
        fail_msg("%s", error.text);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"rules = ( { id = 1; severity = \"low\"; description = \"x\"; } );", "needs a decoder"},
        {"\nrules = (\n { id = 1; decodr = \"d\"; } );",
         "r.conf:3: rules[0].decodr: is not a known "
         "key; did you mean decoder?"},
        {"decoders = ( { name = \"d\"; program = \"p\"; regex = \"(\"; } );",
         "decoders[0].regex: is no expression of PCRE2: missing closing parenthesis"},
        {"decoders = ( { name = \"d\"; } );", "takes every line there is"},
        {"decoders = ( { name = \"d\"; program = \"p\"; }, { name = \"d\"; program = \"q\"; } );",
         "there is another decoder \"d\""},
        {DECODER
         "rules = ( { id = 0; decoder = \"d\"; severity = \"low\"; description = \"x\"; } );",
         "must be a number from 1 to"},
        {DECODER
         "rules = ( { id = 100000; decoder = \"d\"; severity = \"low\"; description = \"x\"; } );",
         "must be a number from 1 to 99999"},
        {DECODER
         "rules = ( { id = 1; decoder = \"d\"; severity = \"hihg\"; description = \"x\"; } );",
         "did you mean high?"},
        {DECODER "rules = ( { id = 1; decoder = \"d\"; severity = \"low\"; } );",
         "needs a description"},
        {DECODER
         "rules = ( { id = 1; decoder = \"e\"; severity = \"low\"; description = \"x\"; } );",
         "there is no decoder \"e\""},
        {DECODER
         "rules = ( { id = 1; decoder = \"d\"; severity = \"low\"; description = \"x\"; },\n"
         "{ id = 1; decoder = \"d\"; severity = \"low\"; description = \"x\"; } );",
         "there is another rule 1"},
        {"rules = ( { id = 1; if_matched_group = \"login\"; severity = \"low\"; description = \"x\"; } );",
         "needs frequency and timeframe"},
        {DECODER
         "rules = ( { id = 1; decoder = \"d\"; frequency = 2; severity = \"low\"; description = \"x\"; } );",
         "counts nothing"},
        {"rules = ( { id = 1; if_matched_rules = [9]; frequency = 2; timeframe = 5; severity = \"low\"; "
         "description = \"x\"; } );",
         "there is no rule 9"},
        {"rules = ( { id = 1; if_matched_group = \"login\"; frequency = 65; timeframe = 5; severity = \"low\"; "
         "description = \"x\"; } );",
         "must be a number from 1 to 64"},
        {"rules = [ 1 ];", "round brackets"},
        {"ruls = ( );", "there are decoders and rules"},
        {"decoders = ( { name = \"d\"; program = \"p\"; regex = \"\\\\C\"; } );", "\\C"},
    };
    struct settings_error error;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(read_text(cases[i].text, false, &error), -EINVAL);
        if (strstr(error.text, cases[i].said) == NULL)
            fail_msg("%s\nsaid: %s\nnot:  %s", cases[i].text, error.text, cases[i].said);
    }
}

/* Ours and a policy's rules cannot take each other's numbers. */
static void test_custom_numbers(void **state)
{
    struct settings_error error;

    (void)state;
    assert_int_equal(read_text(DECODER
                               "rules = ( { id = 100000; decoder = \"d\"; severity = \"low\"; "
                               "description = \"x\"; } );",
                               true, &error),
                     0);
    assert_int_equal(read_text(DECODER
                               "rules = ( { id = 99999; decoder = \"d\"; severity = \"low\"; "
                               "description = \"x\"; } );",
                               true, &error),
                     -EINVAL);
}

static void test_a_text_of_parts(void **state)
{
    static const char *const decoders[] = {"{ name = \"d\"; program = \"p\"; }",
                                           "{ name = \"e\"; program = \"q\"; }", NULL};
    static const char *const made[] = {
        "{ id = 7; decoder = \"e\"; severity = \"low\"; description = \"x\"; }", NULL};
    AUTO_FREE char *text = log_rules_text_new(decoders, made);
    struct settings_error error = {""};
    struct log_rules *rules = NULL;

    (void)state;
    assert_non_null(text);
    assert_int_equal(log_rules_new(&rules), 0);
    if (log_rules_add_text(rules, "made", text, false, &error) < 0)
        fail_msg("%s", error.text);
    assert_int_equal(log_rules_seal(rules, &error), 0);
    assert_int_equal(log_rules_decoder_count(rules), 2);
    assert_int_equal(log_rules_count(rules), 1);
    (void)log_rules_free(rules);
}

static void test_too_many(void **state)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct settings_error error;

    (void)state;
    (void)buffer_append_text(&text, "decoders = (");
    for (size_t i = 0; i <= LIMIT_LOG_DECODERS; i++)
        (void)buffer_append_format(&text, "%s{name=\"d%zu\";program=\"p\";}", i > 0 ? "," : "", i);
    assert_int_equal(buffer_append_text(&text, ");"), 0);
    assert_int_equal(read_text(buffer_text(&text), false, &error), -EINVAL);
    assert_non_null(strstr(error.text, "altogether"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),          cmocka_unit_test(test_a_text_of_parts),
        cmocka_unit_test(test_too_many),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_custom_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
