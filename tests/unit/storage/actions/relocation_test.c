/* The order of a move's requests, against a stand-in that misbehaves: nothing is deleted unless the
 * copy stood the comparison, and no half copy is left. */
#include "storage/actions/relocation.h"

#include "common/text/text.h"
#include "tests/unit/storage/actions/scripted_s3.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define MIB         (1024 * 1024)
#define DIGEST_HEX  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define DIGEST_TEXT "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static const struct relocation small = {.bucket = "from",
                                        .key = "a b",
                                        .version = "v",
                                        .etag = "e",
                                        .sha256 = DIGEST_HEX,
                                        .to_bucket = "into",
                                        .to_key = "x",
                                        .kms_key = "arn:key",
                                        .tags = "q=1"};

static enum relocation_end run(struct world *world, const struct relocation *relocation,
                               const struct step *steps, size_t count)
{
    struct relocation_result result;

    scripted_s3_load(world, steps, count);
    enum relocation_end end = relocation_run(world->client, relocation, &result);
    if (world->at != count)
        (void)fprintf(stderr, "ended: %s\n", result.problem);
    scripted_s3_check(world);
    return end;
}

#define HEAD_OF(etag, size)                                                                       \
    STEP("HEAD", "/from/a%20b?versionId=v", 200, "ETag: \"" etag "\"\r\nx-amz-version-id: v\r\n", \
         size)
#define COPY_OF(checksum)                                                        \
    STEP("PUT", "/into/x", 200, "",                                              \
         "<CopyObjectResult><ETag>&quot;e&quot;</ETag><ChecksumSHA256>" checksum \
         "</ChecksumSHA256></CopyObjectResult>")

static void test_a_move(void **state)
{
    struct world *world = *state;
    static const struct step steps[] = {HEAD_OF("e", ""), COPY_OF(DIGEST_TEXT),
                                        STEP("HEAD", "/into/x", 200, "ETag: \"f\"\r\n", ""),
                                        STEP("DELETE", "/from/a%20b?versionId=v", 204, "", "")};

    assert_int_equal(run(world, &small, steps, ARRAY_LENGTH(steps)), RELOCATION_DONE);
    static const char *const sent[] = {"x-amz-copy-source: /from/a%20b?versionId=v",
                                       "x-amz-copy-source-if-match: \"e\"",
                                       "x-amz-server-side-encryption: aws:kms",
                                       "x-amz-server-side-encryption-aws-kms-key-id: arn:key",
                                       "x-amz-tagging-directive: REPLACE",
                                       "x-amz-tagging: q=1",
                                       "x-amz-metadata-directive: COPY"};
    for (size_t i = 0; i < ARRAY_LENGTH(sent); i++)
        assert_non_null(strstr(world->heads[1], sent[i]));
}

