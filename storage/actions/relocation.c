/* Relocation. Owns: the order head, copy, compare, delete; the copy's end when it is refused. Must
 * not own: which objects are moved, and where to. */
#include "storage/actions/relocation.h"

#include "common/aws/xml_reader.h"
#include "common/crypto/base64.h"
#include "common/crypto/hash.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define PART_BYTES      (1024ULL * 1024 * 1024)
#define GET_TIMEOUT_NS  (3600ULL * 1000000000)
#define GET_STALL_NS    (60ULL * 1000000000)
#define MOST_META_BYTES 4096
#define CHECKSUM_BYTES  BASE64_TEXT_BYTES(SHA256_BYTES)

struct move {
    struct aws_client *client;
    const struct relocation *asked;
    struct relocation_result *result;
    struct s3_object from, to;
    struct s3_facts facts;
    struct buffer metadata; /* lines of name NUL value NUL, for copies in parts */
    bool in_parts;
    /* Of the copy, as its answer said them; "" = not said. */
    char checksum[CHECKSUM_BYTES * 2]; /* base64 of its SHA-256 */
    char copy_version[S3_VERSION_BYTES];
    char copy_etag[S3_ETAG_BYTES];
};

static enum relocation_end end_with(struct move *move, enum relocation_end end,
                                    const struct aws_answer *answer)
{
    (void)text_copy(move->result->problem, sizeof move->result->problem, answer->problem);
    return move->result->end = end;
}

static enum relocation_end refuse(struct move *move, const char *problem)
{
    (void)text_copy(move->result->problem, sizeof move->result->problem, problem);
    return move->result->end = RELOCATION_REFUSED;
}

/* What another try may change. A method or a version that the bucket does not know it may not. */
static enum relocation_end judge(const struct aws_answer *answer)
{
    switch (answer->outcome) {
    case AWS_OK:
        return RELOCATION_DONE;
    case AWS_NOT_FOUND:
    case AWS_CHANGED:
        return RELOCATION_GONE;
    case AWS_REFUSED:
        return RELOCATION_REFUSED;
    default:
        return RELOCATION_FAILED;
    }
}

static const char *text_or_null(const char *text)
{
    return text != NULL && text[0] != '\0' ? text : NULL;
}

/* "null", of a bucket whose versioning is suspended, pins nothing: each write replaces it. */
static const char *version_or_null(const char *version)
{
    return version != NULL && !text_equal(version, "null") ? text_or_null(version) : NULL;
}

/* ---- the original ---- */

/* What a copy in parts does not take over by itself. */
static int keep_metadata(struct move *move, const struct buffer *head)
{
    static const char *const kept[] = {"content-type:",        "cache-control:",
                                       "content-disposition:", "content-encoding:",
                                       "content-language:",    "x-amz-meta-"};

    for (const char *line = buffer_text(head); *line != '\0';) {
        size_t length = strcspn(line, "\r\n");
        const char *colon = memchr(line, ':', length);
        bool wanted = false;
        for (size_t i = 0; i < ARRAY_LENGTH(kept); i++)
            wanted |= strncasecmp(line, kept[i], strlen(kept[i])) == 0;
        if (wanted && colon != NULL) {
            const char *value = colon + 1 + strspn(colon + 1, " \t");
            size_t value_length = value < line + length ? (size_t)(line + length - value) : 0;
            (void)buffer_append(&move->metadata, line, (size_t)(colon - line));
            (void)buffer_append(&move->metadata, "", 1);
            (void)buffer_append(&move->metadata, value, value_length);
            (void)buffer_append(&move->metadata, "", 1);
        }
        line += length;
        line += strspn(line, "\r\n");
    }
    return buffer_failed(&move->metadata);
}

static enum relocation_end find_original(struct move *move)
{
    struct aws_answer answer;

