/* The compiler and the engine together: a small rule set over requests, and texts that are none. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "application/compiler/regex_needs.h"
#include "application/compiler/seclang.h"
#include "application/detection/rule_table.h"
#include "application/limits.h"
#include "common/files/file.h"
#include "common/text/text.h"

/* A table of the rules in memory, as a descriptor. */
static int compile(const char *rules)
{
    AUTO_BUFFER struct buffer file = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_TABLE);
    struct seclang_error error = {""};
    struct seclang *seclang = seclang_new();
    assert_non_null(seclang);
    if (seclang_add_text(seclang, "rules", NULL, span_of(rules), &error) < 0 ||
        seclang_finish(seclang, &file, &error) < 0)
        fail_msg("%s", error.text);
    seclang_free(seclang);
    int fd = memfd_create("table", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, file.data, file.length), 0);
    return fd;
}

static struct inspection *open_rules(const char *rules, bool exact)
{
    AUTO_CLOSE int fd = compile(rules);
    const struct inspection_options options = {.table_fd = fd, .exact = exact};
    struct inspection *inspection = NULL;
    struct inspection_error error = {""};
    if (inspection_open(&options, &inspection, &error) < 0)
        fail_msg("%s", error.text);
    return inspection;
}

static void judge(struct inspection *inspection, const char *query,
                  struct inspection_result *result)
{
    char event[2048];
    assert_true(snprintf(event, sizeof(event),
                         "{\"version\":\"2.0\",\"rawPath\":\"/p\",\"rawQueryString\":\"%s\","
                         "\"headers\":{\"host\":\"h\",\"cookie\":\"c=cookie\"},"
                         "\"requestContext\":{\"http\":{\"method\":\"GET\"}}}",
                         query) < (int)sizeof(event));
    assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, result), 0);
}

static bool found(const struct inspection_result *result, uint32_t rule)
{
    for (size_t i = 0; i < result->finding_count; i++) {
        if (result->findings[i].rule == rule)
            return true;
    }
    return false;
}