static void test_nothing_is_deleted_in_doubt(void **state)
{
    struct world *world = *state;
    static const struct step other_bytes[] = {
        HEAD_OF("e", ""), COPY_OF("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        STEP("HEAD", "/into/x", 200, "", ""), STEP("DELETE", "/into/x", 204, "", "")};
    static const struct step late_error[] = {HEAD_OF("e", ""),
                                             STEP("PUT", "/into/x", 200, "",
                                                  "<Error><Code>InternalError</Code></Error>")};
    static const struct step changed[] = {HEAD_OF("e", ""),
                                          STEP("PUT", "/into/x", 412, "",
                                               "<Error><Code>PreconditionFailed</Code></Error>")};
    static const struct step no_bucket[] = {HEAD_OF("e", ""),
                                            STEP("PUT", "/into/x", 404, "",
                                                 "<Error><Code>NoSuchBucket</Code></Error>")};
    static const struct step gone[] = {STEP("HEAD", "/from/", 404, "", "")};
    static const struct step forbidden[] = {STEP("HEAD", "/from/", 403, "", "")};
    static const struct step no_copy[] = {HEAD_OF("e", ""), COPY_OF(DIGEST_TEXT),
                                          STEP("HEAD", "/into/x", 503, "", "")};

    assert_int_equal(run(world, &small, other_bytes, 4), RELOCATION_REFUSED);
    assert_int_equal(run(world, &small, late_error, 2), RELOCATION_FAILED);
    assert_int_equal(run(world, &small, changed, 2), RELOCATION_GONE);
    assert_int_equal(run(world, &small, no_bucket, 2), RELOCATION_FAILED);
    assert_int_equal(run(world, &small, gone, 1), RELOCATION_GONE);
    assert_int_equal(run(world, &small, forbidden, 1), RELOCATION_FAILED);
    assert_int_equal(run(world, &small, no_copy, 3), RELOCATION_FAILED);
}

/* The copy that was made goes, and nothing that others wrote there. */
static void test_a_refused_copy_is_removed(void **state)
{
    struct world *world = *state;
    struct relocation_result result;
    struct step steps[] = {
        HEAD_OF("e", ""),
        STEP("PUT", "/into/x", 200, "x-amz-version-id: new\r\nx-amz-copy-source-version-id: v\r\n",
             "<CopyObjectResult><ETag>&quot;c&quot;</ETag><ChecksumSHA256>AAAA</ChecksumSHA256>"
             "</CopyObjectResult>"),
        STEP("HEAD", "/into/x", 200, "", ""), STEP("DELETE", "/into/x?versionId=new", 204, "", "")};

    assert_int_equal(run(world, &small, steps, ARRAY_LENGTH(steps)), RELOCATION_REFUSED);
    assert_null(strstr(world->heads[3], "If-Match"));
    /* Without versions, or with suspended ones, its content tells it. */
    steps[3] = (struct step)STEP("DELETE", "/into/x", 412, "", "");
    static const char *const unversioned[] = {"", "x-amz-version-id: null\r\n"};
    for (size_t i = 0; i < ARRAY_LENGTH(unversioned); i++) {
        steps[1].lines = unversioned[i];
        assert_int_equal(run(world, &small, steps, ARRAY_LENGTH(steps)), RELOCATION_REFUSED);
        assert_non_null(strstr(world->heads[3], "If-Match: \"c\""));
        assert_null(strstr(world->heads[3], "versionId"));
    }
    steps[3].status = 403;
    world->at = 0;
    assert_int_equal(relocation_run(world->client, &small, &result), RELOCATION_REFUSED);
    assert_non_null(strstr(result.problem, "by hand"));
}

static void test_what_is_not_pinned(void **state)
{
    struct world *world = *state;
    struct relocation loose = small;

    loose.version = loose.etag = "";
    assert_int_equal(run(world, &loose, NULL, 0), RELOCATION_REFUSED);
}

/* A bucket whose versioning is suspended: a newer content has the same version. */
static void test_a_version_that_is_written_over(void **state)
{
    struct world *world = *state;
    struct relocation suspended = small;
    static const struct step steps[] = {
        STEP("HEAD", "/from/a%20b", 200, "ETag: \"e\"\r\nx-amz-version-id: null\r\n", ""),
        COPY_OF(DIGEST_TEXT), STEP("HEAD", "/into/x", 200, "ETag: \"f\"\r\n", ""),
        STEP("DELETE", "/from/a%20b", 412, "", "<Error><Code>PreconditionFailed</Code></Error>")};

    suspended.version = "null";
    assert_int_equal(run(world, &suspended, steps, ARRAY_LENGTH(steps)), RELOCATION_GONE);
    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++)
        assert_null(strstr(world->heads[i], "versionId"));
    assert_non_null(strstr(world->heads[0], "If-Match: \"e\""));
    assert_non_null(strstr(world->heads[3], "If-Match: \"e\""));
    suspended.etag = "";
    assert_int_equal(run(world, &suspended, NULL, 0), RELOCATION_REFUSED);
}

/* A HEAD has no body, whatever its length says: the stand-in cannot play a large object. What is in
 * parts is tried by itself. */
static void test_parts_are_given_up(void **state)
{
    struct world *world = *state;
    const struct s3_object from = {.bucket = "from", .key = "a b", .version = "v", .etag = "e"};
    const struct s3_object to = {.bucket = "into", .key = "x"};
    static const struct step steps[] = {
        STEP("POST", "/into/x?uploads=", 200, "", "<I><UploadId>u/1</UploadId></I>"),
        STEP("PUT", "/into/x?partNumber=1&uploadId=u%2F1", 200, "", "<C><ETag>\"1\"</ETag></C>"),
        STEP("PUT", "/into/x?partNumber=2&uploadId=u%2F1", 200, "",
             "<Error><Code>SlowDown</Code><ETag>x</ETag></Error>"),
        STEP("DELETE", "/into/x?uploadId=u%2F1", 204, "", "")};
    struct aws_answer got;

    scripted_s3_load(world, steps, ARRAY_LENGTH(steps));
    assert_int_equal(s3_copy_parts(world->client, &from, &to, 11 * MIB, 5 * MIB, NULL, 0, &got),
                     AWS_THROTTLED);
    aws_answer_done(&got);
    scripted_s3_check(world);
    assert_non_null(strstr(world->heads[1], "x-amz-copy-source-range: bytes=0-5242879"));
    assert_non_null(strstr(world->heads[2], "x-amz-copy-source-range: bytes=5242880-10485759"));
    assert_non_null(strstr(world->heads[2], "x-amz-copy-source-if-match: \"e\""));
}

static void test_impossible_parts(void **state)
{
    struct world *world = *state;
    const struct s3_object from = {.bucket = "from", .key = "k"},
                           to = {.bucket = "into", .key = "x"};
    static const struct {
        uint64_t size, part;
    } wrong[] = {{0, 5 * MIB}, {100, MIB}, {10001ULL * 5 * MIB, 5 * MIB}, {1, 6ULL << 30}};
    struct aws_answer got;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(s3_copy_parts(world->client, &from, &to, wrong[i].size, wrong[i].part,
                                       NULL, 0, &got),
                         AWS_REFUSED);
        aws_answer_done(&got);
    }
    assert_int_equal(world->at, 0);
}

static void test_links(void **state)
{
    struct world *world = *state;
    const struct s3_object object = {.bucket = "from", .key = "a b", .version = "v"};
    AUTO_BUFFER struct buffer url = BUFFER_WITH_MAXIMUM(8192);
    char start[256], problem[256];

    assert_int_equal(s3_link(world->client, &object, "GET", 60, &url, problem, sizeof problem),
                     AWS_OK);
    (void)text_format(start, sizeof start, "%s/from/a%%20b?X-Amz-Algorithm=", world->stand_in.url);
    assert_true(text_starts_with(buffer_text(&url), start));
    assert_non_null(strstr(buffer_text(&url), "&X-Amz-Expires=60&"));
    assert_non_null(strstr(buffer_text(&url), "&versionId=v&X-Amz-Signature="));
    assert_int_equal(world->at, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, scripted_s3_begin, scripted_s3_end)
    const struct CMUnitTest tests[] = {
        TEST(test_a_move),
        TEST(test_nothing_is_deleted_in_doubt),
        TEST(test_a_refused_copy_is_removed),
        TEST(test_what_is_not_pinned),
        TEST(test_a_version_that_is_written_over),
        TEST(test_parts_are_given_up),
        TEST(test_impossible_parts),
        TEST(test_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
