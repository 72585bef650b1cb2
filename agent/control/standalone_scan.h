/* Scanning without the agent: yaguractl starts its own yagura-scanner, as the caller. Nothing is
 * acted upon and nothing remembered. */
#ifndef AGENT_CONTROL_STANDALONE_SCAN_H
#define AGENT_CONTROL_STANDALONE_SCAN_H

#include "agent/control/scan_output.h"
#include "agent/policy/policy.h"
#include "common/attributes.h"

#include <stdint.h>

struct standalone_options {
    const char *const *paths;     /* absolute, raw; NULL-terminated */
    const char *const *databases; /* folders and files; NULL-terminated */
    const char *program;          /* path of yagura-scanner */
    const char *user;             /* of the workers when we are root */
    const struct policy *policy;  /* limits and exclusions */
    bool report_all;
    uint64_t changed_within_ns; /* 0: all */
};

/* Exit code: 0 everything clean, 1 infected, 2 otherwise; told on standard error when it could not
 * be done. */
int standalone_scan(const struct standalone_options *options, struct scan_output *output);

#endif
