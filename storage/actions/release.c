/* Releasing from the quarantine. Owns: the order release, copy back, forget. */
#include "storage/actions/release.h"

#include "common/text/text.h"
#include "storage/actions/quarantine.h"
#include "storage/actions/relocation.h"

#include <errno.h>
#include <string.h>

#define MOST_TAG_TEXT (S3_MOST_TAGS * 2048)

bool release_id_is_valid(const char *id)
{
    uint8_t bytes[(QUARANTINE_ID_BYTES - 1) / 2];

    return text_parse_hex(id, bytes, sizeof bytes) == 0;
}

static int error_of(const struct aws_answer *answer)
{
    if (answer->outcome == AWS_OK)
        return 0;
    return answer->outcome == AWS_NOT_FOUND ? -ENOENT : -EIO;
}

/* Ends a call: its error and text. */
static int finish(struct aws_answer *answer, char *problem, size_t size)
{
    int r = error_of(answer);

    if (r < 0)
        (void)text_copy(problem, size, answer->problem);
    aws_answer_done(answer);
    return r;
}

static int complain(int error, const char *text, char *problem, size_t size)
{
    (void)text_copy(problem, size, text);
    return error;
}

int release_read_record(struct aws_client *client, const char *bucket, const char *id,
                        struct quarantine_record *ret_record, char *problem, size_t problem_size)
{
    char key[QUARANTINE_KEY_BYTES], reason[128];
    const struct s3_object place = {.bucket = bucket, .key = key};
    const struct s3_get get = {.maximum_answer = QUARANTINE_RECORD_BYTES};
    struct s3_facts facts;
    struct aws_answer answer;

    if (!release_id_is_valid(id))
        return complain(-ENOENT,
                        "an id is 32 hexadecimal digits: see yagura-storage quarantine list",
                        problem, problem_size);
    (void)text_format(key, sizeof key, "records/%s.json", id);
    int r = 0;
    if (s3_get(client, &place, &get, &facts, &answer) == AWS_OK)
        r = quarantine_record_read(buffer_text(&answer.http.body), answer.http.body.length,
                                   ret_record, reason);
    if (r < 0)
        (void)text_copy(problem, problem_size, reason);
    int failed = finish(&answer, problem, problem_size);
    return failed < 0 ? failed : r;
}

/* ---- bringing back ---- */

static int allow(struct aws_client *client, const char *bucket, const char *sha256, char *problem,
                 size_t size)
{
    char key[QUARANTINE_KEY_BYTES];
    const struct s3_object mark = {.bucket = bucket, .key = key};
    const struct s3_put put = {.body = "", .content_type = "text/plain"};
    struct aws_answer answer;

    if (sha256[0] == '\0')
        return complain(-EBADMSG,
                        "its content is not known (no sha256), so that it cannot be released: copy "
                        "it by hand to where it is not scanned",
                        problem, size);
    (void)text_format(key, sizeof key, "allowed/%s", sha256);
    (void)s3_put(client, &mark, &put, &answer);
    return finish(&answer, problem, size);
}

static int write_tags(const struct s3_tags *tags, struct buffer *text)
{
    for (size_t i = 0; i < tags->count; i++) {
        (void)buffer_append_text(text, i > 0 ? "&" : "");
        sigv4_append_encoded(text, tags->tags[i].key, false);
        (void)buffer_append_text(text, "=");
        sigv4_append_encoded(text, tags->tags[i].value, false);
    }
    return buffer_failed(text);
}

static int find_object(struct aws_client *client, const struct s3_object *place,
                       struct s3_facts *facts, char *problem, size_t size)
{
    struct aws_answer answer;

    (void)s3_head(client, place, facts, &answer);
    int r = finish(&answer, problem, size);
    if (r == -ENOENT)
        (void)text_copy(problem, size, "the quarantine holds its record, but not the object");
    return r;
}

