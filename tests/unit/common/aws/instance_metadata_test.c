/* The metadata of an instance, version 2 only, against a stand-in. */
#include "common/aws/instance_metadata.h"

#include "common/text/text.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct service {
    struct stand_in stand_in;
    int token_status; /* 0 = no answer */
    bool token_expires;
    unsigned tokens;
    int text_status;
};

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct service *service = user;
    char value[64], token[32];

    if (text_equal(request->method, "PUT")) {
        assert_string_equal(request->target, "/latest/api/token");
        stand_in_header(request, "X-aws-ec2-metadata-token-ttl-seconds", value, sizeof value);
        assert_string_equal(value, "21600");
        if (service->token_status == 0)
            return;
        assert_true(text_format(token, sizeof token, "token-%u", ++service->tokens) > 0);
        stand_in_write(text, size, service->token_status, "", token);
        return;
    }
    assert_true(text_format(token, sizeof token, "token-%u", service->tokens) > 0);
    stand_in_header(request, "X-aws-ec2-metadata-token", value, sizeof value);
    if (!text_equal(value, token) || TAKE_FLAG(service->token_expires))
        stand_in_write(text, size, 401, "", "");
    else if (text_equal(request->target, "/latest/meta-data/placement/region"))
        stand_in_write(text, size, service->text_status, "", "eu-central-2");
    else
        stand_in_write(text, size, 404, "", "");
}

static int set_up(void **state)
{
    struct service *service = calloc(1, sizeof *service);

    if (service == NULL)
        return -1;
    service->stand_in.answer = answer;
    service->stand_in.user = service;
    service->token_status = service->text_status = 200;
    stand_in_start(&service->stand_in);
    *state = service;
    return 0;
}

static int tear_down(void **state)
{
    struct service *service = *state;

    stand_in_stop(&service->stand_in);
    free(service);
    return 0;
}

static struct instance_metadata *connect_to(const struct service *service)
{
    struct aws_settings settings = {.region = ""};
    struct instance_metadata *metadata = NULL;

    /* A proxy of the environment is never asked. */
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(text_copy(settings.metadata_endpoint, sizeof settings.metadata_endpoint,
                               service->stand_in.url),
                     0);
    assert_int_equal(instance_metadata_new(&settings, &metadata), 0);
    return metadata;
}

static char problem[512];

static enum metadata_outcome ask(struct instance_metadata *metadata, const char *path,
                                 const char *wanted)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(1000);

    problem[0] = '\0';
    enum metadata_outcome outcome =
        instance_metadata_get(metadata, path, &content, problem, sizeof problem);
    assert_string_equal(buffer_text(&content), wanted);
    if (outcome != METADATA_OK)
        assert_string_not_equal(problem, "");
    return outcome;
}

static enum metadata_outcome ask_region(struct service *service, const char *wanted)
{
    struct instance_metadata *metadata = connect_to(service);

    enum metadata_outcome outcome = ask(metadata, "meta-data/placement/region", wanted);
    (void)instance_metadata_free(metadata);
    return outcome;
}

static void test_one_token_serves_many(void **state)
{
    struct service *service = *state;
    struct instance_metadata *metadata = connect_to(service);

    assert_int_equal(ask(metadata, "meta-data/placement/region", "eu-central-2"), METADATA_OK);
    assert_int_equal(ask(metadata, "meta-data/placement/region", "eu-central-2"), METADATA_OK);
    assert_int_equal(ask(metadata, "meta-data/nothing", ""), METADATA_NOTHING);
    assert_int_equal(service->tokens, 1);
    (void)instance_metadata_free(metadata);
}

static void test_a_refused_token_is_renewed(void **state)
{
    struct service *service = *state;

    service->token_expires = true;
    assert_int_equal(ask_region(service, "eu-central-2"), METADATA_OK);
    assert_int_equal(service->tokens, 2);
}

static void test_off(void **state)
{
    struct service *service = *state;

    service->token_status = 403;
    assert_int_equal(ask_region(service, ""), METADATA_OFF);
    assert_non_null(strstr(problem, "--http-endpoint enabled"));
}

/* It would answer version 1, which is never asked for a text. */
static void test_no_fall_back_to_version_1(void **state)
{
    struct service *service = *state;

    service->token_status = 404;
    assert_int_equal(ask_region(service, ""), METADATA_FAILED);
    assert_non_null(strstr(problem, "IMDSv2"));
    assert_int_equal(service->stand_in.requests, 1);
}

static void test_hop_limit(void **state)
{
    struct service *service = *state;

    service->token_status = 0;
    assert_int_equal(ask_region(service, ""), METADATA_HOP_LIMIT);
    assert_non_null(strstr(problem, "--http-put-response-hop-limit 2"));
}

static void test_nobody_there(void **state)
{
    struct service *service = *state;
    char url[64];

    /* A port that was free a moment ago, and is bound without listening. */
    stand_in_stop(&service->stand_in);
    assert_int_equal(text_copy(url, sizeof url, service->stand_in.url), 0);
    assert_int_equal(ask_region(service, ""), METADATA_ABSENT);
    assert_non_null(strstr(problem, url));
    stand_in_start(&service->stand_in);
}

static void test_errors_are_told(void **state)
{
    struct service *service = *state;

    service->text_status = 500;
    assert_int_equal(ask_region(service, ""), METADATA_FAILED);
    service->text_status = 403;
    assert_int_equal(ask_region(service, ""), METADATA_FAILED);
    assert_non_null(strstr(problem, "403"));
}

static void test_disabled(void **state)
{
    struct service *service = *state;
    const struct aws_settings settings = {.metadata_disabled = true};
    struct instance_metadata *metadata = NULL;

    assert_int_equal(instance_metadata_new(&settings, &metadata), 0);
    assert_int_equal(ask(metadata, "meta-data/placement/region", ""), METADATA_DISABLED);
    (void)instance_metadata_free(metadata);
    assert_int_equal(service->stand_in.requests, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(one_token_serves_many),
        TEST(a_refused_token_is_renewed),
        TEST(off),
        TEST(no_fall_back_to_version_1),
        TEST(hop_limit),
        TEST(nobody_there),
        TEST(errors_are_told),
        TEST(disabled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
