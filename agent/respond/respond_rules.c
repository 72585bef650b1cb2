/* Owns: what the policy says about detections, copied so that it can be swapped as a whole. Must
 * not own: when it is swapped, what follows from it (respond_decide.c). */
#include "agent/respond/respond_task.h"

#include <errno.h>
#include <string.h>

void respond_rules_unref(struct respond_rules *rules)
{
    if (!rules || --rules->references > 0)
        return;
    digest_set_done(&rules->allowed);
    digest_set_done(&rules->denied);
    for (size_t i = 0; rules->allowed_signatures && rules->allowed_signatures[i]; i++)
        free(rules->allowed_signatures[i]);
    free(rules->allowed_signatures);
    free(rules);
}

static int copy_signatures(const char *const *from, char ***ret_copies)
{
    size_t count = 0;
    char **copies;

    while (from && from[count])
        count++;
    copies = calloc(count + 1, sizeof(*copies));
    if (!copies)
        return -ENOMEM;
    *ret_copies = copies;
    for (size_t i = 0; i < count; i++) {
        copies[i] = strdup(from[i]);
        if (!copies[i])
            return -ENOMEM;
    }
    return 0;
}

static int add_digests(struct digest_set *set, const char *const *digests)
{
    for (; digests && *digests; digests++) {
        int r = digest_set_add(set, *digests);

        if (r < 0)
            return r;
    }
    return 0;
}

int respond_rules_new(const struct responder_options *options, struct respond_rules **ret_rules)
{
    struct respond_rules *rules = calloc(1, sizeof(*rules));
    int r;

    if (!rules)
        return -ENOMEM;
    *rules = (struct respond_rules){.references = 1,
                                    .action = options->action,
                                    .heuristic_action = options->heuristic_action,
                                    .hold_package_files = options->hold_package_files,
                                    .brake_actions = options->brake_actions};
    r = copy_signatures(options->allowed_signatures, &rules->allowed_signatures);
    if (r == 0)
        r = add_digests(&rules->allowed, options->allowed_hashes);
    if (r == 0)
        r = add_digests(&rules->denied, options->denied_hashes);
    if (r < 0) {
        respond_rules_unref(rules);
        return r;
    }
    *ret_rules = rules;
    return 0;
}
