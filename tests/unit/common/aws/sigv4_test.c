/* Every vector of tests/fixtures/sigv4_vectors.json, which botocore computed: S3 keys that need
 * care, queries, session tokens, unsigned payloads, and other services. */
#include "common/aws/sigv4.h"

#include "common/text/text.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define MOST_PAIRS 8
/* 2026-01-02T03:04:05Z */
#define VECTOR_TIME_NS (1767323045ULL * 1000000000ULL)

static const struct aws_credentials example = {
    .access_key_id = "AKIDEXAMPLE",
    .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
};

static const char *text_of(const json_t *vector, const char *key)
{
    return json_string_value(json_object_get(vector, key));
}

static size_t pairs_of_query(const json_t *query, struct aws_pair *pairs)
{
    size_t count = 0;

    for (; count < json_array_size(query); count++) {
        const json_t *pair = json_array_get(query, count);
        assert_true(count < MOST_PAIRS);
        pairs[count] = (struct aws_pair){json_string_value(json_array_get(pair, 0)),
                                         json_string_value(json_array_get(pair, 1))};
    }
    return count;
}

static size_t pairs_of_headers(json_t *headers, struct aws_pair *pairs)
{
    size_t count = 0;
    const char *name;
    json_t *value;

    json_object_foreach(headers, name, value)
    {
        assert_true(count < MOST_PAIRS);
        pairs[count++] = (struct aws_pair){name, json_string_value(value)};
    }
    return count;
}

static void check_vector(const json_t *vector)
{
    struct aws_pair query[MOST_PAIRS], headers[MOST_PAIRS];
    const json_t *expected = json_object_get(vector, "headers_out");
    const char *body = text_of(vector, "body");
    struct aws_credentials credentials = example;
    struct sigv4_signature signature;
    struct sigv4_request request = {
        .method = text_of(vector, "method"),
        .service = text_of(vector, "service"),
        .region = text_of(vector, "region"),
        .host = text_of(vector, "host"),
        .path = text_of(vector, "raw_key"),
        .query = query,
        .query_count = pairs_of_query(json_object_get(vector, "query"), query),
        .headers = headers,
        .header_count = pairs_of_headers(json_object_get(vector, "headers_in"), headers),
        .body = body,
        .body_length = strlen(body),
        .unsigned_payload = json_is_true(json_object_get(vector, "unsigned")),
        .time_ns = VECTOR_TIME_NS,
    };

    credentials.session_token = text_of(vector, "session_token");
    assert_int_equal(sigv4_sign(&request, &credentials, &signature), 0);
    assert_string_equal(buffer_text(&signature.target), text_of(vector, "wire_target"));
    assert_string_equal(signature.date, text_of(expected, "X-Amz-Date"));
    const char *hash = text_of(expected, "X-Amz-Content-SHA256");
    assert_string_equal(signature.content_hash, hash != NULL ? hash : "");
    assert_string_equal(buffer_text(&signature.authorization), text_of(expected, "Authorization"));
    sigv4_signature_done(&signature);
}

static void agrees_with_every_vector(void **state)
{
    json_error_t error;
    json_t *vectors = json_load_file(YAGURA_FIXTURES "/sigv4_vectors.json", 0, &error);

    (void)state;
    assert_non_null(vectors);
    assert_int_equal(json_array_size(vectors), 15);
    for (size_t i = 0; i < json_array_size(vectors); i++)
        check_vector(json_array_get(vectors, i));
    json_decref(vectors);
}

static void blanks_in_header_values_are_folded(void **state)
{
    const struct aws_pair wide = {"X-Amz-Meta", "  a \t  b  "}, narrow = {"x-amz-meta", "a b"};
    struct sigv4_request request = {.method = "GET",
                                    .service = "s3",
                                    .region = "r",
                                    .host = "h",
                                    .path = "/",
                                    .header_count = 1,
                                    .time_ns = VECTOR_TIME_NS};
    struct sigv4_signature first, second;

    (void)state;
    request.headers = &wide;
    assert_int_equal(sigv4_sign(&request, &example, &first), 0);
    request.headers = &narrow;
    assert_int_equal(sigv4_sign(&request, &example, &second), 0);
    assert_string_equal(buffer_text(&first.authorization), buffer_text(&second.authorization));
    sigv4_signature_done(&first);
    sigv4_signature_done(&second);
}

static void too_many_headers_are_refused(void **state)
{
    struct aws_pair headers[SIGV4_MOST_HEADERS + 8];
    struct sigv4_request request = {.method = "GET",
                                    .service = "s3",
                                    .region = "r",
                                    .host = "h",
                                    .path = "/",
                                    .headers = headers,
                                    .header_count = ARRAY_LENGTH(headers),
                                    .time_ns = VECTOR_TIME_NS};
    struct sigv4_signature signature;

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(headers); i++)
        headers[i] = (struct aws_pair){"x", "y"};
    assert_true(sigv4_sign(&request, &example, &signature) < 0);
}

static void check_link(const json_t *vector)
{
    AUTO_BUFFER struct buffer target = BUFFER_WITH_MAXIMUM(8192);
    struct aws_credentials credentials = example;
    struct aws_pair query[MOST_PAIRS];
    char end[SIGV4_HASH_BYTES + 32];
    const struct sigv4_request request = {
        .method = "GET",
        .service = "s3",
        .region = text_of(vector, "region"),
        .host = text_of(vector, "host"),
        .path = text_of(vector, "raw_key"),
        .query = query,
        .query_count = pairs_of_query(json_object_get(vector, "query"), query),
        .time_ns = VECTOR_TIME_NS,
    };

    credentials.session_token = text_of(vector, "session_token");
    assert_int_equal(sigv4_presign(&request, &credentials,
                                   (uint32_t)json_integer_value(json_object_get(vector, "expires")),
                                   &target),
                     0);
    (void)text_format(end, sizeof end, "&X-Amz-Signature=%s", text_of(vector, "signature"));
    assert_true(text_starts_with(buffer_text(&target), text_of(vector, "wire_path")));
    assert_true(text_ends_with(buffer_text(&target), end));
}

static void links_agree_with_every_vector(void **state)
{
    json_error_t error;
    json_t *vectors = json_load_file(YAGURA_FIXTURES "/sigv4_links.json", 0, &error);

    (void)state;
    assert_non_null(vectors);
    assert_int_equal(json_array_size(vectors), 5);
    for (size_t i = 0; i < json_array_size(vectors); i++)
        check_link(json_array_get(vectors, i));
    json_decref(vectors);
}

static void links_without_an_end_are_refused(void **state)
{
    AUTO_BUFFER struct buffer target = BUFFER_WITH_MAXIMUM(8192);
    struct sigv4_request request = {.method = "GET",
                                    .service = "s3",
                                    .region = "r",
                                    .host = "h",
                                    .path = "/",
                                    .time_ns = VECTOR_TIME_NS};

    (void)state;
    assert_int_equal(sigv4_presign(&request, &example, 0, &target), -EINVAL);
    assert_int_equal(sigv4_presign(&request, &example, 604801, &target), -EINVAL);
    request.header_count = 1;
    assert_int_equal(sigv4_presign(&request, &example, 60, &target), -EINVAL);
    assert_int_equal(target.length, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(links_agree_with_every_vector),
        cmocka_unit_test(links_without_an_end_are_refused),
        cmocka_unit_test(agrees_with_every_vector),
        cmocka_unit_test(blanks_in_header_values_are_folded),
        cmocka_unit_test(too_many_headers_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
