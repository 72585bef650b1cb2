/* What is asked of Parameter Store, what is made of the answers, and when it is asked again;
 * against a stand-in that permits and knows what each test says. */
#include "agent/messenger/parameter_store.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct parameter {
    const char *name, *value;
    bool denied;
};

struct store {
    struct stand_in stand_in;
    const struct parameter *parameters;
    size_t count;
    const char *denial; /* the message of AWS */
    unsigned requests, names;
    bool decrypted;
    const char *error; /* answered whatever is asked; NULL */
};

static const struct parameter *find(const struct store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++)
        if (text_equal(store->parameters[i].name, name))
            return &store->parameters[i];
    return NULL;
}

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct store *store = user;
    json_t *body = json_loads(request->body, 0, NULL), *name;
    json_t *found = json_array(), *missing = json_array();
    bool denied = false;
    size_t index;

    store->requests++;
    store->names += (unsigned)json_array_size(json_object_get(body, "Names"));
    store->decrypted = json_is_true(json_object_get(body, "WithDecryption"));
    json_array_foreach(json_object_get(body, "Names"), index, name)
    {
        const struct parameter *parameter = find(store, json_string_value(name));
        denied |= parameter != NULL && parameter->denied;
        if (parameter == NULL)
            (void)json_array_append(missing, name);
        else
            (void)json_array_append_new(found,
                                        json_pack("{s:O, s:s, s:s}", "Name", name, "Type",
                                                  "SecureString", "Value", parameter->value));
    }
    json_t *said =
        denied
            ? json_pack("{s:s, s:s}", "__type", "AccessDeniedException", "Message", store->denial)
            : json_pack("{s:O, s:O}", "Parameters", found, "InvalidParameters", missing);
    char *words = store->error != NULL ? strdup(store->error) : json_dumps(said, 0);
    stand_in_write(text, size, denied || store->error != NULL ? 400 : 200, "", words);
    free(words);
    json_decref(said);
    json_decref(found);
    json_decref(missing);
    json_decref(body);
}

static struct link_settings settings;
static struct link_token token;
static char problem[LINK_TEXT_BYTES];

static void sleep_not(void *user UNUSED, uint64_t ns UNUSED) {}

static enum parameter_outcome fetch(struct store *store, const struct parameter *parameters,
                                    size_t count)
{
    static struct aws_settings aws = {.region = "eu-west-1", .keys = {"AKID", "secret", ""}};
    struct aws_client *client = NULL;

    store->stand_in.answer = answer;
    store->stand_in.user = store;
    store->parameters = parameters;
    store->count = count;
    store->requests = store->names = 0;
    if (store->denial == NULL)
        store->denial = "User: x is not authorized to perform: ssm:GetParameters";
    stand_in_start(&store->stand_in);
    (void)text_copy(aws.endpoint, sizeof aws.endpoint, store->stand_in.url);
    assert_int_equal(aws_client_new(&aws, NULL, &client), 0);
    aws_client_set_sleep(client, sleep_not, NULL);
    settings = (struct link_settings){.hostname = "kept"};
    token = (struct link_token){.text = ""};
    enum parameter_outcome outcome =
        parameter_store_fetch(client, "/yagura/", &settings, &token, problem, sizeof problem);
    (void)aws_client_free(client);
    stand_in_stop(&store->stand_in);
    assert_int_equal(outcome == PARAMETERS_FOUND, problem[0] == '\0');
    return outcome;
}
#define FETCH(store, parameters) fetch(store, parameters, ARRAY_LENGTH(parameters))

static void assert_problem(const char *words)
{
    if (strstr(problem, words) == NULL)
        print_error("%s\nis not in\n%s\n", words, problem);
    assert_non_null(strstr(problem, words));
}

static void test_one_request(void **state UNUSED)
{
    static const struct parameter parameters[] = {{"/yagura/activation-url",
                                                   "https://console.test:4120", false},
                                                  {"/yagura/token", "  yt1secret\n", false},
                                                  {"/yagura/tenant-id", "tenant", false},
                                                  {"/yagura/ca-pin", "sha256//pin", false},
                                                  {"/yagura/policy", "web", false},
                                                  {"/yagura/group", "front", false}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, parameters), PARAMETERS_FOUND);
    assert_int_equal(store.requests, 1);
    assert_int_equal(store.names, 6);
    assert_true(store.decrypted);
    assert_string_equal(settings.url, "https://console.test:4120");
    assert_string_equal(settings.tenant_id, "tenant");
    assert_string_equal(settings.pin, "sha256//pin");
    assert_string_equal(settings.policy, "web");
    assert_string_equal(settings.group, "front");
    assert_string_equal(settings.hostname, "kept");
    assert_string_equal(token.text, "yt1secret");
}

