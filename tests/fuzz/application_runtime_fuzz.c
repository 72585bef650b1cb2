/* The preload object's rules and correlation: a list of rules, a newline, a path or command, a
 * newline, records of values. They live in functions, and the bytes are somebody else's. */
#include "application/preload/request_values.h"
#include "application/preload/runtime_rules.h"

#include "common/text/text.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

/* Every value that is found stands in the records, and is what the test says. */
static void find(const char *records, size_t length, request_test test, const char *text)
{
    struct request_text value;

    if (!request_values_find(records, length, test, text, &value))
        return;
    require(value.data >= records && value.data + value.length <= records + length);
    require(test(value, text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char followed[512] = "/var/task";
    const char *rules = (const char *)data;
    const char *end = size == 0 ? NULL : memchr(rules, '\n', size);

    if (end == NULL)
        return 0;
    const char *text = end + 1;
    size_t left = size - (size_t)(text - rules);
    const char *records = left == 0 ? NULL : memchr(text, '\n', left);
    if (records == NULL)
        return 0;
    AUTO_FREE char *subject = text_new(text, (size_t)(records - text));
    /* Copies end where they end: what is read beyond is found out. */
    size_t length = size - (size_t)(records + 1 - rules);
    AUTO_FREE char *values = malloc(length + 1);
    AUTO_FREE char *own = malloc((size_t)(end - rules) + 1);
    require(subject != NULL && values != NULL && own != NULL);
    memcpy(values, records + 1, length);
    memcpy(own, rules, (size_t)(end - rules));
    (void)runtime_rules_judge(own, (size_t)(end - rules), subject);
    find(values, length, request_value_leads, subject);
    find(values, length, request_value_commands, subject);
    if (runtime_rules_follow(followed, sizeof followed, subject))
        require(followed[0] == '/' && strstr(followed, "/../") == NULL);
    return 0;
}
