/* What is signed once is kept, carried by people and checked by newer programs: each document has
 * the bytes it always had, and holds for its own purpose only. */
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AGENT "01a20110-8b87-741b-b374-275c67b8f792"
#define OTHER "01a20110-8b87-741b-b374-275c67b8f793"
#define HASH  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KEY   "MCowBQYDK2VwAyEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static int write_successor(struct buffer *document)
{
    struct wire_successor it = {.key = KEY, .issued_ms = 1, .retires_ms = 2};
    return wire_successor_encode(&it, document);
}

static int read_successor(const char *document, struct wire_problem *problem)
{
    struct wire_successor it;
    int r = wire_successor_decode(document, &it, problem);
    if (r == 0) {
        assert_string_equal(it.key, KEY);
        assert_int_equal(it.issued_ms, 1);
        assert_int_equal(it.retires_ms, 2);
        wire_successor_done(&it);
    }
    return r;
}

static int write_command(struct buffer *document)
{
    struct wire_command it = {.agent_id = AGENT,
                              .id = OTHER,
                              .type = "scan",
                              .arguments = "{\"path\":\"/\"}",
                              .issued_ms = 1,
                              .expires_ms = 2};
    return wire_command_encode(&it, document);
}

static int read_command(const char *document, struct wire_problem *problem)
{
    struct wire_command it;
    int r = wire_command_decode(document, &it, problem);
    if (r == 0) {
        assert_string_equal(it.agent_id, AGENT);
        assert_string_equal(it.type, "scan");
        assert_int_equal(it.issued_ms, 1);
        assert_int_equal(it.expires_ms, 2);
        wire_command_done(&it);
    }
    return r;
}

static int write_move(struct buffer *document)
{
    struct wire_move it = {
        .agent_id = AGENT, .successor_id = OTHER, .issued_ms = 1, .expires_ms = 2};
    return wire_move_encode(&it, document);
}

static int read_move(const char *document, struct wire_problem *problem)
{
    struct wire_move it;
    int r = wire_move_decode(document, &it, problem);
    if (r == 0) {
        assert_string_equal(it.successor_id, OTHER);
        assert_int_equal(it.issued_ms, 1);
        assert_int_equal(it.expires_ms, 2);
        wire_move_done(&it);
    }
    return r;
}

static int write_policy(struct buffer *document)
{
    struct wire_policy it = {.agent_id = AGENT,
                             .digest = HASH,
                             .body = "[{\"name\":\"a\",\"text\":\"b\"}]",
                             .revision = 3,
                             .issued_ms = 1,
                             .expires_ms = 2};
    return wire_policy_encode(&it, document);
}

static int read_policy(const char *document, struct wire_problem *problem)
{
    struct wire_policy it;
    int r = wire_policy_decode(document, &it, problem);
    if (r == 0) {
        assert_int_equal(it.revision, 3);
        assert_int_equal(it.issued_ms, 1);
        assert_int_equal(it.expires_ms, 2);
        assert_int_equal(it.text_count, 1);
        assert_string_equal(it.texts[0].text, "b");
        wire_policy_done(&it);
    }
    return r;
}

static int write_signatures(struct buffer *document)
{
    struct wire_signatures it = {.agent_id = AGENT,
                                 .digest = HASH,
                                 .content = "{\"lists\":[],\"allowed\":[],\"files\":[]}",
                                 .issued_ms = 1,
                                 .expires_ms = 2};
    return wire_signatures_encode(&it, document);
}

static int read_signatures(const char *document, struct wire_problem *problem)
{
    struct wire_signatures it;
    int r = wire_signatures_decode(document, &it, problem);
    if (r == 0) {
        assert_string_equal(it.digest, HASH);
        assert_int_equal(it.issued_ms, 1);
        assert_int_equal(it.expires_ms, 2);
        wire_signatures_done(&it);
    }
    return r;
}

static int write_removal(struct buffer *document)
{
    struct wire_removal it = {.id = OTHER,
                              .scope = WIRE_REMOVAL_COMPUTER,
                              .subject = AGENT,
                              .created_by = "ann",
                              .issued_ms = 1,
                              .expires_ms = 2};
    return wire_removal_encode(&it, document);
}

