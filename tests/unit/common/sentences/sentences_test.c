/* Sentences find their template, whatever stands in their values. */
#include "common/sentences/sentences.h"

#include "common/attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_said(const char *english, const char *japanese)
{
    AUTO_FREE char *said = sentence_in_japanese(english);

    if (japanese == NULL) {
        assert_null(said);
        return;
    }
    assert_non_null(said);
    assert_string_equal(said, japanese);
}

static void test_sentences_and_their_values(void **state)
{
    (void)state;
    assert_said("no signatures are loaded", "シグネチャが読み込まれていません");
    assert_said("the newest signatures are 12 days old", "最新のシグネチャが 12 日前のものです");
    assert_said("3 own files are not as their package brought them: /a/b",
                "エージェントのファイル 3 個がパッケージの内容と異なります: /a/b");
    assert_said("the newest signatures are  days old", "最新のシグネチャが  日前のものです");
}

static void test_a_value_may_be_a_sentence(void **state)
{
    (void)state;
    assert_said("nothing can be scanned: there are no signatures",
                "スキャンできません: シグネチャがありません");
    assert_said("new signatures are not used: cannot load signatures: broken",
                "新しいシグネチャは使われません: シグネチャを読み込めません: broken");
}

static void test_a_name_before_it_stays(void **state)
{
    (void)state;
    assert_said("web.conf:3: scan.workers: must be a text in quotes",
                "web.conf:3: scan.workers: 引用符で囲んだ文字列にしてください");
    assert_said("scanner: no signatures are loaded", "scanner: シグネチャが読み込まれていません");
}

static void test_what_is_not_known_is_left(void **state)
{
    (void)state;
    static char long_text[9000];
    memset(long_text, ':', sizeof long_text - 1);
    assert_said("", NULL);
    assert_said("no signatures are loaded!", NULL);
    assert_said("the newest signatures are 12 days", NULL);
    assert_said(": : : :", NULL);
    assert_said(long_text, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences_and_their_values),
        cmocka_unit_test(test_a_value_may_be_a_sentence),
        cmocka_unit_test(test_a_name_before_it_stays),
        cmocka_unit_test(test_what_is_not_known_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