/* Each rule is one feature; the query that sets it off, and one that does not. */
static const struct {
    const char *rules;
    const char *matches;
    const char *passes;
} features[] = {
    {"SecRule ARGS \"@rx ^b+$\" \"id:1,phase:2,t:none,t:lowercase\"", "a=BB", "a=abb"},
    {"SecRule ARGS:x|ARGS_NAMES \"b\" \"id:1,phase:2\"", "x=b", "y=b"},
    {"SecRule ARGS|!ARGS:x \"@streq b\" \"id:1,phase:2\"", "y=b", "x=b"},
    {"SecRule ARGS:/^X/ \"@contains b\" \"id:1,phase:2\"", "xyz=ab", "yx=ab"},
    {"SecRule &ARGS \"@gt 1\" \"id:1,phase:2\"", "a=1&b=2", "a=1"},
    {"SecRule ARGS \"!@within abc\" \"id:1,phase:2\"", "a=d", "a=bc"},
    {"SecRule ARGS \"@pm foo bar|20|baz\" \"id:1,phase:2\"", "a=xBAR%20BAZ", "a=barbaz"},
    {"SecRule ARGS \"@validateByteRange 32-126\" \"id:1,phase:2\"", "a=%01", "a=b"},
    {"SecRule ARGS \"@detectSQLi\" \"id:1,phase:2\"", "a=1'%20or%20'1'='1", "a=b"},
    {"SecRule ARGS \"@detectXSS\" \"id:1,phase:2\"", "a=%3Cscript%3E", "a=b"},
    {"SecRule ARGS \"@rx a\" \"id:1,phase:2,chain\"\n  SecRule MATCHED_VAR \"@endsWith z\" \"t:none\"",
     "q=az", "q=a&r=z"},
    {"SecRule ARGS \"@rx (b)(c)\" \"id:9,phase:1,nolog,capture,setvar:tx.got=%{tx.2}x\"\n"
     "SecRule TX:got \"@streq cx\" \"id:1,phase:2\"",
     "a=bc", "a=bd"},
    {"SecRule ARGS \"@rx s\" \"id:9,phase:2,nolog,skipAfter:END\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:2\"\nSecMarker END",
     "a=b", "a=s"},
    {"SecRule ARGS \"@rx r\" \"id:9,phase:1,nolog,ctl:ruleRemoveTargetById=1;ARGS:a\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:2\"",
     "a=b", "a=r"},
    {"SecRule ARGS \"@rx %41\" \"id:1,phase:2,multiMatch,t:urlDecode\"", "a=%2541", "a=A"},
    {"SecAction \"id:9,phase:1,nolog,setvar:tx.a,setvar:tx.b=1,setvar:!tx.b,setvar:ip.c=1\"\n"
     "SecRule &TX:b \"@eq 0\" \"id:1,phase:2,chain\"\n SecRule TX:a \"@streq 1\" \"chain\"\n"
     " SecRule ARGS \"x\" \"\"",
     "a=x", "a=y"},
    {"SecRule ARGS \"@rx r\" \"id:9,phase:1,nolog,ctl:ruleRemoveById=1-2\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:request\"",
     "a=b", "a=r"},
    {"SecRule ARGS \"@rx r\" \"id:9,phase:1,nolog,ctl:ruleRemoveByTag=t\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:2,tag:'t',tag:u\"",
     "a=b", "a=r"},
    {"SecRule ARGS \"@rx r\" \"id:9,phase:1,nolog,ctl:ruleRemoveTargetByTag=t;ARGS:a\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:2,tag:t\"",
     "a=b", "a=r"},
    {"SecRule ARGS \"@rx r\" \"id:9,phase:1,nolog,ctl:ruleEngine=Off\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:2,ctl:auditEngine=On\"",
     "a=b", "a=r"},
    {"SecRule ARGS \"!@rx ^b+$\" \"id:1,phase:2,msg:'a, \\'b\\''\"", "a=abb", "a=bb"},
    {"SecRule ARGS \"@geoLookup\" \"id:2,phase:2\"\r\nSecNewThing On\n# a comment\n\n"
     "SecRule ARGS \"@newOperator x\" \"id:3,phase:2,t:newTransformation\"\n"
     "SecRule ARGS \"@contains \\\"q\\\"\" \\\n \"id:1,phase:2\"",
     "a=%22q%22", "a=q"},
    {"SecMarker 'BEGIN'\nSecRule ARGS \"@rx s\" \"id:9,phase:2,nolog,skipAfter:END\"\n"
     "SecRule ARGS \"@rx .\" \"id:1,phase:2\"\nSecMarker \"END\"\n"
     "SecRule ARGS \"@rx n\" \"id:4,phase:2\"",
     "a=b", "a=s"},
    {"SecRule REQUEST_COOKIES|REQUEST_FILENAME \"@rx ^(?:/p|q)$\" \"id:8,phase:2,nolog,"
     "setvar:tx.n=+2,setvar:tx.n=-1\"\nSecRule TX:n \"@eq 1\" \"id:1,phase:2,chain\"\n"
     "SecRule ARGS \"x\" \"\"",
     "a=x", "a=y"},
};

static void test_features(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(features); i++) {
        struct inspection_result result;
        struct inspection *inspection = open_rules(features[i].rules, true);
        judge(inspection, features[i].matches, &result);
        if (!found(&result, 1))
            fail_msg("%s: not by %s", features[i].rules, features[i].matches);
        judge(inspection, features[i].passes, &result);
        if (found(&result, 1))
            fail_msg("%s: by %s", features[i].rules, features[i].passes);
        inspection_free(inspection);
    }
}

static void test_deny(void **state)
{
    (void)state;
    struct inspection_result result;
    struct inspection *inspection =
        open_rules("SecRule ARGS \"bad\" \"id:1,phase:2,setvar:tx.anomaly_score=+5\"\n"
                   "SecRule TX:anomaly_score \"@ge 5\" \"id:2,phase:2,deny\"\n",
                   true);
    judge(inspection, "a=bad", &result);
    assert_int_equal(result.action, INSPECTION_BLOCK);
    assert_int_equal(result.score, 5);
    judge(inspection, "a=good", &result);
    assert_int_equal(result.action, INSPECTION_PASS);
    inspection_free(inspection);
}

static void test_texts_that_are_none(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "SecRule",
        "Nonsense on",
        "SecRule ARGS \"@rx a\" \"id:x\"",
        "SecRule ARGS \"@rx a\" \"id:1,chain\"",
        "SecRule ARGS \"@validateByteRange a\" \"id:1\"",
        "SecRule ARGS \"@pmFromFile ../../etc/passwd\" \"id:1\"",
        "SecRule ARGS| \"a\" \"id:1,phase:9\"",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct seclang_error error = {""};
        struct seclang *seclang = seclang_new();
        if (seclang_add_text(seclang, "w", NULL, span_of(wrong[i]), &error) != -EINVAL)
            fail_msg("taken: %s", wrong[i]);
        assert_true(error.text[0] != '\0');
        seclang_free(seclang);
    }
}

/* ---- files ---- */

