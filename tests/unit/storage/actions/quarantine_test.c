/* Content that a person released, against a stand-in whose object changes: the word "clean" stands
 * on that content only. */
#include "storage/actions/quarantine.h"

#include "common/text/text.h"
#include "storage/actions/actions.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* One scripted answer for each request, by its number. */
struct step {
    const char *method, *in_target; /* what the request must be */
    int status;
    const char *lines, *body;
    const char *in_body, *not_in_body; /* of the request; NULL = no matter */
};

struct world {
    struct stand_in stand_in;
    struct aws_client *client;
    const struct step *steps;
    size_t count, at;
    bool strayed;
};

static bool fits(const struct step *step, const struct stand_in_request *request)
{
    return text_equal(request->method, step->method) &&
           strstr(request->target, step->in_target) != NULL &&
           (step->in_body == NULL || strstr(request->body, step->in_body) != NULL) &&
           (step->not_in_body == NULL || strstr(request->body, step->not_in_body) == NULL);
}

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct world *world = user;

    if (world->at >= world->count || !fits(&world->steps[world->at], request)) {
        (void)fprintf(stderr, "step %zu: %s %s %s\n", world->at, request->method, request->target,
                      request->body);
        world->strayed = true;
        stand_in_write(text, size, 400, "", "");
        return;
    }
    const struct step *step = &world->steps[world->at++];
    stand_in_write(text, size, step->status, step->lines, step->body);
}

static void no_sleep(void *user UNUSED, uint64_t ns UNUSED) {}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct aws_settings settings = {.region = "eu-west-1",
                                    .metadata_disabled = true,
                                    .keys = {"testing", "secret", ""}};

    if (world == NULL)
        return -1;
    world->stand_in.answer = answer;
    world->stand_in.user = world;
    stand_in_start(&world->stand_in);
    (void)text_copy(settings.endpoint, sizeof settings.endpoint, world->stand_in.url);
    int r = aws_client_new(&settings, NULL, &world->client);
    if (r == 0) {
        aws_client_set_sleep(world->client, no_sleep, NULL);
        aws_client_set_patience(world->client, 0, 1);
    }
    *state = world;
    return r;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    stand_in_stop(&world->stand_in);
    (void)aws_client_free(world->client);
    free(world);
    return 0;
}

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

    world->steps = steps;
    world->count = count;
    world->at = 0;
    enum quarantine_action action = quarantine_act(world->client, &policy, &result, &outcome);
    assert_false(world->strayed);
    assert_int_equal(world->at, count);
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
    assert_int_equal(actions_handle(actions, text, (size_t)length), -EAGAIN);
    assert_false(world->strayed);
    world->steps = gone;
    world->count = ARRAY_LENGTH(gone);
    length = text_format(text, sizeof text, RESULT, "from");
    assert_int_equal(actions_handle(actions, text, (size_t)length), 0);
    assert_int_equal(world->at, world->count);
    assert_false(world->strayed);
    (void)actions_free(actions);
    storage_settings_done(&settings);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_released),
        TEST(test_another_content_stands_there),
        TEST(test_written_over_meanwhile),
        TEST(test_not_known_afterwards),
        TEST(test_buckets_of_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
