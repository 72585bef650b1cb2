/* Who publishes while others do goes with them: with a topic in SNS's place that is held up. */
#include "storage/scan/publisher.h"

#include "common/aws/sns.h"
#include "common/text/text.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct world {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned waits; /* that were begun inside of the publisher */
    unsigned held;  /* requests that have come and may not be answered yet */
    bool open;
    unsigned single, batches, largest;
    enum aws_outcome batch_outcome;
    const char *refused; /* a message that the topic does not take */
    struct publisher *publisher;
} world;

/* ---- what the publisher waits with ---- */

int __real_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock);
int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock);

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    (void)pthread_mutex_lock(&world.lock);
    world.waits++;
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.lock);
    return __real_pthread_cond_wait(condition, lock);
}

/* ---- the topic ---- */

static void pass(void)
{
    (void)pthread_mutex_lock(&world.lock);
    world.held++;
    (void)pthread_cond_broadcast(&world.changed);
    while (!world.open)
        (void)__real_pthread_cond_wait(&world.changed, &world.lock);
    (void)pthread_mutex_unlock(&world.lock);
}

static enum aws_outcome answer_with(enum aws_outcome outcome, struct aws_answer *answer)
{
    *answer = (struct aws_answer){.outcome = outcome};
    if (outcome != AWS_OK)
        (void)text_copy(answer->problem, sizeof answer->problem, "it does not work");
    return outcome;
}

enum aws_outcome sns_publish(struct aws_client *client UNUSED, const char *topic_arn,
                             const char *message, const struct aws_pair *attributes UNUSED,
                             size_t count UNUSED, struct aws_answer *ret_answer)
{
    assert_string_equal(topic_arn, "topic");
    (void)__atomic_add_fetch(&world.single, 1, __ATOMIC_SEQ_CST);
    pass();
    return answer_with(world.refused != NULL && text_equal(message, world.refused) ? AWS_REFUSED
                                                                                   : AWS_OK,
                       ret_answer);
}

enum aws_outcome sns_publish_batch(struct aws_client *client UNUSED, const char *topic_arn UNUSED,
                                   struct sns_entry *entries, size_t count,
                                   struct aws_answer *ret_answer)
{
    assert_in_range(count, 2, SNS_MOST_ENTRIES);
    (void)__atomic_add_fetch(&world.batches, 1, __ATOMIC_SEQ_CST);
    world.largest = MAX(world.largest, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        entries[i].failed = world.refused != NULL && text_equal(entries[i].message, world.refused);
        (void)text_copy(entries[i].code, sizeof entries[i].code, entries[i].failed ? "TooBad" : "");
    }
    return answer_with(world.batch_outcome, ret_answer);
}

/* ---- writers ---- */

struct writer {
    pthread_t thread;
    const char *message;
    enum aws_outcome outcome;
    char problem[PUBLISHER_PROBLEM_BYTES];
};

static void *write_one(void *user)
{
    struct writer *writer = user;

    writer->outcome =
        publisher_publish(world.publisher, NULL, writer->message, NULL, 0, writer->problem);
    return NULL;
}

static void start(struct writer *writer, const char *message)
{
    writer->message = message;
    assert_int_equal(pthread_create(&writer->thread, NULL, write_one, writer), 0);
}

static void wait_for(const unsigned *number, unsigned least)
{
    (void)pthread_mutex_lock(&world.lock);
    while (*number < least)
        (void)__real_pthread_cond_wait(&world.changed, &world.lock);
    (void)pthread_mutex_unlock(&world.lock);
}

/* The first is held up on its way, and the others come meanwhile; then the way is free. */
static void write_all(struct writer *writers, size_t count, const char *const *messages)
{
    start(&writers[0], messages[0]);
    wait_for(&world.held, 1);
    for (size_t i = 1; i < count; i++) {
        start(&writers[i], messages[i]);
        wait_for(&world.waits, (unsigned)i);
    }
    (void)pthread_mutex_lock(&world.lock);
    world.open = true;
    (void)pthread_cond_broadcast(&world.changed);
    (void)pthread_mutex_unlock(&world.lock);
    for (size_t i = 0; i < count; i++)
        (void)pthread_join(writers[i].thread, NULL);
}

static int set_up(void **state UNUSED)
{
    world = (struct world){.batch_outcome = AWS_OK};
    (void)pthread_mutex_init(&world.lock, NULL);
    (void)pthread_cond_init(&world.changed, NULL);
    return publisher_new("topic", &world.publisher);
}

static int tear_down(void **state UNUSED)
{
    world.publisher = publisher_free(world.publisher);
    (void)pthread_cond_destroy(&world.changed);
    (void)pthread_mutex_destroy(&world.lock);
    return 0;
}

/* ---- the tests ---- */

static const char *const FOUR[] = {"a", "b", "c", "d"};

static void test_one_goes_at_once(void **state UNUSED)
{
    struct writer writer;

    world.open = true;
    start(&writer, "a");
    (void)pthread_join(writer.thread, NULL);
    assert_int_equal(writer.outcome, AWS_OK);
    assert_int_equal(world.single, 1);
    assert_int_equal(world.waits, 0);
}

static void test_company_goes_together(void **state UNUSED)
{
    struct writer writers[4];

    write_all(writers, 4, FOUR);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(writers[i].outcome, AWS_OK);
    assert_int_equal(world.single, 1);
    assert_int_equal(world.batches, 1);
    assert_int_equal(world.largest, 3);
}

static void test_one_of_many_fails(void **state UNUSED)
{
    struct writer writers[4];

    world.refused = "c";
    write_all(writers, 4, FOUR);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(writers[i].outcome, i == 2 ? AWS_UNAVAILABLE : AWS_OK);
    assert_non_null(strstr(writers[2].problem, "TooBad"));
}

/* One that is not as it should be is no reason for the others to fail. */
static void test_a_refused_request_is_taken_apart(void **state UNUSED)
{
    struct writer writers[4];

    world.refused = "c";
    world.batch_outcome = AWS_REFUSED;
    write_all(writers, 4, FOUR);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(writers[i].outcome, i == 2 ? AWS_REFUSED : AWS_OK);
    assert_int_equal(world.single, 4);
    assert_string_equal(writers[2].problem, "it does not work");
}

static void test_a_request_that_fails(void **state UNUSED)
{
    struct writer writers[4];

    world.batch_outcome = AWS_UNREACHABLE;
    write_all(writers, 4, FOUR);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(writers[i].outcome, i == 0 ? AWS_OK : AWS_UNREACHABLE);
    assert_int_equal(world.single, 1);
    assert_string_equal(writers[3].problem, "it does not work");
}

/* Two of more than half of what a request takes go alone. */
static void test_no_request_is_too_large(void **state UNUSED)
{
    struct writer writers[3];
    AUTO_FREE char *large = malloc(SNS_MOST_BATCH_BYTES / 2 + 2);

    assert_non_null(large);
    memset(large, 'x', SNS_MOST_BATCH_BYTES / 2 + 1);
    large[SNS_MOST_BATCH_BYTES / 2 + 1] = '\0';
    write_all(writers, 3, (const char *const[]){"a", large, large});
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(writers[i].outcome, AWS_OK);
    assert_int_equal(world.single, 3);
    assert_int_equal(world.batches, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_one_goes_at_once),     TEST(test_company_goes_together),
        TEST(test_one_of_many_fails),    TEST(test_a_refused_request_is_taken_apart),
        TEST(test_a_request_that_fails), TEST(test_no_request_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