static void put(const char *folder, const char *name, const char *text)
{
    AUTO_FREE char *path = text_format_new("%s/%s", folder, name);
    assert_non_null(path);
    assert_int_equal(file_replace(path, text, strlen(text), 0600), 0);
}

static int add(const char *path, struct seclang_counts *ret_counts, struct seclang_error *error)
{
    struct seclang *seclang = seclang_new();
    int r = seclang_add_path(seclang, path, error);
    *ret_counts = seclang_counts(seclang);
    seclang_free(seclang);
    return r;
}

static void test_folders_of_rules(void **state)
{
    (void)state;
    char folder[] = "/tmp/yagura-seclang-XXXXXX";
    struct seclang_counts counts;
    struct seclang_error error = {""};
    assert_non_null(mkdtemp(folder));
    AUTO_FREE char *rules = text_format_new("%s/rules", folder);
    AUTO_FREE char *one = text_format_new("%s/crs-setup.conf", folder);
    AUTO_FREE char *missing = text_format_new("%s/missing", folder);

    put(folder, "crs-setup.conf", "SecAction \"id:900,phase:1\"\n");
    assert_int_equal(add(one, &counts, &error), 0);
    assert_int_equal(counts.rules, 2);                 /* one that each compiler begins with */
    assert_int_equal(add(folder, &counts, &error), 0); /* its own *.conf, without rules/ */
    assert_int_equal(counts.rules, 2);

    assert_int_equal(mkdir(rules, 0700), 0);
    put(rules, "words.data", "# a comment\nfoo\nbar\n");
    put(rules, "b.conf",
        "SecRule ARGS \"@pmFromFile words.data\" \"id:930100,phase:2\"\n"
        "SecRule ARGS \"@rx x\" \"id:932100,phase:2\"\n"
        "SecRule ARGS \"@rx x\" \"id:922100,phase:2\"\n"
        "SecRule RESPONSE_BODY \"x\" \"id:950100,phase:4\"\n"
        "SecUnheardOf On\n");
    put(rules, "read.me", "no rules");
    assert_int_equal(add(folder, &counts, &error), 0);
    assert_int_equal(counts.rules, 5);
    assert_int_equal(counts.left_out, 1);
    assert_true(counts.unknown >= 1);

    put(rules, "c.conf", "SecRule ARGS \"@pmFromFile gone.data\" \"id:1,phase:2\"\n");
    assert_int_equal(add(folder, &counts, &error), -EINVAL);
    assert_non_null(strstr(error.text, "gone.data"));
    assert_int_equal(add(missing, &counts, &error), -ENOENT);
    assert_non_null(strstr(error.text, "cannot be read"));
    AUTO_FREE char *broken = text_format_new("%s/c.conf", rules);
    assert_int_equal(unlink(broken), 0);
    assert_int_equal(mkdir(broken, 0700), 0); /* a folder of that name */
    assert_int_equal(add(folder, &counts, &error), -EISDIR);
    assert_int_equal(file_remove_tree(AT_FDCWD, folder), 0);
}

static void test_nul_bytes(void **state)
{
    (void)state;
    struct seclang_error error = {""};
    struct seclang *seclang = seclang_new();
    assert_int_equal(seclang_add_text(seclang, "w", NULL, SPAN("SecMarker\0X"), &error), -EINVAL);
    assert_non_null(strstr(error.text, "NUL"));
    seclang_free(seclang);
}

static void test_missing_marker(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer file = BUFFER_WITH_MAXIMUM(APPLICATION_LIMIT_TABLE);
    struct seclang_error error = {""};
    struct seclang *seclang = seclang_new();
    assert_int_equal(seclang_add_text(seclang, "w", NULL,
                                      SPAN("SecAction \"id:7,phase:1,skipAfter:NOWHERE\"\n"),
                                      &error),
                     0);
    assert_int_equal(seclang_finish(seclang, &file, &error), -EINVAL);
    assert_non_null(strstr(error.text, "7"));
    seclang_free(seclang);
}

static void test_damaged_table(void **state)
{
    (void)state;
    AUTO_CLOSE int fd = compile("SecRule ARGS \"@rx a\" \"id:1\"\n");
    struct inspection *inspection = NULL;
    const struct inspection_options options = {.table_fd = fd};
    assert_int_equal(pwrite(fd, "x", 1, 300), 1);
    assert_int_equal(inspection_open(&options, &inspection, NULL), -EINVAL);
    assert_int_equal(ftruncate(fd, 100), 0);
    assert_int_equal(inspection_open(&options, &inspection, NULL), -EINVAL);
}

