/* Policies from the console: checked, and put where the agent loads them from. */
#ifndef AGENT_DELIVERY_SIGNED_POLICY_H
#define AGENT_DELIVERY_SIGNED_POLICY_H

#include "agent/delivery/console_files.h"
#include "common/attributes.h"
#include "common/settings/settings.h"

#include <openssl/evp.h>

struct delivered_policy {
    char path[LINK_TEXT_BYTES]; /* the file to load; its parents stand beside it */
    char digest[80];
    uint64_t revision;
    char group_id[40];  /* of this host when it was signed; "" = none */
    uint64_t issued_ms; /* 0: it is not for this host now, and says nothing of its group */
};

/* Verifies the signature, then agent, expiry and revision, then writes the texts into a new folder
 * below directory and parses them. -EACCES not signed by the console, -EALREADY this revision or an
 * older one, -ETIME expired; others with ret_error. ret_policy->digest is set when it was signed
 * by the console, and ->revision when it was
 * signed for this host and is new: -EINVAL then means that the policy itself is wrong. */
int signed_policy_take(const char *document, size_t length, EVP_PKEY *signing_key,
                       const char *agent_id, const struct console_orders *orders,
                       const char *directory, struct delivered_policy *ret_policy,
                       struct settings_error *ret_error) MUST_USE;
/* Removes all folders of delivered policies but that of path, which may be "". */
void signed_policy_sweep(const char *directory, const char *path);
/* Removes the folder of a delivered policy that is not in force. path may be "". */
void signed_policy_discard(const char *directory, const char *path);

#endif
