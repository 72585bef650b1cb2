/* Whole calls: credentials from each place, refreshed; repetition; the clock; what is told when
 * nothing helps. One stand-in plays the service, the container's service and the metadata. */
#include "common/aws/aws_client.h"

#include "common/aws/container_credentials.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

struct world {
    struct stand_in stand_in;
    char folder[64], credentials[128], config[128];
    /* the service */
    struct stand_in_request last;
    unsigned calls;
    unsigned failures; /* of the first calls */
    int status;
    const char *lines, *body;
    /* credentials of container and instance */
    const char *document; /* "" = 404 */
    unsigned documents;
    char authorization[64];
    /* sleeps */
    unsigned sleeps;
    uint64_t slept_ns;
};

static void answer_credentials(struct world *world, char *text, size_t size)
{
    world->documents++;
    stand_in_write(text, size, world->document[0] != '\0' ? 200 : 404, "", world->document);
}

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct world *world = user;

    if (text_equal(request->target, "/latest/api/token")) {
        stand_in_write(text, size, 200, "", "token");
    } else if (text_equal(request->target, "/latest/meta-data/iam/security-credentials/")) {
        stand_in_write(text, size, world->document[0] != '\0' ? 200 : 404, "", "reader\n");
    } else if (text_equal(request->target, "/latest/meta-data/iam/security-credentials/reader")) {
        answer_credentials(world, text, size);
    } else if (text_equal(request->target, "/latest/meta-data/placement/region")) {
        stand_in_write(text, size, 200, "", "eu-south-1");
    } else if (text_equal(request->target, "/container")) {
        stand_in_header(request, "Authorization", world->authorization,
                        sizeof world->authorization);
        answer_credentials(world, text, size);
    } else {
        world->last = *request;
        bool fails = world->calls++ < world->failures;
        stand_in_write(text, size, fails ? world->status : 200, fails ? world->lines : "",
                       fails ? world->body : "{}");
    }
}

static void note_sleep(void *user, uint64_t ns)
{
    struct world *world = user;

    world->sleeps++;
    world->slept_ns += ns;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);

    if (world == NULL)
        return -1;
    world->stand_in.answer = answer;
    world->stand_in.user = world;
    world->lines = world->body = world->document = "";
    stand_in_start(&world->stand_in);
    (void)text_copy(world->folder, sizeof world->folder, "/tmp/yagura-aws-XXXXXX");
    if (mkdtemp(world->folder) == NULL)
        return -1;
    (void)text_format(world->credentials, sizeof world->credentials, "%s/credentials",
                      world->folder);
    (void)text_format(world->config, sizeof world->config, "%s/config", world->folder);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    stand_in_stop(&world->stand_in);
    (void)unlink(world->credentials);
    (void)unlink(world->config);
    (void)rmdir(world->folder);
    free(world);
    return 0;
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Nothing of this machine: its files, its environment. */
static struct aws_settings settings_of(const struct world *world)
{
    struct aws_settings settings = {.region = "eu-west-1"};

    (void)text_copy(settings.endpoint, sizeof settings.endpoint, world->stand_in.url);
    (void)text_copy(settings.metadata_endpoint, sizeof settings.metadata_endpoint,
                    world->stand_in.url);
    (void)text_copy(settings.credentials_file, sizeof settings.credentials_file,
                    world->credentials);
    (void)text_copy(settings.config_file, sizeof settings.config_file, world->config);
    return settings;
}

static struct aws_settings with_keys(const struct world *world)
{
    struct aws_settings settings = settings_of(world);

    (void)text_copy(settings.keys.access_key_id, sizeof settings.keys.access_key_id, "AKID");
    (void)text_copy(settings.keys.secret_access_key, sizeof settings.keys.secret_access_key, "s");
    return settings;
}

static struct aws_client *connect_to(struct world *world, const struct aws_settings *settings)
{
    struct aws_client *client = NULL;

    assert_int_equal(aws_client_new(settings, NULL, &client), 0);
    aws_client_set_sleep(client, note_sleep, world);
    return client;
}

static struct aws_answer answered;

static enum aws_outcome call(struct aws_client *client)
{
    enum aws_outcome outcome =
        aws_client_json(client, "ssm", "AmazonSSM.GetParameters", "{}", &answered);

