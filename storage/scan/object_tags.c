/* The tags of an object that was scanned. Owns: that they stand on the content they are about.
 * Hands off: names and values to tagger.c. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/scan/object_scanner_private.h"

#include <errno.h>

#define UNTAGGED_NS (100 * NS_PER_MS)

bool object_is_fixed(const struct storage_object *object)
{
    return object->version[0] != '\0' && !text_equal(object->version, "null");
}

/* 0 it is still the content that was scanned; -ESTALE; -EAGAIN. The time tells apart what has the
 * same ETag, which an MD5 is; "" = not known yet. */
static int compare_content(struct object_scanner *scanner, const struct s3_object *wanted,
                           char modified[static S3_TIME_BYTES])
{
    struct s3_facts facts;
    struct aws_answer answer;

    enum aws_outcome outcome = s3_head(scanner->client, wanted, &facts, &answer);
    aws_answer_done(&answer);
    if (outcome == AWS_CHANGED || outcome == AWS_NOT_FOUND ||
        (outcome == AWS_OK && wanted->etag != NULL && !text_equal(facts.etag, wanted->etag)) ||
        (outcome == AWS_OK && modified[0] != '\0' && !text_equal(facts.modified, modified)))
        return -ESTALE;
    if (outcome == AWS_OK)
        (void)text_copy(modified, S3_TIME_BYTES, facts.modified);
    return outcome == AWS_OK ? 0 : -EAGAIN;
}

/* Our verdict stands on a content it is not about: away with it. */
static int take_back(struct object_scanner *scanner, const struct s3_object *wanted)
{
    struct s3_tags tags;
    struct aws_answer answer;

    enum aws_outcome outcome = s3_get_tags(scanner->client, wanted, &tags, &answer);
    aws_answer_done(&answer);
    if (outcome == AWS_NOT_FOUND)
        return 0;
    if (outcome != AWS_OK)
        return -EAGAIN;
    size_t before = tags.count;
    tagger_clear(&scanner->resources->tagger, &tags);
    if (tags.count == before)
        return 0;
    outcome = s3_put_tags(scanner->client, wanted, &tags, &answer);
    aws_answer_done(&answer);
    return outcome == AWS_OK || outcome == AWS_NOT_FOUND ? 0 : -EAGAIN;
}

/* It came a moment ago, without tags: to ask would take as long, and leave others as much time to
 * set some. What can be written over is asked in any case. */
static bool is_untagged(const struct object_scanner *scanner, const struct storage_result *result)
{
    return object_is_fixed(&result->object) && result->untagged_ns != 0 &&
           clock_monotonic_ns() - result->untagged_ns <= UNTAGGED_NS &&
           tag_sight_is_proven(scanner->resources->tag_sight, result->object.bucket);
}

/* The object has our tags now: does S3 tell their number with its content? */
static void prove_tag_sight(struct object_scanner *scanner, const struct s3_object *wanted,
                            const struct storage_result *result, size_t count)
{
    struct tag_sight *sight = scanner->resources->tag_sight;
    const struct s3_get first_byte = {.range = true, .maximum_answer = 65536};
    struct s3_facts facts;
    struct aws_answer answer;

    if (!object_is_fixed(&result->object) || result->object.size == 0 || count == 0 ||
        !tag_sight_wants_proof(sight, result->object.bucket))
        return;
    enum aws_outcome outcome = s3_get(scanner->client, wanted, &first_byte, &facts, &answer);
    aws_answer_done(&answer);
    if (outcome == AWS_OK && facts.tags == count)
        tag_sight_prove(sight, result->object.bucket);
}

static int put_merged(struct object_scanner *scanner, const struct s3_object *wanted,
                      struct storage_result *result)
{
    struct s3_tags tags = {.count = 0};
    struct aws_answer answer = {.outcome = AWS_OK};

    enum aws_outcome outcome = is_untagged(scanner, result)
                                   ? AWS_OK
                                   : s3_get_tags(scanner->client, wanted, &tags, &answer);
    if (outcome == AWS_DENIED)
        tag_sight_doubt(scanner->resources->tag_sight, result->object.bucket);
    if (outcome == AWS_OK) {
        aws_answer_done(&answer);
        if (tagger_merge(&scanner->resources->tagger, result, &tags) < 0) {
            (void)text_copy(result->tag_problem, sizeof result->tag_problem,
                            "ten tags of others stand there");
            return 0;
        }
        outcome = s3_put_tags(scanner->client, wanted, &tags, &answer);
    }
    if (outcome != AWS_OK)
        (void)text_copy(result->tag_problem, sizeof result->tag_problem, answer.problem);
    aws_answer_done(&answer);
    result->tagged = outcome == AWS_OK;
    if (result->tagged)
        prove_tag_sight(scanner, wanted, result, tags.count);
    if (outcome == AWS_NOT_FOUND)
        return -ESTALE;
    /* What another try does not change is told with the verdict. */
    return outcome == AWS_OK || outcome == AWS_DENIED || outcome == AWS_REFUSED ? 0 : -EAGAIN;
}

static int put_over_changeable(struct object_scanner *scanner, const struct s3_object *wanted,
                               struct storage_result *result)
{
    int r = compare_content(scanner, wanted, result->modified);

    if (r == 0)
        r = put_merged(scanner, wanted, result);
    if (r == 0 && result->tagged)
        r = compare_content(scanner, wanted, result->modified);
    if (r == 0)
        return 0;
    if (!result->tagged) {
        /* Nothing of ours stands there; the other content has its own event. */
        if (r == -ESTALE)
            result->verdict = STORAGE_SUPERSEDED;
        return r == -ESTALE ? 0 : r;
    }
    result->tagged = false;
    if (take_back(scanner, wanted) < 0)
        log_error("verdict_not_taken_back", "bucket", result->object.bucket, NULL);
    return r;
}

/* S3 does not even say which content stands there. */
static bool is_refused(const struct storage_result *result)
{
    return text_equal(result->reason, REASON_CUSTOMER_KEY) ||
           text_equal(result->reason, REASON_KMS_KEY);
}

int object_tags_write(struct object_scanner *scanner, struct storage_result *result)
{
    const struct s3_object wanted = object_scanner_s3(scanner, &result->object);

    if (scanner->resources->tagger.format == TAG_NONE)
        return 0;
    if (!object_is_fixed(&result->object) && is_refused(result)) {
        (void)text_copy(result->tag_problem, sizeof result->tag_problem,
                        "its content cannot be compared");
        return 0;
    }
    if (!object_is_fixed(&result->object))
        return put_over_changeable(scanner, &wanted, result);
    int r = put_merged(scanner, &wanted, result);
    if (r == -ESTALE)
        result->verdict = STORAGE_DELETED;
    return r == -ESTALE ? 0 : r;
}