    (void)s3_head(move->client, &move->from, &move->facts, &answer);
    enum relocation_end end = end_with(move, judge(&answer), &answer);
    if (end == RELOCATION_DONE && keep_metadata(move, &answer.http.head) < 0)
        end = refuse(move, "the object's metadata is longer than S3 allows");
    aws_answer_done(&answer);
    if (end != RELOCATION_DONE)
        return end;
    move->result->size = move->facts.size;
    (void)text_copy(move->result->version, sizeof move->result->version, move->facts.version);
    (void)text_copy(move->result->etag, sizeof move->result->etag, move->facts.etag);
    /* From now on both pin it. */
    move->from.version = version_or_null(move->result->version);
    move->from.etag = text_or_null(move->result->etag);
    move->in_parts = move->facts.size > S3_MOST_PUT ||
                     (move->asked->part_bytes > 0 && move->facts.size > move->asked->part_bytes);
    return RELOCATION_DONE;
}

static enum relocation_end look_for_target(struct move *move)
{
    struct s3_facts facts;
    struct aws_answer answer;

    if (!move->asked->if_absent)
        return RELOCATION_DONE;
    enum aws_outcome outcome = s3_head(move->client, &move->to, &facts, &answer);
    enum relocation_end end = outcome == AWS_NOT_FOUND ? RELOCATION_DONE
                              : outcome == AWS_OK
                                  ? refuse(move, "an object of this name is there: it stays")
                                  : end_with(move, RELOCATION_FAILED, &answer);
    aws_answer_done(&answer);
    return end;
}

/* ---- the copy ---- */

static void read_copy_answer(struct move *move, const struct aws_answer *answer)
{
    const struct buffer *xml = &answer->http.body;
    struct xml_reader reader;
    struct s3_facts facts;

    s3_facts_read(&answer->http, &facts);
    (void)text_copy(move->copy_version, sizeof move->copy_version, facts.version);
    xml_reader_begin(&reader, buffer_text(xml), xml->length);
    for (enum xml_token token = xml_reader_next(&reader); token == XML_OPEN || token == XML_CLOSE;
         token = xml_reader_next(&reader)) {
        if (token == XML_CLOSE && text_equal(reader.name, "ChecksumSHA256"))
            (void)text_copy(move->checksum, sizeof move->checksum, buffer_text(&reader.text));
        if (token == XML_CLOSE && text_equal(reader.name, "ETag"))
            (void)text_copy(move->copy_etag, sizeof move->copy_etag, buffer_text(&reader.text));
    }
    xml_reader_done(&reader);
}

static size_t add_encryption(const struct move *move, struct aws_pair *headers, size_t count)
{
    const char *key = text_or_null(move->asked->kms_key);

    if (key == NULL)
        return count;
    headers[count++] = (struct aws_pair){"x-amz-server-side-encryption", "aws:kms"};
    headers[count++] = (struct aws_pair){"x-amz-server-side-encryption-aws-kms-key-id", key};
    headers[count++] = (struct aws_pair){"x-amz-server-side-encryption-bucket-key-enabled", "true"};
    return count;
}

static enum aws_outcome copy_whole(struct move *move, struct aws_answer *answer)
{
    struct aws_pair headers[8] = {{"x-amz-metadata-directive", "COPY"},
                                  {"x-amz-checksum-algorithm", "SHA256"}};
    size_t count = add_encryption(move, headers, 2);

    if (move->asked->tags != NULL) {
        headers[count++] = (struct aws_pair){"x-amz-tagging-directive", "REPLACE"};
        headers[count++] = (struct aws_pair){"x-amz-tagging", move->asked->tags};
    }
    if (move->asked->if_absent)
        headers[count++] = (struct aws_pair){"If-None-Match", "*"};
    return s3_copy(move->client, &move->from, &move->to, headers, count, answer);
}

static enum aws_outcome copy_parts(struct move *move, struct aws_answer *answer)
{
    struct aws_pair headers[SIGV4_MOST_HEADERS] = {{NULL, NULL}};
    size_t count = add_encryption(move, headers, 0);
    const char *at = buffer_text(&move->metadata), *end = at + move->metadata.length;

