/* What the environment of a function says to the extension. Names of our own start with
 * YAGURA_APPLICATION_; those of Application Security (TREND_AP_) are understood where they mean
 * something here, and ours win. README.md of this folder is the list. */
#ifndef APPLICATION_RELAY_RELAY_SETTINGS_H
#define APPLICATION_RELAY_RELAY_SETTINGS_H

#include "application/relay/relay.h"

#include <limits.h>

enum relay_mode {
    RELAY_MODE_POLICY, /* as the policy says for each protection */
    RELAY_MODE_OFF,    /* relay only, inspect nothing */
    RELAY_MODE_REPORT, /* never block */
    RELAY_MODE_MITIGATE,
};

struct relay_settings {
    enum relay_mode mode;
    struct sockaddr_in upstream;
    uint16_t port;
    enum relay_streaming streaming;
    bool fail_closed;
    uint64_t budget_ns, ready_ns, report_ns, interval_ns;
    char home[PATH_MAX];  /* of rules, policy, reporter */
    bool reports;         /* a console is named */
    bool watches_runtime; /* the wrapper preloads our object */
    unsigned concurrency; /* invocations that the function has in hand at once */
    bool invoke_events;   /* false on Managed Instances: their extensions may not ask for them */
    const char *function_name, *function_version, *region;
};

/* lookup: the value of a variable, or NULL. -EINVAL with ret_problem, for a person. What is wrong
 * but not needed is said in ret_problem with 0, and left at its default. */
int relay_settings_read(const char *(*lookup)(void *user, const char *name), void *user,
                        struct relay_settings *ret_settings, char ret_problem[static 256]) MUST_USE;

/* "127.0.0.1:9001". -EINVAL. */
int relay_settings_address(const char *text, struct sockaddr_in *ret_address) MUST_USE;

#endif