static void test_names_of_trend(void **state UNUSED)
{
    static const struct parameter parameters[] = {
        {"/yagura/ca-pin", "sha256//pin", false},
        {"dsActivationUrl", "dsm://console.test:4120/", false},
        {"dsManagerUrl", "https://console.test:443", false},
        {"dsTenantId", "tenant", false},
        {"dsToken", "yt1secret", false}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, parameters), PARAMETERS_FOUND);
    assert_int_equal(store.requests, 2);
    assert_string_equal(settings.url, "https://console.test:4120/");
    assert_string_equal(settings.tenant_id, "tenant");
    assert_string_equal(settings.pin, "sha256//pin");
    assert_string_equal(token.text, "yt1secret");
}

/* A role that may read the two that are needed, and nothing else. */
static void test_a_narrow_role(void **state UNUSED)
{
    static const struct parameter parameters[] = {{"/yagura/activation-url",
                                                   "https://console.test:4120", false},
                                                  {"/yagura/token", "yt1secret", false},
                                                  {"/yagura/tenant-id", "", true},
                                                  {"/yagura/ca-pin", "", true},
                                                  {"/yagura/policy", "", true},
                                                  {"/yagura/group", "", true}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, parameters), PARAMETERS_FOUND);
    assert_int_equal(store.requests, 7);
    assert_string_equal(token.text, "yt1secret");
}

static void test_a_role_for_the_names_of_trend(void **state UNUSED)
{
    static const struct parameter parameters[] = {{"/yagura/activation-url", "", true},
                                                  {"/yagura/token", "", true},
                                                  {"/yagura/tenant-id", "", true},
                                                  {"/yagura/ca-pin", "", true},
                                                  {"/yagura/policy", "", true},
                                                  {"/yagura/group", "", true},
                                                  {"dsActivationUrl", "dsm://c:4120/", false},
                                                  {"dsToken", "yt1secret", false}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, parameters), PARAMETERS_FOUND);
    assert_string_equal(settings.url, "https://c:4120/");
}

static void test_what_may_not_be_read_is_named(void **state UNUSED)
{
    static const struct parameter no_token[] = {{"/yagura/activation-url",
                                                 "https://console.test:4120", false},
                                                {"/yagura/token", "", true}};
    static const struct parameter nothing[] = {{"/yagura/activation-url", "", true},
                                               {"/yagura/token", "", true},
                                               {"dsActivationUrl", "", true},
                                               {"dsToken", "", true}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, no_token), PARAMETERS_REFUSED);
    assert_problem("/yagura/token in eu-west-1 may not be read with the configuration or "
                   "environment: allow ssm:GetParameters");
    assert_int_equal(FETCH(&store, nothing), PARAMETERS_REFUSED);
    assert_problem("/yagura/activation-url in eu-west-1 may not be read");
    store.denial = "User: arn:aws:sts::1:assumed-role/"
                   "AWSSystemsManagerDefaultEC2InstanceManagementRole/i-1 is not authorized";
    assert_int_equal(FETCH(&store, no_token), PARAMETERS_REFUSED);
    assert_problem("in the role of Default Host Management");
    store.denial = "The ciphertext refers to a key that you may not use: kms:Decrypt";
    assert_int_equal(FETCH(&store, no_token), PARAMETERS_REFUSED);
    assert_problem("/yagura/token");
    assert_problem("allow kms:Decrypt on the key");
}

static void test_what_is_missing_is_named(void **state UNUSED)
{
    static const struct parameter no_token[] = {
        {"/yagura/activation-url", "https://console.test:4120", false}};
    static const struct parameter empty[] = {{"/yagura/activation-url", " ", false},
                                             {"/yagura/token", "yt1", false}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, no_token), PARAMETERS_REFUSED);
    assert_problem("eu-west-1 has no value for /yagura/token: aws ssm put-parameter --type "
                   "SecureString --name /yagura/token");
    assert_int_equal(store.requests, 1);
    assert_int_equal(FETCH(&store, empty), PARAMETERS_REFUSED);
    assert_problem("no value for /yagura/activation-url");
    assert_int_equal(fetch(&store, NULL, 0), PARAMETERS_REFUSED);
    assert_problem("no value for /yagura/activation-url");
    assert_int_equal(store.requests, 2);
}

