/* What a computer says when it joins, and what it is answered. */
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AGENT   "01a20110-8b87-741b-b374-275c67b8f792"
#define SESSION "01a20110-8b87-741b-b374-275c67b8f793"

static struct wire_activation_request request(void)
{
    return (struct wire_activation_request){
        .token = "yt1.token",
        .csr = "-----BEGIN CERTIFICATE REQUEST-----",
        .tenant_id = "tenant",
        .policy = "base",
        .group = "web",
        .session = SESSION,
        .host = {.hostname = "h",
                 .machine_id = "m",
                 .boot_id = "b",
                 .os = "Debian 12",
                 .agent_version = "1.0",
                 .instance_id = "i-1",
                 .display_name = "a computer"},
        .identity_document = "{\"region\":\"eu-west-1\"}",
        .identity_signature = "c2lnbmVk",
    };
}

static void test_a_request_travels_whole(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_activation_request sent = request(), got;
    struct wire_problem problem;

    assert_int_equal(wire_activation_request_encode(&sent, &body), 0);
    assert_int_equal(
        wire_activation_request_decode(buffer_text(&body), body.length, &got, &problem), 0);
    assert_string_equal(got.token, sent.token);
    assert_string_equal(got.csr, sent.csr);
    assert_string_equal(got.tenant_id, "tenant");
    assert_string_equal(got.policy, "base");
    assert_string_equal(got.group, "web");
    assert_string_equal(got.session, SESSION);
    assert_string_equal(got.host.hostname, "h");
    assert_string_equal(got.host.instance_id, "i-1");
    assert_string_equal(got.host.display_name, "a computer");
    assert_string_equal(got.identity_document, sent.identity_document);
    assert_string_equal(got.identity_signature, sent.identity_signature);
    wire_activation_request_done(&got);
}

static void test_what_is_not_said_is_empty(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_activation_request sent = request(), got;
    struct wire_problem problem;

    sent.tenant_id = sent.policy = sent.group = "";
    sent.host.instance_id = sent.host.display_name = "";
    sent.identity_document = NULL;
    assert_int_equal(wire_activation_request_encode(&sent, &body), 0);
    assert_null(strstr(buffer_text(&body), "instance_identity"));
    assert_null(strstr(buffer_text(&body), "tenant_id"));
    assert_int_equal(
        wire_activation_request_decode(buffer_text(&body), body.length, &got, &problem), 0);
    assert_string_equal(got.tenant_id, "");
    assert_string_equal(got.policy, "");
    assert_string_equal(got.group, "");
    assert_string_equal(got.host.instance_id, "");
    assert_string_equal(got.identity_document, "");
    assert_string_equal(got.identity_signature, "");
    wire_activation_request_done(&got);
}

/* The body with one text in another's place; NULL without it. */
static char *changed(const struct buffer *body, const char *from, const char *to)
{
    const char *at = strstr(buffer_text(body), from);

    assert_non_null(at);
    return text_format_new("%.*s%s%s", (int)(at - buffer_text(body)), buffer_text(body), to,
                           at + strlen(from));
}

static void test_wrong_requests(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *said;
    } wrong[] = {
        {"\"protocol\":1", "\"protocol\":2", "protocol must be 1"},
        {"\"protocol\":1", "\"protocol\":\"1\"", "protocol must be a whole number"},
        {SESSION, "01A20110-8B87-741b-b374-275c67b8f793", "session must be a UUID"},
        {"\"csr\":", "\"cs\":", "csr is missing"},
        {"\"hostname\":\"h\"", "\"hostname\":\"\"", "hostname must have 1 to 253 bytes"},
        {"\"host\":{", "\"host\":7,\"x\":{", "host must be an object"},
        {"\"rsa2048\":", "\"rsa\":", "rsa2048 is missing"},
        {"\"document\":\"{\\\"region\\\":\\\"eu-west-1\\\"}\"", "\"document\":[]",
         "document must be a text"},
        {"\"instance_identity\":{", "\"instance_identity\":[],\"x\":{",
         "instance_identity must be an object"},
    };
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_activation_request sent = request(), got;

    assert_int_equal(wire_activation_request_encode(&sent, &body), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        AUTO_FREE char *text = changed(&body, wrong[i].from, wrong[i].to);
        struct wire_problem problem = {""};
        if (wire_activation_request_decode(text, strlen(text), &got, &problem) != -EBADMSG)
            fail_msg("taken: %s", wrong[i].to);
        if (strstr(problem.text, wrong[i].said) == NULL)
            fail_msg("%s: said %s", wrong[i].to, problem.text);
    }
    for (size_t length = 0; length < body.length; length++) { /* cut wherever */
        struct wire_problem problem;
        assert_int_equal(wire_activation_request_decode(buffer_text(&body), length, &got, &problem),
                         -EBADMSG);
    }
}

static void test_a_reply_travels_whole(void **state)
{
    (void)state;
    const struct wire_activation_reply sent = {.agent_id = AGENT,
                                               .certificate = "certificate",
                                               .authority = "authority",
                                               .signing_key = "key",
                                               .tenant_id = "",
                                               .heartbeat_seconds = 60,
                                               .move = "{\"document\":\"\"}"};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_activation_reply got;
    struct wire_problem problem;

    assert_int_equal(wire_activation_reply_encode(&sent, &body), 0);
    assert_int_equal(wire_activation_reply_decode(buffer_text(&body), body.length, &got, &problem),
                     0);
    assert_string_equal(got.agent_id, AGENT);
    assert_string_equal(got.certificate, "certificate");
    assert_string_equal(got.authority, "authority");
    assert_string_equal(got.signing_key, "key");
    assert_int_equal(got.heartbeat_seconds, 60);
    assert_string_equal(got.move, sent.move);
    wire_activation_reply_done(&got);
    AUTO_FREE char *other = changed(&body, AGENT, "../../../../../../../../../etc/passwd");
    assert_int_equal(wire_activation_reply_decode(other, strlen(other), &got, &problem), -EBADMSG);
    AUTO_FREE char *nobody =
        changed(&body, AGENT, "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"); /* of its length */
    assert_int_equal(wire_activation_reply_decode(nobody, strlen(nobody), &got, &problem),
                     -EBADMSG);
    assert_string_equal(problem.text, "agent_id must be a UUID");
}

static void test_single_texts(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(1U << 16);
    AUTO_BUFFER struct buffer renewal = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_problem problem;
    json_t *root = NULL;
    const char *text = NULL;

    assert_int_equal(wire_text_encode("csr", "a \"quoted\" text", &body), 0);
    assert_int_equal(
        wire_text_decode(buffer_text(&body), body.length, "csr", 64, &root, &text, &problem), 0);
    assert_string_equal(text, "a \"quoted\" text");
    json_decref(root);
    assert_int_equal(wire_text_decode(buffer_text(&body), body.length, "csr", 4, &root, &text,
                                      &problem),
                     -EBADMSG);
    assert_int_equal(wire_text_decode(buffer_text(&body), body.length, "other", 64, &root, &text,
                                      &problem),
                     -EBADMSG);
    assert_int_equal(wire_text_decode("{", 1, "csr", 64, &root, &text, &problem), -EBADMSG);
    assert_int_equal(wire_renewal_encode("c", "a", &renewal), 0);
    assert_string_equal(buffer_text(&renewal), "{\"certificate\":\"c\",\"authority\":\"a\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_travels_whole),
        cmocka_unit_test(test_what_is_not_said_is_empty),
        cmocka_unit_test(test_wrong_requests),
        cmocka_unit_test(test_a_reply_travels_whole),
        cmocka_unit_test(test_single_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
