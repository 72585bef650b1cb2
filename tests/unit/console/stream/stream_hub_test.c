/* The hub's promises to a client: what it may see and nothing else, once more after coming back,
 * a resync instead of silence. */
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/stream/stream_hub.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EAST   "11111111-1111-4111-8111-111111111111"
#define WEST   "22222222-2222-4222-8222-222222222222"
#define HOST_A "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
#define HOST_B "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
#define WAIT   (30 * NS_PER_SECOND)

struct change {
    int64_t number;
    const char *computer, *group, *json;
};

/* What the source finds: the test puts it there. */
struct world {
    struct console_store *store;
    struct stream_hub *hub;
    char folder[64];
    pthread_mutex_t lock;
    struct change changes[8192];
    size_t count;
};

static int read_changes(struct sql *sql UNUSED, void *user, int64_t after, unsigned limit,
                        unsigned topic, struct stream_batch *batch, int64_t *ret_last)
{
    struct world *world = user;
    unsigned found = 0;
    (void)pthread_mutex_lock(&world->lock);
    for (size_t i = 0; i < world->count; i++) {
        const struct change *change = &world->changes[i];
        if (change->number <= after)
            continue;
        struct stream_message *message =
            found++ < limit ? stream_batch_begin(batch, topic, "change") : NULL;
        if (!message) {
            stream_batch_give_up(batch, topic);
            break;
        }
        message->number = *ret_last = change->number;
        (void)text_copy(message->computer, sizeof(message->computer), change->computer);
        (void)text_copy(message->group, sizeof(message->group), change->group);
        (void)buffer_append_text(&batch->text, change->json);
        stream_batch_end(batch, message);
    }
    (void)pthread_mutex_unlock(&world->lock);
    return 0;
}

static const struct stream_source SOURCES[] = {{"things", read_changes, 0}};

