/* What stays and what goes when too much waits. */
#include "common/sensor_report/sensor_queue.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int add(struct sensor_queue *queue, unsigned severity, const char *subject)
{
    const struct wire_event event = {.severity = severity,
                                     .id = "id",
                                     .module = "storage",
                                     .kind = "kind",
                                     .subject = subject,
                                     .detail = "{}"};
    return sensor_queue_add(queue, &event);
}

/* The subjects that wait, in their order. */
static void expect(struct sensor_queue *queue, const char *subjects)
{
    const struct wire_event *events;
    char found[256] = "";
    size_t count = sensor_queue_begin(queue, 100, &events);
    for (size_t i = 0, used = 0; i < count; i++)
        used += (size_t)text_format(found + used, sizeof(found) - used, "%s", events[i].subject);
    sensor_queue_settle(queue, 0);
    assert_string_equal(found, subjects);
}

static void malware_goes_last(void **state UNUSED)
{
    struct sensor_queue *queue = NULL;
    assert_int_equal(sensor_queue_new(3, &queue), 0);
    assert_int_equal(add(queue, 1, "a"), 0);
    assert_int_equal(add(queue, 4, "b"), 0);
    assert_int_equal(add(queue, 0, "c"), 0);
    assert_int_equal(add(queue, 1, "d"), 0); /* c is the least severe */
    expect(queue, "abd");
    assert_int_equal(add(queue, 4, "e"), 0); /* of a and d the older one */
    expect(queue, "bde");
    assert_int_equal(add(queue, 0, "f"), -ENOBUFS);
    assert_int_equal(add(queue, 4, "g"), 0);
    assert_int_equal(add(queue, 4, "h"), 0); /* all alike: the oldest */
    expect(queue, "egh");
    assert_int_equal(sensor_queue_dropped(queue), 5);
    (void)sensor_queue_free(queue);
}

static void what_is_on_its_way_stays(void **state UNUSED)
{
    struct sensor_queue *queue = NULL;
    const struct wire_event *events;
    assert_int_equal(sensor_queue_new(3, &queue), 0);
    assert_int_equal(add(queue, 0, "a"), 0);
    assert_int_equal(add(queue, 0, "b"), 0);
    assert_int_equal(add(queue, 0, "c"), 0);
    assert_int_equal(sensor_queue_begin(queue, 2, &events), 2);
    assert_int_equal(add(queue, 4, "d"), 0);
    assert_string_equal(events[0].subject, "a");
    assert_string_equal(events[1].subject, "b");
    assert_int_equal(events[1].number, 2);
    sensor_queue_settle(queue, 2);
    expect(queue, "d");
    assert_int_equal(sensor_queue_begin(queue, 2, &events), 1);
    assert_int_equal(events[0].number, 4); /* ascending, also over what was given up */
    sensor_queue_drop_first(queue);
    sensor_queue_drop_first(queue);
    assert_int_equal(sensor_queue_count(queue), 0);
    assert_int_equal(sensor_queue_dropped(queue), 2);
    (void)sensor_queue_free(queue);
}

static void its_bytes_are_bounded(void **state UNUSED)
{
    struct sensor_queue *queue = NULL;
    enum { SIZE = 100000 };
    AUTO_FREE char *subject = malloc(SIZE + 1);
    assert_non_null(subject);
    memset(subject, 'x', SIZE);
    subject[SIZE] = '\0';
    assert_int_equal(sensor_queue_new(1000, &queue), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(add(queue, 1, subject), 0);
    assert_true(sensor_queue_count(queue) <= LIMIT_SENSOR_QUEUE_BYTES / SIZE);
    assert_int_equal(sensor_queue_count(queue) + sensor_queue_dropped(queue), 100);
    (void)sensor_queue_free(queue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(malware_goes_last),
        cmocka_unit_test(what_is_on_its_way_stays),
        cmocka_unit_test(its_bytes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