    assert_int_equal(outcome, answered.outcome);
    assert_int_equal(outcome == AWS_OK, answered.problem[0] == '\0');
    aws_answer_done(&answered);
    return outcome;
}

static enum aws_outcome call_once(struct world *world, const struct aws_settings *settings)
{
    struct aws_client *client = connect_to(world, settings);

    enum aws_outcome outcome = call(client);
    (void)aws_client_free(client);
    return outcome;
}

static void assert_signed_by(const struct world *world, const char *key)
{
    char value[1024];

    stand_in_header(&world->last, "Authorization", value, sizeof value);
    char wanted[128];
    assert_true(text_format(wanted, sizeof wanted, "AWS4-HMAC-SHA256 Credential=%s/", key) > 0);
    assert_true(text_starts_with(value, wanted));
}

static void assert_header(const struct world *world, const char *name, const char *wanted)
{
    char value[1024];

    stand_in_header(&world->last, name, value, sizeof value);
    assert_string_equal(value, wanted);
}

/* ---- requests ---- */

static void test_json(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);
    char value[1024];

    (void)text_copy(settings.keys.session_token, sizeof settings.keys.session_token, "session");
    assert_int_equal(call_once(world, &settings), AWS_OK);
    assert_string_equal(world->last.method, "POST");
    assert_string_equal(world->last.body, "{}");
    assert_header(world, "X-Amz-Target", "AmazonSSM.GetParameters");
    assert_header(world, "Content-Type", "application/x-amz-json-1.1");
    assert_header(world, "X-Amz-Security-Token", "session");
    assert_header(world, "Host", world->stand_in.url + strlen("http://"));
    assert_signed_by(world, "AKID");
    stand_in_header(&world->last, "Authorization", value, sizeof value);
    assert_non_null(strstr(value, "/eu-west-1/ssm/aws4_request, "
                                  "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;"
                                  "x-amz-target, "));
}

static void test_query(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);
    struct aws_client *client = connect_to(world, &settings);
    const struct aws_pair pairs[] = {{"TopicArn", "arn:aws:sns:eu-west-1:1:t"},
                                     {"Message", "a b&=\n"}};

    assert_int_equal(aws_client_query(client, "sns", "us-east-2", "2010-03-31", "Publish", pairs, 2,
                                      &answered),
                     AWS_OK);
    aws_answer_done(&answered);
    assert_string_equal(world->last.body, "Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3A"
                                          "sns%3Aeu-west-1%3A1%3At&Message=a+b%26%3D%0A");
    (void)aws_client_free(client);
}

/* Keys of S3 may be what paths are not. */
static void test_s3(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);
    struct aws_client *client = connect_to(world, &settings);
    const struct aws_pair query[] = {{"versionId", "v/1"}, {"tagging", ""}};
    const struct aws_pair header = {"If-Match", "\"etag\""};
    const struct aws_call put = {
        .service = "s3",
        .method = "PUT",
        .bucket = "bucket",
        .path = "/a/../b//c d+\xc3\xa9?#",
        .query = query,
        .query_count = 2,
        .headers = &header,
        .header_count = 1,
        .body = "x",
        .body_length = 1,
    };

    assert_int_equal(aws_client_send(client, &put, &answered), AWS_OK);
    aws_answer_done(&answered);
    assert_string_equal(world->last.method, "PUT");
    assert_string_equal(world->last.target,
                        "/bucket/a/../b//c%20d%2B%C3%A9%3F%23?tagging=&versionId=v%2F1");
    assert_header(world, "If-Match", "\"etag\"");
    assert_header(world, "X-Amz-Content-SHA256",
                  "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
    const struct aws_call deletion = {
        .service = "s3", .method = "DELETE", .bucket = "bucket", .path = "/k"};
    assert_int_equal(aws_client_send(client, &deletion, &answered), AWS_OK);
    aws_answer_done(&answered);
    assert_string_equal(world->last.method, "DELETE");
    const struct aws_call head = {
        .service = "s3", .method = "HEAD", .bucket = "bucket", .path = "/k"};
    assert_int_equal(aws_client_send(client, &head, &answered), AWS_OK);
    aws_answer_done(&answered);
    assert_string_equal(world->last.method, "HEAD");
    (void)aws_client_free(client);
}

/* ---- repetition ---- */