    if (move->asked->tags != NULL)
        headers[count++] = (struct aws_pair){"x-amz-tagging", move->asked->tags};
    for (; at < end && count < ARRAY_LENGTH(headers) - 2; count++) {
        headers[count] = (struct aws_pair){at, at + strlen(at) + 1};
        at = headers[count].value + strlen(headers[count].value) + 1;
    }
    return s3_copy_parts(move->client, &move->from, &move->to, move->facts.size,
                         move->asked->part_bytes > 0 ? move->asked->part_bytes : PART_BYTES,
                         headers, count, answer);
}

static enum relocation_end make_copy(struct move *move)
{
    struct aws_answer answer;

    (void)(move->in_parts ? copy_parts(move, &answer) : copy_whole(move, &answer));
    enum relocation_end end = end_with(move, judge(&answer), &answer);
    if (end == RELOCATION_DONE)
        read_copy_answer(move, &answer);
    /* The original's bucket answered before: it is the other one that is missing. */
    if (text_equal(answer.code, "NoSuchBucket"))
        end = end_with(move, RELOCATION_FAILED, &answer);
    if (answer.outcome == AWS_CHANGED && move->asked->if_absent)
        end = refuse(move, "an object of this name is there, or the original changed: both stay");
    aws_answer_done(&answer);
    return end;
}

/* ---- comparing ---- */

/* A repeated request begins anew. */
static int hash_begin(void *user, const struct http_answer *answer UNUSED)
{
    struct sha256 **hash = user;

    *hash = sha256_free(*hash);
    return sha256_new(hash);
}

static int hash_bytes(void *user, const void *bytes, size_t length)
{
    struct sha256 **hash = user;

    return sha256_update(*hash, bytes, length);
}

/* Where S3 says no checksum, the copy is read. */
static enum relocation_end read_copy(struct move *move, uint8_t digest[static SHA256_BYTES])
{
    struct sha256 *hash = NULL;
    struct s3_facts facts;
    struct aws_answer answer;

    if (sha256_new(&hash) < 0) /* of an empty object, whose sink does not begin */
        return RELOCATION_FAILED;
    const struct http_sink sink = {.begin = hash_begin, .write = hash_bytes, .user = &hash};
    const struct s3_get get = {.sink = &sink,
                               .timeout_ns = GET_TIMEOUT_NS,
                               .stall_timeout_ns = GET_STALL_NS};
    (void)s3_get(move->client, &move->to, &get, &facts, &answer);
    enum relocation_end end =
        end_with(move, answer.outcome == AWS_OK ? RELOCATION_DONE : RELOCATION_FAILED, &answer);
    if (end == RELOCATION_DONE && sha256_finish(hash, digest) < 0)
        end = RELOCATION_FAILED;
    aws_answer_done(&answer);
    (void)sha256_free(hash);
    return end;
}

static enum relocation_end compare_digest(struct move *move)
{
    uint8_t wanted[SHA256_BYTES], found[SHA256_BYTES];
    char text[CHECKSUM_BYTES];

    if (text_parse_hex(move->asked->sha256, wanted, sizeof wanted) < 0)
        return refuse(move, "the digest of the scan is none");
    base64_encode(text, wanted, sizeof wanted);
    move->result->hashed = true;
    if (move->checksum[0] != '\0' && !move->in_parts)
        return text_equal(move->checksum, text)
                   ? RELOCATION_DONE
                   : refuse(move, "the copy's checksum is not that of the scanned object");
    enum relocation_end end = read_copy(move, found);
    if (end == RELOCATION_DONE && memcmp(found, wanted, sizeof wanted) != 0)
        end = refuse(move, "the copy is not what was scanned");
    return move->result->end = end;
}

