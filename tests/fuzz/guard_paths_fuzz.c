/* Paths, which anybody chooses, as yagura-guard judges them, and what stands in a process' control
 * groups: no answer depends on more than the text, and a tree holds what is below it. */
#include "agent/guard/guard_scope.h"
#include "agent/prevention/process_facts.h"
#include "common/text/text.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool condition)
{
    if (!condition)
        abort();
}

static void check_tree(const uint8_t *data, size_t size)
{
    struct guard_scope scope = {0};

    if (guard_trees_add(&scope.protect, (const char *)data, size) == 0) {
        const char *top = scope.protect.paths[0];
        AUTO_FREE char *below = text_format_new("%s/x", strcmp(top, "/") == 0 ? "" : top);
        AUTO_FREE char *beside = text_format_new("%sx", top);
        check(below != NULL && beside != NULL);
        check(guard_scope_contains(&scope, top) && guard_scope_contains(&scope, below));
        check(strcmp(top, "/") == 0 || !guard_scope_contains(&scope, beside));
        check(guard_trees_add(&scope.leave, top, strlen(top)) == 0);
        check(!guard_scope_contains(&scope, below));
    }
    guard_scope_done(&scope);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char container[PROCESS_CONTAINER_BYTES];

    check_tree(data, size);
    AUTO_FREE char *text = text_new(data, size);
    if (text == NULL)
        return 0;
    process_facts_find_container(text, container);
    check(container[0] == '\0' ||
          (strlen(container) == PROCESS_CONTAINER_BYTES - 1 && strstr(text, container) != NULL));
    (void)guard_scope_is_system(text);
    return 0;
}
