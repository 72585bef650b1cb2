/* What is made of S3's answers, with a stand-in in its place and a scan that finds all clean. */
#include "storage/scan/object_scanner.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- the scan service's place ---- */

int scan_service_start(const struct storage_settings *settings UNUSED,
                       struct signature_mirror *mirror UNUSED,
                       struct scan_service **ret_service UNUSED)
{
    return 0;
}

struct scan_service *scan_service_stop(struct scan_service *service UNUSED)
{
    return NULL;
}

int scan_service_wait(struct scan_service *service UNUSED, uint64_t deadline_ns UNUSED)
{
    return 0;
}

static uint64_t scan_takes_ns; /* of the fake clock; 0 = the clock is the real one */

void scan_service_scan(struct scan_service *service UNUSED, int fd UNUSED,
                       uint64_t deadline_ns UNUSED, struct scan_result *ret_result)
{
    *ret_result = (struct scan_result){.verdict = SCAN_CLEAN};
    if (scan_takes_ns > 0)
        clock_set_fake(clock_monotonic_ns() + scan_takes_ns, clock_realtime_ns());
}

void scan_service_abandon(struct scan_service *service UNUSED) {}

void scan_service_status(struct scan_service *service UNUSED, struct scanner_status *ret_status)
{
    *ret_status = (struct scanner_status){.engine_version = ""};
}

void scan_service_signatures(struct scan_service *service UNUSED,
                             char text[static SCAN_SIGNATURES_BYTES])
{
    text[0] = '\0';
}

/* ---- S3's place: one scripted answer for each request, by its number ---- */

struct step {
    const char *method, *in_target; /* what the request must be */
    int status;
    const char *lines, *body;
};

struct world {
    struct stand_in stand_in;
    struct storage_settings settings;
    struct scan_resources resources;
    struct object_scanner *scanner;
    const struct step *steps;
    size_t count, at;
    bool strayed;
};

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct world *world = user;
    const struct step *step = &world->steps[world->at];

    if (world->at >= world->count || !text_equal(request->method, step->method) ||
        strstr(request->target, step->in_target) == NULL) {
        (void)fprintf(stderr, "step %zu: %s %s\n", world->at, request->method, request->target);
        world->strayed = true;
        stand_in_write(text, size, 400, "", "");
        return;
    }
    world->at++;
    stand_in_write(text, size, step->status, step->lines, step->body);
}

static const char *lookup(void *user UNUSED, const char *name UNUSED)
{
    return NULL;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct settings_error error;

    if (world == NULL)
        return -1;
    world->stand_in.answer = answer;
    world->stand_in.user = world;
    stand_in_start(&world->stand_in);
    world->resources = (struct scan_resources){
        .settings = &world->settings,
        .aws = {.region = "eu-west-1",
                .metadata_disabled = true,
                .keys = {"testing", "secret", ""}},
        .tagger = {.format = TAG_SEPARATED, .prefix = "yagura"},
    };
    (void)text_copy(world->resources.aws.endpoint, sizeof world->resources.aws.endpoint,
                    world->stand_in.url);
    int r = storage_settings_load(NULL, lookup, NULL, &world->settings, &error);
    if (r == 0)
        r = tag_sight_new(&world->resources.tag_sight);
    if (r == 0)
        r = object_scanner_new(&world->resources, &world->scanner);
    *state = world;
    return r;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    stand_in_stop(&world->stand_in);
    (void)object_scanner_free(world->scanner);
    world->resources.tag_sight = tag_sight_free(world->resources.tag_sight);
    storage_settings_done(&world->settings);
    clock_set_fake(0, 0);
    scan_takes_ns = 0;
    free(world);
    return 0;
}