/* Whoever can write a table can also write its checksum: what stands in it is judged by itself, and
 * what is taken can be used. */
static void test_damage_behind_a_right_checksum(void **state)
{
    (void)state;
    AUTO_CLOSE int fd =
        compile("SecRule ARGS \"@rx a\" \"id:1,phase:2,chain,capture,tag:t,t:lowercase\"\n"
                "SecRule ARGS \"@pm foo bar bazz\" \"setvar:tx.a=1,t:urlDecode\"\n"
                "SecRule ARGS:x \"@validateByteRange 1-9\" \"id:2,phase:2\"\n");
    struct stat status;
    unsigned refused = 0, taken = 0;
    assert_int_equal(fstat(fd, &status), 0);
    size_t size = (size_t)status.st_size;
    struct table_head *table = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(table != MAP_FAILED);
    uint8_t *bytes = (uint8_t *)table;
    static const uint8_t damages[] = {0xff, 0x01, 0x80};
    for (size_t at = offsetof(struct table_head, sections); at < size; at++) {
        uint8_t before = bytes[at];
        bytes[at] ^= damages[at % ARRAY_LENGTH(damages)];
        table->checksum = rule_table_checksum(table);
        const struct inspection_options options = {.table_fd = fd};
        struct inspection *inspection = NULL;
        int r = inspection_open(&options, &inspection, NULL);
        if (r == 0) {
            struct inspection_result result;
            judge(inspection, "x=a&y=bar", &result);
            inspection_free(inspection);
            taken++;
        } else {
            assert_int_equal(r, -EINVAL);
            refused++;
        }
        bytes[at] = before;
    }
    assert_true(refused > 0 && taken > 0);
    (void)munmap(table, size);
}

static void test_no_tables(void **state)
{
    (void)state;
    struct rule_table table;
    AUTO_CLOSE int fd = memfd_create("huge", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, APPLICATION_LIMIT_TABLE + 1), 0);
    assert_int_equal(rule_table_open(fd, &table), -EFBIG);
    assert_int_equal(rule_table_open(-1, &table), -EBADF);
}

static void test_budget(void **state)
{
    (void)state;
    char event[8192];
    struct inspection_result result;
    struct inspection *inspection =
        open_rules("SecRule ARGS \"@rx (a+)+$\" \"id:1,phase:2\"\n", false);
    int length = snprintf(event, sizeof(event),
                          "{\"version\":\"2.0\",\"rawPath\":\"/\",\"rawQueryString\":\"");
    for (int i = 0; i < 1000; i++)
        length += snprintf(event + length, sizeof(event) - (size_t)length, "a=aab&");
    (void)snprintf(event + length, sizeof(event) - (size_t)length,
                   "\",\"requestContext\":{\"http\":{\"method\":\"GET\"}}}");
    assert_int_equal(inspection_judge(inspection, event, strlen(event), 1, &result), 0);
    assert_true(result.budget_exhausted);
    assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, &result), 0);
    assert_false(result.budget_exhausted);
    inspection_free(inspection);
}

/* Of what an expression needs, whether a text of these bytes lacks something. */
static bool lacks(const char *expression, const char *text)
{
    struct regex_needs needs;
    regex_needs_read(span_of(expression), &needs);
    for (size_t i = 0; i < needs.count; i++) {
        bool met = false;
        for (const char *at = text; *at != '\0'; at++)
            met = met || (needs.classes[i].bytes[(unsigned char)*at >> 6] >> (*at & 63) & 1) != 0;
        if (!met)
            return true;
    }
    return strlen(text) < needs.least_length;
}

static void test_regex_needs(void **state)
{
    (void)state;
    assert_true(lacks("(?i)<script", "hello"));
    assert_false(lacks("(?i)<script", "<SCRIPT"));
    assert_true(lacks("a(?:b|c)d{2}", "abd"));
    assert_false(lacks("a(?:b|c)?d{2}", "add"));
    assert_false(lacks("x*y?", ""));
    assert_true(lacks("[\"'`]\\s*;", "abc;"));
    assert_false(lacks("(?<!x)a\\1?", "a"));
    assert_false(lacks("\\Qx\\E|y", "z")); /* not understood: needs nothing */
    assert_false(lacks("(?x) a b", "ab"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_deny),
        cmocka_unit_test(test_texts_that_are_none),
        cmocka_unit_test(test_folders_of_rules),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_missing_marker),
        cmocka_unit_test(test_damage_behind_a_right_checksum),
        cmocka_unit_test(test_no_tables),
        cmocka_unit_test(test_damaged_table),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_regex_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
