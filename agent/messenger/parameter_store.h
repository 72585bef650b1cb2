/* What a host needs to join its console, as Parameter Store has it: names below a prefix, or the
 * four of Trend Micro's products. One thread.
 * Source: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameters.html */
#ifndef AGENT_MESSENGER_PARAMETER_STORE_H
#define AGENT_MESSENGER_PARAMETER_STORE_H

#include "agent/messenger/delay.h"
#include "agent/messenger/link.h"
#include "common/attributes.h"
#include "common/aws/aws_client.h"

enum parameter_outcome {
    PARAMETERS_FOUND,
    PARAMETERS_LATER,     /* out of reach: it passes by itself */
    PARAMETERS_THROTTLED, /* the same, and no attempt is used up */
    PARAMETERS_REFUSED,   /* a person must act */
};

/* Fills url, pin, tenant_id, policy and group of settings, and the token. One request, of all names
 * below prefix (which ends with a slash); a second one, of Trend's names, when the first finds no
 * URL; single ones when a permission is missing, to name the parameter. Otherwise problem says what
 * is wrong with which parameter and what to do. */
enum parameter_outcome parameter_store_fetch(struct aws_client *client, const char *prefix,
                                             struct link_settings *settings,
                                             struct link_token *ret_token, char *problem,
                                             size_t problem_size);

/* When to try again: 30 times 300 s, as users of such products know it, a tenth more or less; then
 * by the heartbeats' back-off on top. Throttled ones are not counted. */
#define PARAMETER_ATTEMPTS    30
#define PARAMETER_INTERVAL_NS (300ULL * 1000000000)
struct parameter_attempts {
    unsigned used, throttled;
};
uint64_t parameter_attempts_delay(struct parameter_attempts *attempts,
                                  enum parameter_outcome outcome, struct delay *delay);

#endif