static int move_back(struct aws_client *client, const struct release *release,
                     const struct quarantine_record *record, char *problem, size_t size)
{
    AUTO_BUFFER struct buffer tags = BUFFER_WITH_MAXIMUM(MOST_TAG_TEXT);
    char key[QUARANTINE_KEY_BYTES];
    struct relocation_result moved;
    struct s3_facts facts;

    (void)text_format(key, sizeof key, "quarantine/%s", release->id);
    const struct s3_object place = {.bucket = release->bucket, .key = key};
    int r = find_object(client, &place, &facts, problem, size);
    if (r < 0)
        return r;
    if (write_tags(&record->tags, &tags) < 0)
        return complain(-EIO, "memory is short", problem, size);
    const struct relocation relocation = {
        .bucket = release->bucket,
        .key = key,
        .version = facts.version,
        .etag = facts.etag,
        .sha256 = record->sha256,
        .to_bucket = release->to_bucket != NULL ? release->to_bucket : record->bucket,
        .to_key = release->to_key != NULL ? release->to_key : record->key,
        .tags = buffer_text(&tags),
        .if_absent = !release->overwrite};
    enum relocation_end end = relocation_run(client, &relocation, &moved);
    (void)text_copy(problem, size, moved.problem);
    return end == RELOCATION_DONE ? 0 : end == RELOCATION_REFUSED ? -EEXIST : -EIO;
}

static int delete_at(struct aws_client *client, const char *bucket, const char *format,
                     const char *name, char *problem, size_t size)
{
    char key[QUARANTINE_KEY_BYTES];
    const struct s3_object place = {.bucket = bucket, .key = key};
    struct aws_answer answer;

    (void)text_format(key, sizeof key, "%s/%s%s", format, name,
                      text_equal(format, "records") ? ".json" : "");
    (void)s3_delete(client, &place, &answer);
    return finish(&answer, problem, size);
}

int release_restore(struct aws_client *client, const struct release *release,
                    struct quarantine_record *ret_record, char *problem, size_t problem_size)
{
    int r = release_read_record(client, release->bucket, release->id, ret_record, problem,
                                problem_size);

    /* First, so that what comes back is not moved away at once. */
    if (r == 0)
        r = allow(client, release->bucket, ret_record->sha256, problem, problem_size);
    if (r == 0)
        r = move_back(client, release, ret_record, problem, problem_size);
    if (r == 0)
        r = delete_at(client, release->bucket, "records", release->id, problem, problem_size);
    return r;
}

/* ---- the others ---- */

int release_delete(struct aws_client *client, const char *bucket, const char *id, char *problem,
                   size_t problem_size)
{
    struct quarantine_record record;

    int r = release_read_record(client, bucket, id, &record, problem, problem_size);
    if (r == 0)
        r = delete_at(client, bucket, "quarantine", id, problem, problem_size);
    if (r == 0)
        r = delete_at(client, bucket, "records", id, problem, problem_size);
    return r;
}

int release_forbid(struct aws_client *client, const char *bucket, const char *sha256, char *problem,
                   size_t problem_size)
{
    uint8_t digest[SHA256_BYTES];

    if (text_parse_hex(sha256, digest, sizeof digest) < 0)
        return complain(-EBADMSG, "a sha256 is 64 hexadecimal digits", problem, problem_size);
    return delete_at(client, bucket, "allowed", sha256, problem, problem_size);
}

struct listing {
    struct aws_client *client;
    const char *bucket;
    int (*each)(void *user, const char *id, const struct quarantine_record *record,
                const char *problem);
    void *user;
};

static int list_one(void *user, const struct s3_listed *listed)
{
    const struct listing *listing = user;
    struct quarantine_record record;
    char id[QUARANTINE_ID_BYTES], problem[512];

    if (!text_starts_with(listed->key, "records/") ||
        text_copy(id, sizeof id, listed->key + strlen("records/")) >= 0 ||
        !release_id_is_valid(id) || !text_ends_with(listed->key, ".json"))
        return 0; /* not one of ours */
    int r =
        release_read_record(listing->client, listing->bucket, id, &record, problem, sizeof problem);
    if (r == -ENOENT)
        return 0;
    return listing->each(listing->user, id, r == 0 ? &record : NULL, problem);
}

int release_list(struct aws_client *client, const char *bucket,
                 int (*each)(void *user, const char *id, const struct quarantine_record *record,
                             const char *problem),
                 void *user, char *problem, size_t problem_size)
{
    struct listing listing = {client, bucket, each, user};
    const struct s3_list list = {
        .bucket = bucket, .prefix = "records/", .each = list_one, .user = &listing};
    char token[S3_TOKEN_BYTES] = "";
    int r;

    do {
        struct aws_answer answer;
        (void)s3_list(client, &list, token, &answer);
        r = answer.outcome == AWS_TAKER_FAILED ? answer.taker_error : 0;
        int failed = finish(&answer, problem, problem_size);
        r = r < 0 ? r : failed;
    } while (r == 0 && token[0] != '\0');
    return r;
}
