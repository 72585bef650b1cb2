/* Which objects an event tells of, and which events are none. */
#include "storage/events/storage_event.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define S3(key, etag)                                                                              \
    "{\"eventSource\":\"aws:s3\",\"awsRegion\":\"eu-west-1\",\"eventName\":\"ObjectCreated:Put\"," \
    "\"s3\":{\"bucket\":{\"name\":\"bucket\"},\"object\":{\"key\":\"" key "\",\"eTag\":\"" etag    \
    "\",\"size\":3,\"versionId\":\"v\",\"sequencer\":\"0055\"}}}"

static int read_it(const char *text, struct storage_event *event)
{
    char problem[128];

    int r = storage_event_read(text, strlen(text), event, problem);
    if (r < 0)
        assert_string_not_equal(problem, "");
    return r;
}

static void test_a_notification_of_s3(void **state UNUSED)
{
    struct storage_event event;

    assert_int_equal(
        read_it("{\"Records\":[" S3("a+b%2B%E6%AB%93", "e") "," S3("c", "f") "]}", &event), 0);
    assert_int_equal(event.count, 2);
    assert_string_equal(event.objects[0].key, "a b+\xe6\xab\x93");
    assert_string_equal(event.objects[0].bucket, "bucket");
    assert_string_equal(event.objects[0].version, "v");
    assert_string_equal(event.objects[0].region, "eu-west-1");
    assert_string_equal(event.objects[1].etag, "f");
    assert_true(event.objects[0].size_known);
    assert_int_equal(event.objects[0].size, 3);
    storage_event_done(&event);
}

static void test_a_key_of_event_bridge_is_raw(void **state UNUSED)
{
    struct storage_event event;

    assert_int_equal(
        read_it("{\"detail-type\":\"Object Created\",\"source\":\"aws.s3\","
                "\"detail\":{\"bucket\":{\"name\":\"b\"},\"object\":{\"key\":\"a+b%2B\","
                "\"etag\":\"e\",\"version-id\":\"v\"}}}",
                &event),
        0);
    assert_int_equal(event.count, 1);
    assert_string_equal(event.objects[0].key, "a+b%2B");
    assert_string_equal(event.objects[0].version, "v");
    assert_false(event.objects[0].size_known);
    storage_event_done(&event);
    assert_int_equal(read_it("{\"detail-type\":\"Object Deleted\",\"source\":\"aws.s3\"}", &event),
                     0);
    assert_int_equal(event.count, 0);
    assert_int_equal(event.ignored, 1);
    storage_event_done(&event);
}

static void test_envelopes_have_a_depth(void **state UNUSED)
{
    AUTO_BUFFER struct buffer inner = BUFFER_WITH_MAXIMUM(65536);
    struct storage_event event;

    (void)buffer_append_text(&inner, "{\"Records\":[" S3("k", "e") "]}");
    for (unsigned depth = 0; depth <= STORAGE_EVENT_NESTING + 1; depth++) {
        int r = read_it(buffer_text(&inner), &event);
        assert_int_equal(r, depth <= STORAGE_EVENT_NESTING ? 0 : -EBADMSG);
        if (r == 0)
            storage_event_done(&event);
        AUTO_BUFFER struct buffer outer = BUFFER_WITH_MAXIMUM(65536);
        (void)buffer_append_text(&outer, "{\"Type\":\"Notification\",\"Message\":\"");
        for (const char *c = buffer_text(&inner); *c != '\0'; c++)
            (void)buffer_append_format(&outer, *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
        (void)buffer_append_text(&outer, "\"}");
        buffer_done(&inner);
        inner = BUFFER_WITH_MAXIMUM(65536);
        assert_int_equal(buffer_append(&inner, buffer_text(&outer), outer.length), 0);
    }
}

static void test_what_is_no_event(void **state UNUSED)
{
    static const char *const broken[] = {
        "",
        "[]",
        "{}",
        "{\"Records\":{}}",
        "{\"Records\":[1]}",
        "{\"Records\":[{\"eventSource\":\"aws:sqs\"}]}",
        "{\"Records\":[{\"eventSource\":\"aws:s3\"}]}",
        "{\"Records\":[" S3("%zz", "e") "]}",
        "{\"Records\":[" S3("a%00b", "e") "]}",
        "{\"Records\":[" S3("", "e") "]}",
        "{\"Type\":\"Notification\"}",
        "{\"Type\":\"Notification\",\"Message\":\"x\"}",
        "{\"schema\":\"yagura-scan-job/1\"}",
        "{\"schema\":\"yagura-scan-job/1\",\"objects\":[{\"bucket\":\"b\"}]}",
        "{\"schema\":\"yagura-scan-job/2\",\"objects\":[]}",
    };
    struct storage_event event;

    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++)
        if (read_it(broken[i], &event) != -EBADMSG)
            fail_msg("%s was read", broken[i]);
}

static void test_too_many_objects(void **state UNUSED)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(1 << 20);
    struct storage_event event;

    (void)buffer_append_text(&json, "{\"schema\":\"yagura-scan-job/1\",\"objects\":[");
    for (unsigned i = 0; i < STORAGE_EVENT_OBJECTS; i++)
        (void)buffer_append_text(&json, "{\"bucket\":\"b\",\"key\":\"k\"},");
    AUTO_FREE char *most = text_format_new("%.*s]}", (int)json.length - 1, buffer_text(&json));
    AUTO_FREE char *more =
        text_format_new("%s{\"bucket\":\"b\",\"key\":\"k\"}]}", buffer_text(&json));
    assert_int_equal(read_it(most, &event), 0);
    assert_int_equal(event.count, STORAGE_EVENT_OBJECTS);
    storage_event_done(&event);
    assert_int_equal(read_it(more, &event), -E2BIG);
}

static void test_a_job_comes_back(void **state UNUSED)
{
    const struct storage_object objects[] = {
        {.trigger = STORAGE_TRIGGER_READ, .bucket = "b", .key = "k\"\\ +%", .version = "v"},
        {.trigger = STORAGE_TRIGGER_FULL_SCAN,
         .bucket = "b",
         .key = "l",
         .etag = "e",
         .size = 9,
         .size_known = true}};
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(65536);
    struct storage_event event;

    assert_int_equal(storage_event_write_job(objects, 2, &json), 0);
    assert_int_equal(read_it(buffer_text(&json), &event), 0);
    assert_int_equal(event.count, 2);
    assert_string_equal(event.objects[0].key, objects[0].key);
    assert_int_equal(event.objects[0].trigger, STORAGE_TRIGGER_READ);
    assert_int_equal(event.objects[1].trigger, STORAGE_TRIGGER_FULL_SCAN);
    assert_int_equal(event.objects[1].size, 9);
    storage_event_done(&event);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_notification_of_s3),
        cmocka_unit_test(test_a_key_of_event_bridge_is_raw),
        cmocka_unit_test(test_envelopes_have_a_depth),
        cmocka_unit_test(test_what_is_no_event),
        cmocka_unit_test(test_too_many_objects),
        cmocka_unit_test(test_a_job_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