static struct storage_result run(struct world *world, const char *version, const struct step *steps,
                                 size_t count)
{
    const struct scan_order order = {.message_id = "",
                                     .deadline_ns = clock_monotonic_ns() + 60 * NS_PER_SECOND};
    struct storage_object object = {.bucket = "from", .key = "a", .etag = "e"};
    struct storage_result result;

    (void)text_copy(object.version, sizeof object.version, version);
    world->steps = steps;
    world->count = count;
    world->at = 0;
    assert_int_equal(object_scanner_run(world->scanner, &object, &order, &result), 0);
    assert_false(world->strayed);
    assert_int_equal(world->at, count);
    return result;
}

#define NO_TAGS "<Tagging><TagSet></TagSet></Tagging>"
#define CUSTOMER                                                                              \
    "<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of "       \
    "Server Side Encryption. The correct parameters must be provided to retrieve the object." \
    "</Message></Error>"
#define KMS                                                                               \
    "<Error><Code>AccessDenied</Code><Message>User: arn:x is not authorized to perform: " \
    "kms:Decrypt on resource: arn:y</Message></Error>"

/* ---- the tests ---- */

/* An object whose key is not ours has a verdict, and not another try for ever. */
static void test_lasting_refusals(void **state)
{
    static const struct step customer[] = {{"GET", "/from/a?versionId=v", 400, "", CUSTOMER},
                                           {"GET", "tagging", 200, "", NO_TAGS},
                                           {"PUT", "tagging", 200, "", ""}};
    static const struct step kms[] = {{"GET", "/from/a", 403, "", KMS}};

    struct storage_result result = run(*state, "v", customer, ARRAY_LENGTH(customer));
    assert_int_equal(result.verdict, STORAGE_ERROR);
    assert_string_equal(result.reason, "customer-key");
    assert_true(result.tagged);
    /* Without a version its content would have to be compared, which S3 refuses as well. */
    result = run(*state, "", kms, ARRAY_LENGTH(kms));
    assert_int_equal(result.verdict, STORAGE_ERROR);
    assert_string_equal(result.reason, "kms-key");
    assert_non_null(strstr(result.problem, "kms:Decrypt"));
    assert_false(result.tagged);
}

#define STANDS(method, time)                                                     \
    {                                                                            \
        method, "/from/a", 200, "ETag: \"e\"\r\nLast-Modified: " time "\r\n", "" \
    }

/* An error in a good answer has no ETag, another object has another one: neither is scanned. */
static void test_an_answer_that_is_not_the_object(void **state)
{
    static const struct step none[] = {{"GET", "/from/a", 200, "", "<Error/>"}};
    static const struct step other[] = {{"GET", "/from/a", 200, "ETag: \"ee\"\r\n", "x"}};
    const struct step *const wrong[] = {none, other};
    struct world *world = *state;
    const struct storage_object object = {
        .bucket = "from", .key = "a", .etag = "\"e\"", .version = "v"};
    struct storage_result result;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        world->steps = wrong[i];
        world->count = 1;
        world->at = 0;
        assert_int_equal(object_scanner_look(world->scanner, &object,
                                             clock_monotonic_ns() + 60 * NS_PER_SECOND, &result),
                         -EAGAIN);
        assert_false(world->strayed);
        assert_int_equal(result.verdict, STORAGE_ERROR);
    }
}

/* A bucket without versions: the ETag is an MD5, of which two contents may have the same. */
static void test_another_content_of_the_same_etag(void **state)
{
    static const struct step same[] = {STANDS("GET", "x"),
                                       STANDS("HEAD", "x"),
                                       {"GET", "tagging", 200, "", NO_TAGS},
                                       {"PUT", "tagging", 200, "", ""},
                                       STANDS("HEAD", "x")};
    static const struct step before[] = {STANDS("GET", "x"), STANDS("HEAD", "y")};

    struct storage_result result = run(*state, "", same, ARRAY_LENGTH(same));
    assert_int_equal(result.verdict, STORAGE_CLEAN);
    assert_true(result.tagged);
    result = run(*state, "", before, ARRAY_LENGTH(before));
    assert_int_equal(result.verdict, STORAGE_SUPERSEDED);
    assert_false(result.tagged);
}