static void test_throttling_is_repeated(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);

    world->failures = 2;
    world->status = 400;
    world->body = "{\"__type\":\"ThrottlingException\"}";
    assert_int_equal(call_once(world, &settings), AWS_OK);
    assert_int_equal(world->calls, 3);
    assert_int_equal(world->sleeps, 2);
    assert_true(world->slept_ns <= 3 * NS_PER_SECOND);
}

static void test_repetition_ends(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);

    world->failures = 100;
    world->status = 503;
    assert_int_equal(call_once(world, &settings), AWS_UNAVAILABLE);
    assert_int_equal(world->calls, 4);
    assert_int_equal(answered.attempts, 4);
    world->calls = 0;
    world->status = 400;
    world->body = "{\"__type\":\"ValidationException\",\"message\":\"no\"}";
    assert_int_equal(call_once(world, &settings), AWS_REFUSED);
    assert_int_equal(world->calls, 1);
    assert_non_null(strstr(answered.problem, "ValidationException: no"));
}

static void test_patience_is_limited(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);
    struct aws_client *client = connect_to(world, &settings);

    world->failures = 100;
    world->status = 503;
    world->lines = "Retry-After: 30\r\n";
    aws_client_set_patience(client, 20 * NS_PER_SECOND, 10);
    assert_int_equal(call(client), AWS_UNAVAILABLE);
    assert_int_equal(world->calls, 1);
    assert_int_equal(world->sleeps, 0);
    (void)aws_client_free(client);
}

static void http_date(char *line, size_t size, int64_t offset_s)
{
    time_t at = (time_t)(clock_realtime_ns() / NS_PER_SECOND) + offset_s;
    struct tm utc;

    assert_true(strftime(line, size, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", gmtime_r(&at, &utc)) >
                0);
}

static int64_t date_of_last(const struct world *world)
{
    char value[32];
    struct tm utc = {.tm_year = 0};

    stand_in_header(&world->last, "X-Amz-Date", value, sizeof value);
    assert_non_null(strptime(value, "%Y%m%dT%H%M%SZ", &utc));
    return (int64_t)timegm(&utc) - (int64_t)(clock_realtime_ns() / NS_PER_SECOND);
}

static void test_the_clock_is_repaired(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);
    struct aws_client *client = connect_to(world, &settings);
    char line[128];

    http_date(line, sizeof line, -3600);
    world->failures = 1;
    world->status = 400;
    world->lines = line;
    world->body = "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature not yet "
                  "current: x\"}";
    assert_int_equal(call(client), AWS_OK);
    assert_int_equal(world->calls, 2);
    assert_int_equal(world->sleeps, 0);
    assert_in_range(date_of_last(world) + 3600 + 30, 0, 60);
    assert_int_equal(call(client), AWS_OK); /* it is remembered */
    assert_int_equal(world->calls, 3);
    assert_in_range(date_of_last(world) + 3600 + 30, 0, 60);
    (void)aws_client_free(client);
}

static void test_a_wrong_key_is_not_repeated(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);
    char line[128];

    http_date(line, sizeof line, 0);
    world->failures = 100;
    world->status = 400;
    world->lines = line;
    world->body = "{\"__type\":\"UnrecognizedClientException\",\"message\":\"The security token "
                  "included in the request is invalid.\"}";
    assert_int_equal(call_once(world, &settings), AWS_BAD_CREDENTIALS);
    assert_int_equal(world->calls, 1);
    assert_non_null(strstr(answered.problem, "the configuration or environment"));
}

/* ---- where credentials come from ---- */

#define PROFILE "[default]\naws_access_key_id=FILE\naws_secret_access_key=s\n"

static void test_the_file_is_read_for_each_call(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);

    write_text(world->credentials, PROFILE);
    struct aws_client *client = connect_to(world, &settings);
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "FILE");
    write_text(world->credentials, "[default]\naws_access_key_id=NEWER\naws_secret_access_key=s\n");
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "NEWER");
    (void)aws_client_free(client);
}

static void test_settings_stand_above_files(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);

    write_text(world->credentials, PROFILE);
    assert_int_equal(call_once(world, &settings), AWS_OK);
    assert_signed_by(world, "AKID");
}