static void refuse_token(const char *value, const char *words)
{
    const struct parameter parameters[] = {{"/yagura/activation-url", "https://console.test:4120",
                                            false},
                                           {"/yagura/token", value, false}};
    struct store store = {.error = NULL};

    assert_int_equal(FETCH(&store, parameters), PARAMETERS_REFUSED);
    assert_problem(words);
    assert_null(strstr(problem, value)); /* never shown */
    assert_string_equal(token.text, "");
}

static void test_values_that_are_none(void **state UNUSED)
{
    static char longest[LINK_TEXT_BYTES + 1];

    memset(longest, 'x', sizeof longest - 1);
    refuse_token("AQICAHhabcdef", "/yagura/token holds ciphertext");
    refuse_token("kms:alias/aws/ssm:secret", "/yagura/token holds ciphertext");
    refuse_token("one\ntwo", "/yagura/token has line breaks");
    refuse_token(longest, "/yagura/token is longer than 511 bytes");
}

static void test_urls_that_are_none(void **state UNUSED)
{
    static const char *const urls[] = {"http://console.test", "console.test:4120", "https://",
                                       "dsm://"};
    struct store store = {.error = NULL};

    for (size_t i = 0; i < ARRAY_LENGTH(urls); i++) {
        const struct parameter parameters[] = {{"/yagura/activation-url", urls[i], false},
                                               {"/yagura/token", "yt1", false}};
        assert_int_equal(FETCH(&store, parameters), PARAMETERS_REFUSED);
        assert_problem("/yagura/activation-url must be https://HOST:4120");
    }
}

static void test_what_the_service_says(void **state UNUSED)
{
    struct store store = {.error = "{\"__type\":\"ThrottlingException\"}"};

    assert_int_equal(fetch(&store, NULL, 0), PARAMETERS_THROTTLED);
    assert_int_equal(store.requests, 4);
    store.error = "{\"__type\":\"InternalServerError\"}";
    assert_int_equal(fetch(&store, NULL, 0), PARAMETERS_LATER);
    store.error = "{\"__type\":\"ValidationException\",\"message\":\"no\"}";
    assert_int_equal(fetch(&store, NULL, 0), PARAMETERS_REFUSED);
    assert_problem("ValidationException: no");
}

/* ---- when ---- */

static void test_thirty_times_five_minutes(void **state UNUSED)
{
    struct parameter_attempts attempts = {.used = 0};
    struct delay delay = {.interval_ns = 60 * NS_PER_SECOND};

    for (unsigned i = 0; i < PARAMETER_ATTEMPTS; i++) {
        uint64_t ns = parameter_attempts_delay(&attempts, PARAMETERS_REFUSED, &delay);
        assert_in_range(ns, 270 * NS_PER_SECOND, 330 * NS_PER_SECOND);
    }
    for (unsigned i = 0; i < 10; i++) { /* then rarely */
        uint64_t ns = parameter_attempts_delay(&attempts, PARAMETERS_LATER, &delay);
        assert_in_range(ns, PARAMETER_INTERVAL_NS, PARAMETER_INTERVAL_NS + DELAY_LONGEST_NS);
    }
}

static void test_throttling_uses_no_attempt(void **state UNUSED)
{
    struct parameter_attempts attempts = {.used = 0};
    struct delay delay = {.interval_ns = 60 * NS_PER_SECOND};

    for (unsigned i = 0; i < 100; i++) {
        uint64_t ns = parameter_attempts_delay(&attempts, PARAMETERS_THROTTLED, &delay);
        assert_in_range(ns, NS_PER_SECOND, 81 * NS_PER_SECOND);
    }
    assert_int_equal(attempts.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request),
        cmocka_unit_test(test_names_of_trend),
        cmocka_unit_test(test_a_narrow_role),
        cmocka_unit_test(test_a_role_for_the_names_of_trend),
        cmocka_unit_test(test_what_may_not_be_read_is_named),
        cmocka_unit_test(test_what_is_missing_is_named),
        cmocka_unit_test(test_values_that_are_none),
        cmocka_unit_test(test_urls_that_are_none),
        cmocka_unit_test(test_what_the_service_says),
        cmocka_unit_test(test_thirty_times_five_minutes),
        cmocka_unit_test(test_throttling_uses_no_attempt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
