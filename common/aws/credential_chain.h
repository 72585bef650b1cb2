/* Where credentials come from, in this order: settings (configuration, environment), the shared
 * files, the container's service, the instance's metadata. The first place that has some is used; a
 * place that is there and broken is told, not passed over. One thread. Source:
 * https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html */
#ifndef COMMON_AWS_CREDENTIAL_CHAIN_H
#define COMMON_AWS_CREDENTIAL_CHAIN_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"
#include "common/aws/instance_metadata.h"
#include "common/aws/shared_file.h"
#include "common/aws/sigv4.h"

struct credential_chain;

/* All three stay the caller's and live longer. -ENOMEM. */
int credential_chain_new(const struct aws_settings *settings, const struct aws_file_opener *opener,
                         struct instance_metadata *metadata,
                         struct credential_chain **ret_chain) MUST_USE;
struct credential_chain *credential_chain_free(struct credential_chain *chain);

/* Valid until the next call. Temporary ones are refreshed five minutes before they expire; when no
 * newer ones can be had they are used on, as the service may still take them. On anything but
 * AWS_OK problem says where was looked and what to do. */
enum aws_outcome credential_chain_get(struct credential_chain *chain,
                                      struct aws_credentials *ret_credentials, char *problem,
                                      size_t problem_size);
/* Where the last ones came from: "the instance's role NAME". */
const char *credential_chain_source(const struct credential_chain *chain);
/* A service refused the last ones. True: the next call may give others. */
bool credential_chain_refused(struct credential_chain *chain);

/* The profile in use as the shared files say it, read anew; for region and endpoint, too. The keys
 * in it are wiped by the caller. */
enum aws_outcome credential_chain_profile(struct credential_chain *chain,
                                          struct shared_profile *ret_profile, char *problem,
                                          size_t problem_size);

#endif