static void test_the_profile_gives_region_and_endpoint(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);
    char text[512], value[1024];

    settings.region[0] = settings.endpoint[0] = '\0';
    (void)text_copy(settings.profile, sizeof settings.profile, "fleet");
    write_text(world->credentials, "[fleet]\naws_access_key_id=F\naws_secret_access_key=s\n");
    assert_true(text_format(text, sizeof text,
                            "[profile fleet]\nregion = ap-east-1\nendpoint_url = %s\n",
                            world->stand_in.url) > 0);
    write_text(world->config, text);
    assert_int_equal(call_once(world, &settings), AWS_OK);
    stand_in_header(&world->last, "Authorization", value, sizeof value);
    assert_non_null(strstr(value, "/ap-east-1/ssm/"));
}

static void test_what_is_wrong_with_files_is_told(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);

    write_text(world->credentials, "[default]\naws_access_key_id=FILE\n");
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_non_null(strstr(answered.problem, "only one of"));
    write_text(world->credentials, "[default]\nrole_arn=x\n");
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_non_null(strstr(answered.problem, "role_arn"));
    (void)text_copy(settings.profile, sizeof settings.profile, "absent");
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_non_null(strstr(answered.problem, "absent"));
    settings = settings_of(world);
    (void)text_copy(settings.credentials_file, sizeof settings.credentials_file, world->folder);
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_non_null(strstr(answered.problem, world->folder));
    assert_int_equal(world->calls, 0);
}

static void document(char *text, size_t size, const char *key, int64_t expires_s)
{
    time_t at = (time_t)(clock_realtime_ns() / NS_PER_SECOND) + expires_s;
    struct tm utc;
    char date[64];

    assert_true(strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &utc)) > 0);
    assert_true(
        text_format(text, size,
                    "{\"Code\":\"Success\",\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\","
                    "\"Token\":\"t\",\"Expiration\":\"%s\"}",
                    key, date) > 0);
}

static void test_the_role_of_the_instance(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);
    char first[512], second[512];

    settings.region[0] = '\0';
    document(first, sizeof first, "ROLE", 3600);
    world->document = first;
    struct aws_client *client = connect_to(world, &settings);
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "ROLE");
    assert_header(world, "X-Amz-Security-Token", "t");
    assert_string_equal(aws_client_credential_source(client), "the instance's role reader");
    assert_int_equal(call(client), AWS_OK);
    assert_int_equal(world->documents, 1);

    /* Refused: fetched anew, at once, and only once. */
    document(second, sizeof second, "NEXT", 3600);
    world->document = second;
    world->calls = 0;
    world->failures = 1;
    world->status = 400;
    world->body = "{\"__type\":\"ExpiredTokenException\"}";
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "NEXT");
    world->calls = 0;
    world->failures = 100;
    assert_int_equal(call(client), AWS_BAD_CREDENTIALS);
    assert_int_equal(world->calls, 2);
    (void)aws_client_free(client);
}

static void test_credentials_are_refreshed_before_they_expire(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);
    char first[512], second[512];

    document(first, sizeof first, "FIRST", 200); /* less than five minutes */
    document(second, sizeof second, "SECOND", 3600);
    world->document = first;
    struct aws_client *client = connect_to(world, &settings);
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "FIRST");
    world->document = second;
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "SECOND");
    (void)aws_client_free(client);
}

static void test_old_credentials_are_better_than_none(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);
    char first[512];

    document(first, sizeof first, "FIRST", -10);
    world->document = first;
    struct aws_client *client = connect_to(world, &settings);
    assert_int_equal(call(client), AWS_OK);
    world->document = "";
    assert_int_equal(call(client), AWS_OK);
    assert_signed_by(world, "FIRST");
    (void)aws_client_free(client);
}

static void test_no_role(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);

    assert_int_equal(call_once(world, &settings), AWS_NO_CREDENTIALS);
    assert_non_null(strstr(answered.problem, "attach an instance profile"));
    settings.web_identity = true;
    assert_int_equal(call_once(world, &settings), AWS_NO_CREDENTIALS);
    assert_non_null(strstr(answered.problem, "EKS Pod Identity"));
    world->document = "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"cannot assume\"}";
    assert_int_equal(call_once(world, &settings), AWS_NO_CREDENTIALS);
    assert_non_null(strstr(answered.problem, "AssumeRoleUnauthorizedAccess: cannot assume"));
    assert_int_equal(world->calls, 0);
}

