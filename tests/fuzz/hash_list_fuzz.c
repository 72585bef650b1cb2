/* Lists of hashes that people upload: what is taken from one is a hash and a signature's name, and
 * comes out the same when it is written as a line again. */
#include "console/signatures/hash_list.h"

#include "common/text/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static int take_same(void *user, const struct hash_entry *entry)
{
    const struct hash_entry *before = user;

    check(strcmp(before->hash, entry->hash) == 0 && strcmp(before->name, entry->name) == 0);
    return 0;
}

static int take(void *user, const struct hash_entry *entry)
{
    struct hash_list_problem problem;
    struct hash_entry before = *entry;
    char line[160];
    size_t count = 0;

    (void)user;
    check(strlen(entry->hash) == entry->digits);
    check(strspn(entry->hash, "0123456789abcdef") == entry->digits);
    check(strlen(entry->name) < sizeof entry->name && strpbrk(entry->name, ":\n/ ") == NULL);
    check(text_format(line, sizeof line, "%s:*:%s\n", entry->hash, entry->name) > 0);
    check(hash_list_read(line, 1, take_same, &before, &count, &problem) == 0 && count == 1);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hash_list_problem problem;
    size_t count = 0;
    char *text = calloc(1, size + 1);

    if (text == NULL)
        return 0;
    memcpy(text, data, size);
    if (hash_list_read(text, 1000, take, NULL, &count, &problem) < 0)
        check(problem.text[0] != '\0');
    free(text);
    return 0;
}
