/* Whose tags stay, whose go, and what finds room. */
#include "storage/scan/tagger.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURES "2026-11-29T10:20:30Z/0123456789abcdef"

static const struct tagger separated = {TAG_SEPARATED, "yagura"};
static const struct tagger merged = {TAG_MERGED, "yagura"};
static const struct tagger fss = {TAG_FSS, "yagura"};

static struct storage_result result_of(enum storage_verdict verdict)
{
    return (struct storage_result){.verdict = verdict, .signatures = SIGNATURES};
}

static struct s3_tags with_others(size_t count)
{
    struct s3_tags tags = {.count = 0};
    char key[16];

    for (size_t i = 0; i < count; i++) {
        (void)text_format(key, sizeof key, "other%zu", i);
        assert_int_equal(s3_tags_set(&tags, key, "v"), 0);
    }
    return tags;
}

static void test_forged_tags_go(void **state UNUSED)
{
    struct storage_result result = result_of(STORAGE_INFECTED);
    struct s3_tags tags = with_others(2);

    (void)text_copy(result.signature, sizeof result.signature, "Eicar{x}");
    assert_int_equal(s3_tags_set(&tags, "yagura-scan-status", "clean"), 0);
    assert_int_equal(s3_tags_set(&tags, "yagura-scan", "clean"), 0);
    assert_int_equal(s3_tags_set(&tags, "yagura-scan-anything", "x"), 0);
    assert_int_equal(s3_tags_set(&tags, "yagura-scanned-by", "somebody else"), 0);
    assert_int_equal(tagger_merge(&separated, &result, &tags), 0);
    assert_string_equal(s3_tags_find(&tags, "yagura-scan-status"), "infected");
    assert_string_equal(s3_tags_find(&tags, "yagura-scan-detail"), "Eicar_x_");
    assert_null(s3_tags_find(&tags, "yagura-scan-anything"));
    assert_null(s3_tags_find(&tags, "yagura-scan"));
    assert_non_null(s3_tags_find(&tags, "yagura-scanned-by"));
    assert_non_null(s3_tags_find(&tags, "other1"));
}

static void test_never_more_than_ten(void **state UNUSED)
{
    const struct tagger *const all[] = {&separated, &merged, &fss};
    const struct storage_result result = result_of(STORAGE_CLEAN);

    for (size_t form = 0; form < ARRAY_LENGTH(all); form++)
        for (size_t others = 0; others <= S3_MOST_TAGS; others++) {
            struct s3_tags tags = with_others(others);
            int r = tagger_merge(all[form], &result, &tags);
            assert_int_equal(r, others < S3_MOST_TAGS ? 0 : -E2BIG);
            assert_true(tags.count <= S3_MOST_TAGS);
            for (size_t i = 0; i < others; i++)
                assert_true(text_starts_with(tags.tags[i].key, "other"));
            if (r == 0)
                assert_non_null(
                    s3_tags_find(&tags, form == 2 ? "fss-scan-result" : "yagura-scan-status"));
        }
}

static void test_values_fit(void **state UNUSED)
{
    struct storage_result result = result_of(STORAGE_ERROR);
    struct s3_tags tags = {.count = 0};

    memset(result.problem, '"', sizeof result.problem - 1);
    memset(result.reason, '&', sizeof result.reason - 1);
    assert_int_equal(tagger_merge(&fss, &result, &tags), 0);
    for (size_t i = 0; i < tags.count; i++) {
        assert_true(strlen(tags.tags[i].value) <= 256);
        assert_null(strpbrk(tags.tags[i].value, "\"&"));
    }
    assert_string_equal(s3_tags_find(&tags, "fss-scan-result"), "failure");
}

static void test_what_is_current(void **state UNUSED)
{
    const struct tagger *const own[] = {&separated, &merged};
    const struct storage_result clean = result_of(STORAGE_CLEAN);
    const struct storage_result infected = result_of(STORAGE_INFECTED);

    for (size_t form = 0; form < ARRAY_LENGTH(own); form++) {
        struct s3_tags tags = {.count = 0};
        assert_false(tagger_is_current(own[form], &tags, SIGNATURES));
        assert_int_equal(tagger_merge(own[form], &clean, &tags), 0);
        assert_true(tagger_is_current(own[form], &tags, SIGNATURES));
        assert_false(tagger_is_current(own[form], &tags, "2026-11-29T10:20:30Z/0123456789abcdee"));
        assert_false(tagger_is_current(own[form], &tags, ""));
        assert_int_equal(tagger_merge(own[form], &infected, &tags), 0);
        assert_false(tagger_is_current(own[form], &tags, SIGNATURES));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forged_tags_go),
        cmocka_unit_test(test_never_more_than_ten),
        cmocka_unit_test(test_values_fit),
        cmocka_unit_test(test_what_is_current),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
