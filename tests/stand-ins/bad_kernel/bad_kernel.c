/* bad-kernel STEP... -- PROGRAM [ARGUMENT...]: runs the program where the kernel refuses some steps
 * of a sandbox, as platforms do. For all that the program starts, too. */
#include "common/attributes.h"
#include "common/text/text.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { USAGE = 2, NOT_STARTED = 3 };

/* Its first argument; NO_ARGUMENT: whatever that is. */
#define NO_ARGUMENT UINT64_MAX

static const struct refusal {
    const char *step;
    int call, error;
    uint64_t first;
} refusals[] = {
    {"landlock", SCMP_SYS(landlock_create_ruleset), ENOSYS, NO_ARGUMENT},
    {"landlock", SCMP_SYS(landlock_add_rule), ENOSYS, NO_ARGUMENT},
    {"landlock", SCMP_SYS(landlock_restrict_self), ENOSYS, NO_ARGUMENT},
    {"seccomp", SCMP_SYS(seccomp), EPERM, SECCOMP_SET_MODE_FILTER},
    {"seccomp", SCMP_SYS(prctl), EPERM, PR_SET_SECCOMP},
    {"namespaces", SCMP_SYS(unshare), EPERM, NO_ARGUMENT},
    {"mounts", SCMP_SYS(mount), EPERM, NO_ARGUMENT},
};

static int refuse(scmp_filter_ctx filter, const char *step)
{
    int known = -ENOENT;

    for (size_t i = 0; i < ARRAY_LENGTH(refusals); i++) {
        const struct refusal *one = &refusals[i];
        if (!text_equal(one->step, step))
            continue;
        const uint32_t action = SCMP_ACT_ERRNO((uint32_t)one->error);
        known = one->first == NO_ARGUMENT
                    ? seccomp_rule_add(filter, action, one->call, 0)
                    : seccomp_rule_add(filter, action, one->call, 1,
                                       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, one->first));
        if (known < 0)
            return known;
    }
    return known;
}

int main(int argc, char **argv)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int i = 1, r = filter != NULL ? 0 : -ENOMEM;

    for (; r == 0 && i < argc && !text_equal(argv[i], "--"); i++)
        r = refuse(filter, argv[i]);
    if (r < 0 || i + 1 >= argc) {
        (void)fprintf(stderr,
                      "usage: bad-kernel landlock|seccomp|namespaces|mounts... -- PROGRAM...\n");
        return USAGE;
    }
    r = seccomp_load(filter);
    seccomp_release(filter);
    if (r < 0) {
        (void)fprintf(stderr, "bad-kernel: the filter: %s\n", strerror(-r));
        return NOT_STARTED;
    }
    (void)execv(argv[i + 1], argv + i + 1);
    (void)fprintf(stderr, "bad-kernel: %s: %s\n", argv[i + 1], strerror(errno));
    return NOT_STARTED;
}
