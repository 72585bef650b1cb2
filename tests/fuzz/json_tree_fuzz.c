/* A text is read as jansson reads it, or refused. Three differences are wanted: fewer levels, real
 * numbers of at most 319 bytes, and no NUL behind a number, which jansson 2.14 passes over. */
#include "common/json/json_tree.h"

#include "common/text/text.h"

#include <jansson.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_tree *tree = NULL;
    char problem[128];
    int r = json_tree_parse((const char *)data, size, &tree, problem);
    json_t *other = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
    if (r < 0) {
        bool wanted = strstr(problem, "levels") || strstr(problem, "too long") ||
                      (size > 0 && memchr(data, '\0', size));
        if (!problem[0] || (other && !wanted))
            abort();
        json_decref(other);
        return 0;
    }
    json_t *again =
        json_loads(json_tree_text(tree, json_tree_root(tree)), JSON_REJECT_DUPLICATES, NULL);
    if (!other || !again || !json_equal(other, again))
        abort();
    json_decref(other);
    json_decref(again);
    (void)json_tree_free(tree);
    return 0;
}