static void put(struct world *world, const char *computer, const char *group, const char *json)
{
    (void)pthread_mutex_lock(&world->lock);
    world->changes[world->count++] =
        (struct change){console_store_new_number(), computer, group, json};
    (void)pthread_mutex_unlock(&world->lock);
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    if (!world)
        return -1;
    char path[96], notice[512];
    (void)pthread_mutex_init(&world->lock, NULL);
    (void)text_copy(world->folder, sizeof(world->folder), "/tmp/yagura-stream-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    (void)text_format(path, sizeof(path), "%s/console.db", world->folder);
    assert_int_equal(console_store_open(path, &world->store, notice), 0);
    struct stream_hub_options options = {.store = world->store,
                                         .sources = SOURCES,
                                         .source_count = 1,
                                         .user = world,
                                         .clients = 3,
                                         .clients_of_an_actor = 2};
    assert_int_equal(stream_hub_start(&options, &world->hub), 0);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    (void)stream_hub_stop(world->hub);
    (void)console_store_close(world->store);
    DIR *folder = opendir(world->folder);
    for (const struct dirent *entry; folder && (entry = readdir(folder));)
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        (void)closedir(folder);
    assert_int_equal(rmdir(world->folder), 0);
    free(world);
    return 0;
}

static struct stream_client *join(struct world *world, const char *actor, const char *group,
                                  const char *computer, int64_t after)
{
    struct viewer viewer = {.group_count = group ? 1 : 0};
    (void)text_copy(viewer.actor, sizeof(viewer.actor), actor);
    if (group)
        (void)text_copy(viewer.groups[0], sizeof(viewer.groups[0]), group);
    struct stream_wish wish = {&viewer, 1, computer, after};
    struct stream_client *client = NULL;
    assert_int_equal(stream_client_join(world->hub, &wish, &client), 0);
    return client;
}

/* Reads until text was seen; everything read stands in seen. */
static void expect(struct stream_client *client, const char *text, struct buffer *seen)
{
    while (!strstr(buffer_text(seen), text)) {
        char bytes[4096];
        ssize_t length = stream_client_take(client, bytes, sizeof(bytes), WAIT);
        if (length <= 0)
            fail_msg("waiting for %s: %zd after %s", text, length, buffer_text(seen));
        assert_int_equal(buffer_append(seen, bytes, (size_t)length), 0);
    }
}

static void each_sees_its_own(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer all = BUFFER_WITH_MAXIMUM(65536), east = BUFFER_WITH_MAXIMUM(65536),
                              one = BUFFER_WITH_MAXIMUM(65536);
    struct stream_client *clients[] = {join(world, "a", NULL, "", 0), join(world, "b", EAST, "", 0),
                                       join(world, "c", NULL, HOST_B, 0)};
    put(world, HOST_A, EAST, "{\"n\":1}");
    put(world, HOST_B, WEST, "{\"n\":2}");
    put(world, "", "", "{\"n\":3}");
    put(world, HOST_A, EAST, "{\"n\":4}");
    put(world, HOST_B, EAST, "{\"n\":5}");
    expect(clients[0], "{\"n\":5}", &all);
    expect(clients[1], "{\"n\":5}", &east);
    expect(clients[2], "{\"n\":5}", &one);
    for (int i = 1; i <= 5; i++) {
        char text[16];
        (void)text_format(text, sizeof(text), "{\"n\":%d}", i);
        assert_non_null(strstr(buffer_text(&all), text));
        assert_int_equal(strstr(buffer_text(&east), text) != NULL, i == 1 || i >= 4);
        assert_int_equal(strstr(buffer_text(&one), text) != NULL, i == 2 || i == 5);
    }
    assert_int_equal(strncmp(buffer_text(&all), "event: ready\ndata: {}\nid: ", 26), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(clients); i++)
        (void)stream_client_leave(clients[i]);
}

static int64_t last_id(const struct buffer *seen)
{
    const char *last = NULL;
    for (const char *at = strstr(buffer_text(seen), "id: "); at; at = strstr(at + 1, "id: "))
        last = at;
    return last ? strtoll(last + 4, NULL, 10) : 0;
}

static void what_was_missed_comes_back(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer before = BUFFER_WITH_MAXIMUM(65536),
                              after = BUFFER_WITH_MAXIMUM(65536), lost = BUFFER_WITH_MAXIMUM(65536);
    struct stream_client *client = join(world, "a", NULL, "", 0);
    put(world, HOST_A, EAST, "{\"n\":1}");
    expect(client, "{\"n\":1}", &before);
    (void)stream_client_leave(client);
    put(world, HOST_A, EAST, "{\"n\":2}");
    client = join(world, "a", NULL, "", last_id(&before));
    expect(client, "{\"n\":2}", &after);
    assert_null(strstr(buffer_text(&after), "resync"));
    (void)stream_client_leave(client);
    /* An id of yesterday, and one that is none of ours. */
    const int64_t unknown[] = {console_store_number_at(console_store_now_ms() - 86400000), -1,
                               INT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(unknown); i++) {
        buffer_clear(&lost);
        client = join(world, "a", NULL, "", unknown[i]);
        expect(client, "event: resync\ndata: {\"topics\":[\"things\"]}\n\n", &lost);
        (void)stream_client_leave(client);
    }
}

static void too_much_becomes_a_resync(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer seen = BUFFER_WITH_MAXIMUM(1048576);
    struct stream_client *client = join(world, "a", NULL, "", 0);
    for (size_t i = 0; i < 4000; i++)
        put(world, HOST_A, EAST, "{\"flood\":1}");
    expect(client, "event: resync", &seen);
    (void)stream_client_leave(client);
}

static void a_slow_client_loses_its_queue(void **state)
{
    struct world *world = *state;
    AUTO_BUFFER struct buffer seen = BUFFER_WITH_MAXIMUM(1048576);
    static char large[LIMIT_STREAM_QUEUE_BYTES / 50];
    memset(large, '1', sizeof(large) - 1);
    struct stream_client *slow = join(world, "a", NULL, "", 0);
    struct stream_client *quick = join(world, "b", EAST, "", 0);
    expect(slow, "ready", &seen);
    buffer_clear(&seen);
    for (size_t i = 0; i < 60; i++)
        put(world, HOST_B, WEST, large);
    put(world, HOST_B, EAST, "{\"last\":1}");
    AUTO_BUFFER struct buffer other = BUFFER_WITH_MAXIMUM(65536);
    expect(quick, "{\"last\":1}", &other);
    expect(slow, "event: resync\ndata: {\"topics\":[\"things\"]}\n\n", &seen);
    assert_null(strstr(buffer_text(&seen), "1111"));
    put(world, HOST_B, WEST, "{\"after\":1}");
    expect(slow, "{\"after\":1}", &seen);
    (void)stream_client_leave(slow);
    (void)stream_client_leave(quick);
}

static void rights_and_the_end(void **state)
{
    struct world *world = *state;
    char bytes[256];
    AUTO_BUFFER struct buffer seen = BUFFER_WITH_MAXIMUM(65536);
    struct stream_client *first = join(world, "a", NULL, "", 0);
    struct stream_client *second = join(world, "a", NULL, "", 0), *third = NULL;
    struct viewer viewer = {.actor = "a"};
    struct stream_wish wish = {&viewer, 1, "", 0};
    assert_int_equal(stream_client_join(world->hub, &wish, &third), -EDQUOT);
    (void)text_copy(viewer.actor, sizeof(viewer.actor), "b");
    assert_int_equal(stream_client_join(world->hub, &wish, &third), 0);
    (void)text_copy(viewer.actor, sizeof(viewer.actor), "c");
    struct stream_client *fourth = NULL;
    assert_int_equal(stream_client_join(world->hub, &wish, &fourth), -EUSERS);
    (void)stream_client_leave(third);

    expect(first, "ready", &seen);
    stream_hub_recheck(world->hub);
    assert_int_equal(stream_client_take(first, bytes, sizeof(bytes), WAIT), -EAGAIN);
    (void)text_copy(viewer.groups[0], sizeof(viewer.groups[0]), EAST);
    viewer.group_count = 1;
    stream_client_narrow(first, &viewer);
    put(world, HOST_B, WEST, "{\"hidden\":1}");
    put(world, HOST_B, EAST, "{\"shown\":1}");
    expect(first, "{\"shown\":1}", &seen);
    assert_null(strstr(buffer_text(&seen), "hidden"));

    stream_hub_close(world->hub);
    assert_int_equal(stream_client_take(first, bytes, sizeof(bytes), WAIT), 0);
    (void)stream_client_leave(first);
    (void)stream_client_leave(second);
    struct stream_hub_status status;
    stream_hub_status(world->hub, &status);
    assert_int_equal(status.clients, 0);
    assert_int_equal(status.refused, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_sees_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_missed_comes_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_becomes_a_resync, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_client_loses_its_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rights_and_the_end, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