/* MD5 of the content: neither of several parts nor encrypted by a key. */
static bool etag_is_content(const struct s3_facts *facts)
{
    return facts->etag[0] != '\0' && strchr(facts->etag, '-') == NULL &&
           !text_starts_with(facts->encryption, "aws:kms");
}

static enum relocation_end compare(struct move *move)
{
    struct s3_facts copy;
    struct aws_answer answer;

    (void)s3_head(move->client, &move->to, &copy, &answer);
    enum relocation_end end =
        end_with(move, answer.outcome == AWS_OK ? RELOCATION_DONE : RELOCATION_FAILED, &answer);
    aws_answer_done(&answer);
    if (end != RELOCATION_DONE)
        return end;
    if (copy.size != move->facts.size)
        return refuse(move, "the copy has another size than the original");
    if (text_or_null(move->asked->sha256) != NULL)
        return compare_digest(move);
    if (etag_is_content(&copy) && etag_is_content(&move->facts) &&
        !text_equal(copy.etag, move->facts.etag))
        return refuse(move, "the copy has another content than the original");
    return RELOCATION_DONE;
}

/* Nobody vouches for it, and where it stands readers may take it for vouched for. Only what we made
 * goes: what was written over it since has another version or content. */
static void remove_copy(struct move *move)
{
    struct s3_object copy = move->to;
    char why[sizeof move->result->problem];
    struct aws_answer answer = {.outcome = AWS_REFUSED, .problem = "S3 did not say which it is"};

    copy.version = version_or_null(move->copy_version);
    copy.etag = text_or_null(move->copy_etag);
    if (copy.version != NULL || copy.etag != NULL)
        (void)s3_delete(move->client, &copy, &answer);
    if (judge(&answer) != RELOCATION_DONE && judge(&answer) != RELOCATION_GONE) {
        (void)text_copy(why, sizeof why, move->result->problem);
        (void)text_format(move->result->problem, sizeof move->result->problem,
                          "%s; delete it by hand: %s", why, answer.problem);
    }
    aws_answer_done(&answer);
}

static enum relocation_end compare_or_remove(struct move *move)
{
    enum relocation_end end = compare(move);

    if (end == RELOCATION_REFUSED)
        remove_copy(move);
    return end;
}

/* ---- the end of the original ---- */

static enum relocation_end delete_original(struct move *move)
{
    struct aws_answer answer;

    if (move->asked->keep_source)
        return RELOCATION_DONE;
    (void)s3_delete(move->client, &move->from, &answer);
    enum relocation_end end = end_with(move, judge(&answer), &answer);
    aws_answer_done(&answer);
    return end;
}

enum relocation_end relocation_run(struct aws_client *client, const struct relocation *relocation,
                                   struct relocation_result *ret_result)
{
    struct move move = {
        .client = client,
        .asked = relocation,
        .result = ret_result,
        .from = {.bucket = relocation->bucket,
                 .region = text_or_null(relocation->region),
                 .key = relocation->key,
                 .version = version_or_null(relocation->version),
                 .etag = text_or_null(relocation->etag)},
        .to = {.bucket = relocation->to_bucket, .key = relocation->to_key},
        .metadata = BUFFER_WITH_MAXIMUM(MOST_META_BYTES),
    };
    enum relocation_end (*const steps[])(struct move *) = {find_original, look_for_target,
                                                           make_copy, compare_or_remove,
                                                           delete_original};
    enum relocation_end end = RELOCATION_DONE;

    *ret_result = (struct relocation_result){.end = RELOCATION_DONE};
    if (move.from.version == NULL && move.from.etag == NULL)
        return refuse(&move, "neither version nor content of the object is known");
    for (size_t i = 0; end == RELOCATION_DONE && i < ARRAY_LENGTH(steps); i++)
        end = steps[i](&move);
    buffer_done(&move.metadata);
    if (end == RELOCATION_DONE)
        ret_result->problem[0] = '\0';
    return ret_result->end = end;
}
