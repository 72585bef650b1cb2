/* Content that a person released, against a stand-in whose object changes: the word "clean" stands
 * on that content only. */
#include "storage/actions/quarantine.h"

#include "common/text/text.h"
#include "storage/actions/actions.h"
#include "tests/unit/storage/actions/scripted_s3.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static enum quarantine_action run(struct world *world, const struct step *steps, size_t count)
{
    static const struct quarantine_policy policy = {.bucket = "kept",
                                                    .kms_key = "",
                                                    .promote_bucket = "",
                                                    .promote_kms_key = "",
                                                    .tag_prefix = "yagura"};
    static const struct published_result result = {
        .verdict = PUBLISHED_INFECTED, .bucket = "from", .key = "a", .etag = "e", .sha256 = "00"};
    struct quarantine_outcome outcome;

    scripted_s3_load(world, steps, count);
    enum quarantine_action action = quarantine_act(world->client, &policy, &result, &outcome);
    scripted_s3_check(world);
    return action;
}

#define TAG(key, value) "<Tag><Key>" key "</Key><Value>" value "</Value></Tag>"
#define TAGGING(status) \
    "<Tagging><TagSet>" TAG("a", "b") TAG("yagura-scan-status", status) "</TagSet></Tagging>"
#define RELEASED                                            \
    {                                                       \
        "HEAD", "/kept/allowed/00", 200, "", "", NULL, NULL \
    }
#define STANDS(time)                                                                         \
    {                                                                                        \
        "HEAD", "/from/a", 200, "ETag: \"e\"\r\nLast-Modified: " time "\r\n", "", NULL, NULL \
    }
#define CHANGED                                    \
    {                                              \
        "HEAD", "/from/a", 412, "", "", NULL, NULL \
    }
#define TAGS(status)                                           \
    {                                                          \
        "GET", "tagging", 200, "", TAGGING(status), NULL, NULL \
    }
#define PUT(status)                                                            \
    {                                                                          \
        "PUT", "tagging", 200, "", "", TAG("yagura-scan-status", status), NULL \
    }

static void test_released(void **state)
{
    static const struct step steps[] = {RELEASED, STANDS("x"), TAGS("infected"), PUT("clean"),
                                        STANDS("x")};

    assert_int_equal(run(*state, steps, ARRAY_LENGTH(steps)), QUARANTINE_ALLOWED);
}

static void test_another_content_stands_there(void **state)
{
    static const struct step steps[] = {RELEASED, CHANGED};

    assert_int_equal(run(*state, steps, ARRAY_LENGTH(steps)), QUARANTINE_GONE);
}

/* Also one with the same ETag, which an MD5 is. */
static void test_written_over_meanwhile(void **state)
{
    static const struct step taken_back = {"PUT",         "tagging",           200, "", "",
                                           TAG("a", "b"), "yagura-scan-status"};
    const struct step other_etag[] = {RELEASED, STANDS("x"),   TAGS("infected"), PUT("clean"),
                                      CHANGED,  TAGS("clean"), taken_back};
    const struct step other_time[] = {RELEASED,    STANDS("x"),   TAGS("infected"), PUT("clean"),
                                      STANDS("y"), TAGS("clean"), taken_back};
    static const struct step scanned[] = {RELEASED,     STANDS("x"), TAGS("infected"),
                                          PUT("clean"), CHANGED,     TAGS("infected")};

    assert_int_equal(run(*state, other_etag, ARRAY_LENGTH(other_etag)), QUARANTINE_GONE);
    assert_int_equal(run(*state, other_time, ARRAY_LENGTH(other_time)), QUARANTINE_GONE);
    assert_int_equal(run(*state, scanned, ARRAY_LENGTH(scanned)), QUARANTINE_GONE);
}

/* Nobody knows what stands there: the tags become what they were, and the next try finds them. */
static void test_not_known_afterwards(void **state)
{
    static const struct step steps[] = {RELEASED,
                                        STANDS("x"),
                                        TAGS("infected"),
                                        PUT("clean"),
                                        {"HEAD", "/from/a", 503, "", "", NULL, NULL},
                                        TAGS("clean"),
                                        PUT("infected")};

    assert_int_equal(run(*state, steps, ARRAY_LENGTH(steps)), QUARANTINE_FAILED);
}

static const char *lookup(void *user, const char *name)
{
    const char *buckets = user;

    if (text_equal(name, "YAGURA_BUCKETS"))
        return buckets;
    return text_equal(name, "YAGURA_QUARANTINE_BUCKET") ? "kept" : NULL;
}

#define RESULT                                                                                 \
    "{\"type\":\"scan-result\",\"schema\":\"yagura/1\",\"bucket\":\"%s\",\"file_name\":\"a\"," \
    "\"file_attributes\":{\"etag\":\"e\"},\"verdict\":\"infected\",\"scanner_status\":0,"      \
    "\"scanning_result\":{\"Findings\":[{\"malware\":\"M\"}],\"Codes\":[]}}"

/* A message may name any bucket: nothing is asked of one that the settings do not name. */
static void test_buckets_of_others(void **state)
{
    struct world *world = *state;
    static char named[] = "first:from", none[] = "";
    static const struct step gone[] = {{"GET", "/from/a?tagging", 404, "", "", NULL, NULL}};
    struct storage_settings settings;
    struct settings_error error;
    struct actions *actions;
    char problem[256], text[512];

    assert_int_equal(storage_settings_load(NULL, lookup, none, &settings, &error), 0);
    assert_int_equal(actions_new(&settings, world->client, &actions, problem, sizeof problem),
                     -EINVAL);
    assert_non_null(strstr(problem, "buckets"));
    storage_settings_done(&settings);
    assert_int_equal(storage_settings_load(NULL, lookup, named, &settings, &error), 0);
    assert_int_equal(actions_new(&settings, world->client, &actions, problem, sizeof problem), 0);
    int length = text_format(text, sizeof text, RESULT, "other");
    assert_int_equal(actions_handle(actions, text, (size_t)length, false), -EAGAIN);
    assert_false(world->strayed);
    scripted_s3_load(world, gone, ARRAY_LENGTH(gone));
    length = text_format(text, sizeof text, RESULT, "from");
    assert_int_equal(actions_handle(actions, text, (size_t)length, false), 0);
    assert_int_equal(world->at, world->count);
    assert_false(world->strayed);
    (void)actions_free(actions);
    storage_settings_done(&settings);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, scripted_s3_begin, scripted_s3_end)
    const struct CMUnitTest tests[] = {
        TEST(test_released),
        TEST(test_another_content_stands_there),
        TEST(test_written_over_meanwhile),
        TEST(test_not_known_afterwards),
        TEST(test_buckets_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