static int read_removal(const char *document, struct wire_problem *problem)
{
    struct wire_removal it;
    int r = wire_removal_decode(document, &it, problem);
    if (r == 0) {
        assert_string_equal(it.subject, AGENT);
        assert_int_equal(it.issued_ms, 1);
        assert_int_equal(it.expires_ms, 2);
        wire_removal_done(&it);
    }
    return r;
}

static const struct {
    const char *text;
    int (*write)(struct buffer *document);
    int (*read)(const char *document, struct wire_problem *problem);
} documents[] = {
    {"{\"purpose\":\"signing_key\",\"key\":\"" KEY "\",\"issued_ms\":1,\"retires_ms\":2}",
     write_successor, read_successor},
    {"{\"purpose\":\"command\",\"agent_id\":\"" AGENT "\",\"id\":\"" OTHER
     "\",\"type\":\"scan\",\"arguments\":{\"path\":\"/\"},\"issued_ms\":1,\"expires_ms\":2}",
     write_command, read_command},
    {"{\"purpose\":\"move\",\"agent_id\":\"" AGENT "\",\"successor_id\":\"" OTHER
     "\",\"issued_ms\":1,\"expires_ms\":2}",
     write_move, read_move},
    {"{\"purpose\":\"policy\",\"agent_id\":\"" AGENT "\",\"revision\":3,\"digest\":\"" HASH
     "\",\"group_id\":\"\",\"issued_ms\":1,\"expires_ms\":2,"
     "\"texts\":[{\"name\":\"a\",\"text\":\"b\"}]}",
     write_policy, read_policy},
    {"{\"purpose\":\"signatures\",\"agent_id\":\"" AGENT "\",\"digest\":\"" HASH
     "\",\"issued_ms\":1,\"expires_ms\":2,"
     "\"content\":{\"lists\":[],\"allowed\":[],\"files\":[]}}",
     write_signatures, read_signatures},
    {"{\"purpose\":\"removal\",\"id\":\"" OTHER "\",\"scope\":\"computer\",\"subject\":\"" AGENT
     "\",\"created_by\":\"ann\",\"issued_ms\":1,\"expires_ms\":2}",
     write_removal, read_removal},
};

static void test_bytes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++) {
        AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(1U << 16);
        struct wire_problem problem;
        assert_int_equal(documents[i].write(&document), 0);
        assert_string_equal(buffer_text(&document), documents[i].text);
        assert_int_equal(documents[i].read(documents[i].text, &problem), 0);
    }
}

static void test_no_other_purpose(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++)
        for (size_t j = 0; j < ARRAY_LENGTH(documents); j++) {
            struct wire_problem problem = {""};
            if (i == j)
                continue;
            assert_int_equal(documents[i].read(documents[j].text, &problem), -EBADMSG);
            assert_non_null(strstr(problem.text, "this document is not a "));
        }
}

static void test_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "[]", "{}", "{\"purpose\":7}", "{\"purpose\":null}"};
    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++) {
        struct wire_problem problem;
        for (size_t j = 0; j < ARRAY_LENGTH(wrong); j++)
            assert_int_equal(documents[i].read(wrong[j], &problem), -EBADMSG);

        /* Times are never left out and never before 1970. */
        char text[512];
        static const char *const times[] = {"\"issued_ms\":-1", "\"issued_MS\":1",
                                            "\"issued_ms\":\"1\""};
        for (size_t j = 0; j < ARRAY_LENGTH(times); j++) {
            const char *at = strstr(documents[i].text, "\"issued_ms\":1");
            assert_non_null(at);
            assert_true(text_format(text, sizeof(text), "%.*s%s%s", (int)(at - documents[i].text),
                                    documents[i].text, times[j],
                                    at + strlen("\"issued_ms\":1")) > 0);
            assert_int_equal(documents[i].read(text, &problem), -EBADMSG);
            assert_non_null(strstr(problem.text, "issued_ms"));
        }
    }
}

static void test_no_room(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(documents); i++) {
        AUTO_BUFFER struct buffer small = BUFFER_WITH_MAXIMUM(8);
        assert_true(documents[i].write(&small) < 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_no_other_purpose),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
