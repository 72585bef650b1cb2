/* Messages of several objects, with a scanner that fails where the test says so. */
#include "storage/runtime/message_handler.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- the scanner's place ---- */

struct object_scanner {
    char seen[64]; /* the keys, one after another */
};

static int answer(struct object_scanner *scanner, const char *key)
{
    size_t length = strlen(scanner->seen);

    (void)text_copy(scanner->seen + length, sizeof scanner->seen - length, key);
    return text_starts_with(key, "b") ? -EAGAIN : 0;
}

bool object_scanner_wants(const struct object_scanner *scanner UNUSED,
                          const struct storage_object *object)
{
    return !text_starts_with(object->key, "x");
}

int object_scanner_run(struct object_scanner *scanner, const struct storage_object *object,
                       const struct scan_order *order UNUSED, struct storage_result *result UNUSED)
{
    return answer(scanner, object->key);
}

int object_scanner_tell(struct object_scanner *scanner, const struct storage_result *result,
                        const char *message_id UNUSED)
{
    return answer(scanner, result->object.key);
}

/* ---- the tests ---- */

static int handle(message_handler *handler, const char *body, struct object_scanner *scanner)
{
    const struct message message = {.body = body, .length = strlen(body), .id = "m"};

    *scanner = (struct object_scanner){.seen = ""};
    return handler(scanner, &message);
}

#define JOB(keys) "{\"schema\":\"yagura-scan-job/1\",\"objects\":[" keys "]}"
#define KEY(key)  "{\"bucket\":\"bucket\",\"key\":\"" key "\"}"

/* One that cannot be read keeps nobody from the others, and the message comes again. */
static void test_the_others_go_on(void **state UNUSED)
{
    static message_handler *const handlers[] = {message_scan, message_report_dead};
    struct object_scanner scanner;

    for (size_t i = 0; i < ARRAY_LENGTH(handlers); i++) {
        assert_int_equal(handle(handlers[i], JOB(KEY("a") "," KEY("b") "," KEY("x") "," KEY("c")),
                                &scanner),
                         -EAGAIN);
        assert_string_equal(scanner.seen, "abc");
        assert_int_equal(handle(handlers[i], JOB(KEY("a") "," KEY("c")), &scanner), 0);
        assert_string_equal(scanner.seen, "ac");
    }
}

static void test_what_is_not_understood(void **state UNUSED)
{
    struct object_scanner scanner;

    assert_int_equal(handle(message_scan, "{not json", &scanner), -EBADMSG);
    assert_int_equal(handle(message_report_dead, "{not json", &scanner), 0);
    assert_string_equal(scanner.seen, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_others_go_on),
        cmocka_unit_test(test_what_is_not_understood),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