static void test_a_container(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = settings_of(world);
    char text[512];

    document(text, sizeof text, "TASK", 3600);
    world->document = text;
    (void)text_format(settings.container_full_uri, sizeof settings.container_full_uri,
                      "%s/container", world->stand_in.url);
    (void)text_copy(settings.container_token_file, sizeof settings.container_token_file,
                    world->config);
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_non_null(strstr(answered.problem, world->config));
    write_text(world->config, "pod-token\n");
    assert_int_equal(call_once(world, &settings), AWS_OK);
    assert_signed_by(world, "TASK");
    assert_string_equal(world->authorization, "pod-token");
    write_text(world->config, "two\r\nlines: x\n");
    assert_int_equal(call_once(world, &settings), AWS_UNREACHABLE);
    assert_non_null(strstr(answered.problem, "line breaks"));
}

static void test_whom_a_container_may_ask(void **state UNUSED)
{
    static const char *const safe[] = {"https://any.test/x",        "http://127.0.0.1/x",
                                       "http://127.9.9.9:80/x",     "http://localhost:1/",
                                       "http://[::1]:80/",          "http://169.254.170.2/",
                                       "http://169.254.170.23/v1/", "http://[fd00:ec2::23]/v1"};
    static const char *const unsafe[] = {"http://any.test/",
                                         "http://169.254.169.254/",
                                         "http://169.254.170.2.evil.test/",
                                         "http://127.0.0.1.evil/",
                                         "http://[::2]/",
                                         "http://user@127.0.0.1/",
                                         "http://evil#@127.0.0.1/",
                                         "ftp://127.0.0.1/",
                                         "127.0.0.1",
                                         "http://",
                                         "http://2130706433/",
                                         "http://[::1",
                                         "http://169.254.170.2@evil/"};

    for (size_t i = 0; i < ARRAY_LENGTH(safe); i++)
        assert_true(container_credentials_uri_is_safe(safe[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(unsafe); i++)
        assert_false(container_credentials_uri_is_safe(unsafe[i]));
}

/* ---- what does not help ---- */

static void test_no_region(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);

    settings.region[0] = '\0';
    settings.metadata_disabled = true;
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_non_null(strstr(answered.problem, "AWS_REGION"));
    (void)text_copy(settings.region, sizeof settings.region, "eu-west-1/x");
    assert_int_equal(call_once(world, &settings), AWS_NOT_CONFIGURED);
    assert_int_equal(world->calls, 0);
}

static void test_the_proxy(void **state)
{
    struct world *world = *state;
    struct aws_settings settings = with_keys(world);

    /* The stand-in as proxy: the request for another host arrives there. */
    (void)text_copy(settings.proxy, sizeof settings.proxy, world->stand_in.url);
    (void)text_copy(settings.endpoint, sizeof settings.endpoint, "http://ssm.invalid");
    assert_int_equal(call_once(world, &settings), AWS_OK);
    assert_string_equal(world->last.target, "http://ssm.invalid/");
    world->failures = 100;
    world->status = 407;
    world->calls = 0;
    assert_int_equal(call_once(world, &settings), AWS_UNREACHABLE);
    assert_non_null(strstr(answered.problem, "the proxy wants a name"));
    (void)text_copy(settings.proxy, sizeof settings.proxy, "http://127.0.0.1:1");
    assert_int_equal(call_once(world, &settings), AWS_UNREACHABLE);
    assert_non_null(strstr(answered.problem, "by the proxy"));
    /* Exceptions, and never for metadata. */
    (void)text_copy(settings.no_proxy, sizeof settings.no_proxy, "127.0.0.1");
    (void)text_copy(settings.endpoint, sizeof settings.endpoint, world->stand_in.url);
    world->failures = 0;
    assert_int_equal(call_once(world, &settings), AWS_OK);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(json),
        TEST(query),
        TEST(s3),
        TEST(throttling_is_repeated),
        TEST(repetition_ends),
        TEST(patience_is_limited),
        TEST(the_clock_is_repaired),
        TEST(a_wrong_key_is_not_repeated),
        TEST(the_file_is_read_for_each_call),
        TEST(settings_stand_above_files),
        TEST(the_profile_gives_region_and_endpoint),
        TEST(what_is_wrong_with_files_is_told),
        TEST(the_role_of_the_instance),
        TEST(credentials_are_refreshed_before_they_expire),
        TEST(old_credentials_are_better_than_none),
        TEST(no_role),
        TEST(a_container),
        cmocka_unit_test(test_whom_a_container_may_ask),
        TEST(no_region),
        TEST(the_proxy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
