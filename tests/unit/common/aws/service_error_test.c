/* What answers mean: JSON, XML, and what a proxy says in the service's place. */
#include "common/aws/service_error.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct aws_answer read_it(long status, const char *lines, const char *body)
{
    struct aws_answer answer = {.http = {.status = status,
                                         .body = BUFFER_WITH_MAXIMUM(100000),
                                         .head = BUFFER_WITH_MAXIMUM(16384)}};

    assert_int_equal(buffer_append_text(&answer.http.head, lines), 0);
    assert_int_equal(buffer_append_text(&answer.http.body, body), 0);
    service_error_read(&answer);
    aws_answer_done(&answer);
    return answer;
}

static void test_of_ssm(void **state UNUSED)
{
    struct aws_answer answer =
        read_it(400, "",
                "{\"__type\":\"com.amazonaws.ssm#AccessDeniedException\",\"Message\":\"User is "
                "not authorized\"}");
    assert_int_equal(answer.outcome, AWS_DENIED);
    assert_string_equal(answer.code, "AccessDeniedException");
    assert_string_equal(answer.message, "User is not authorized");
    answer = read_it(400, "", "{\"__type\":\"ThrottlingException\",\"message\":\"Rate exceeded\"}");
    assert_int_equal(answer.outcome, AWS_THROTTLED);
    assert_string_equal(answer.message, "Rate exceeded");
    answer =
        read_it(400, "HTTP/1.1 400 x\r\nx-amzn-errortype: ExpiredTokenException:http://x/\r\n", "");
    assert_int_equal(answer.outcome, AWS_BAD_CREDENTIALS);
    assert_string_equal(answer.code, "ExpiredTokenException");
    assert_int_equal(read_it(400, "", "{\"__type\":\"ValidationException\"}").outcome, AWS_REFUSED);
}

static void test_of_sns_and_s3(void **state UNUSED)
{
    struct aws_answer answer =
        read_it(403, "",
                "<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type>"
                "<Code>SignatureDoesNotMatch</Code><Message>Signature expired: x</Message>"
                "</Error><RequestId>1</RequestId></ErrorResponse>");
    assert_int_equal(answer.outcome, AWS_BAD_CREDENTIALS);
    assert_string_equal(answer.code, "SignatureDoesNotMatch");
    assert_true(service_error_is_clock(&answer));
    answer = read_it(404, "", "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code></Error>");
    assert_int_equal(answer.outcome, AWS_NOT_FOUND);
    assert_false(service_error_is_clock(&answer));
    assert_int_equal(read_it(503, "", "<Error><Code>SlowDown</Code></Error>").outcome,
                     AWS_THROTTLED);
}

static void test_without_words(void **state UNUSED)
{
    static const struct {
        long status;
        enum aws_outcome outcome;
    } cases[] = {{200, AWS_OK},
                 {204, AWS_OK},
                 {301, AWS_UNAVAILABLE},
                 {400, AWS_REFUSED},
                 {401, AWS_BAD_CREDENTIALS},
                 {403, AWS_DENIED},
                 {404, AWS_NOT_FOUND},
                 {407, AWS_UNREACHABLE},
                 {429, AWS_THROTTLED},
                 {500, AWS_UNAVAILABLE},
                 {502, AWS_UNAVAILABLE},
                 {503, AWS_UNAVAILABLE}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct aws_answer answer = read_it(cases[i].status, "", "<html><body>Squid</body></html>");
        assert_int_equal(answer.outcome, cases[i].outcome);
        assert_string_equal(answer.code, "");
    }
}

static void test_hostile_words_are_escaped(void **state UNUSED)
{
    struct aws_answer answer =
        read_it(400, "", "{\"__type\":\"A\\u001b[31mB\",\"message\":\"\\u202ereversed\"}");

    assert_string_equal(answer.code, "A\\x1b[31mB");
    assert_null(strstr(answer.message, "\xe2\x80\xae"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_ssm),
        cmocka_unit_test(test_of_sns_and_s3),
        cmocka_unit_test(test_without_words),
        cmocka_unit_test(test_hostile_words_are_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