#define CONTENT(lines)                                      \
    {                                                       \
        "GET", "/from/a", 200, "ETag: \"e\"\r\n" lines, "x" \
    }
#define ASKED                              \
    {                                      \
        "GET", "tagging", 200, "", NO_TAGS \
    }
#define WRITTEN                       \
    {                                 \
        "PUT", "tagging", 200, "", "" \
    }
#define HAS_OURS "x-amz-tagging-count: 3\r\n" /* status, signatures, date */
#define RUN(...)                                                          \
    do {                                                                  \
        static const struct step steps[] = {__VA_ARGS__};                 \
        assert_true(run(*state, "v", steps, ARRAY_LENGTH(steps)).tagged); \
    } while (0)

static void fake_time(uint64_t scan_ns)
{
    scan_takes_ns = scan_ns;
    clock_set_fake(1000 * NS_PER_SECOND, 1700000000 * NS_PER_SECOND);
}

/* That S3 says nothing of tags means none only where it was heard to tell their number. */
static void test_tags_that_are_not_asked_for(void **state)
{
    fake_time(NS_PER_MS);
    RUN(CONTENT(""), ASKED, WRITTEN, CONTENT("")); /* the number is not told: no proof */
    RUN(CONTENT(""), ASKED, WRITTEN);              /* and not looked for again at once */
    clock_set_fake(clock_monotonic_ns() + 61 * NS_PER_SECOND, clock_realtime_ns());
    RUN(CONTENT(""), ASKED, WRITTEN, CONTENT(HAS_OURS));
    RUN(CONTENT(""), WRITTEN);
    RUN(CONTENT(HAS_OURS), ASKED, WRITTEN);
    clock_set_fake(clock_monotonic_ns() + 3601 * NS_PER_SECOND, clock_realtime_ns());
    RUN(CONTENT(""), ASKED, WRITTEN, CONTENT(HAS_OURS));
}

/* A right to read tags that ended, or does not cover all keys, makes silence ambiguous again. */
static void test_tags_are_asked_for_after_a_refusal(void **state)
{
    static const struct step refused[] = {
        CONTENT(HAS_OURS), {"GET", "tagging", 403, "", "<Error><Code>AccessDenied</Code></Error>"}};

    fake_time(NS_PER_MS);
    RUN(CONTENT(""), ASKED, WRITTEN, CONTENT(HAS_OURS));
    RUN(CONTENT(""), WRITTEN);
    assert_false(run(*state, "v", refused, ARRAY_LENGTH(refused)).tagged);
    RUN(CONTENT(""), ASKED, WRITTEN);
}

/* Others tag objects in the same moments: what was told before a longer scan is not relied on. */
static void test_tags_are_asked_for_after_a_long_scan(void **state)
{
    fake_time(101 * NS_PER_MS);
    RUN(CONTENT(""), ASKED, WRITTEN, CONTENT(HAS_OURS));
    RUN(CONTENT(""), ASKED, WRITTEN);
}

/* A content that can be written over is asked about each time. */
static void test_tags_of_what_has_no_versions(void **state)
{
    static const struct step each[] = {STANDS("GET", "x"), STANDS("HEAD", "x"), ASKED, WRITTEN,
                                       STANDS("HEAD", "x")};

    fake_time(NS_PER_MS);
    RUN(CONTENT(""), ASKED, WRITTEN, CONTENT(HAS_OURS));
    assert_true(run(*state, "", each, ARRAY_LENGTH(each)).tagged);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_lasting_refusals),
        TEST(test_an_answer_that_is_not_the_object),
        TEST(test_another_content_of_the_same_etag),
        TEST(test_tags_that_are_not_asked_for),
        TEST(test_tags_are_asked_for_after_a_refusal),
        TEST(test_tags_are_asked_for_after_a_long_scan),
        TEST(test_tags_of_what_has_no_versions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
