/* What an EC2 instance can show for itself: the document that AWS signed. One thread. Source:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-identity-documents.html */
#ifndef AGENT_MESSENGER_INSTANCE_IDENTITY_H
#define AGENT_MESSENGER_INSTANCE_IDENTITY_H

#include "common/attributes.h"
#include "common/aws/instance_metadata.h"

/* "" outside EC2. */
struct instance_identity {
    char document[4097];                           /* JSON */
    char signature[8193];                          /* rsa2048: PKCS #7 in base64, with line ends */
    char instance_id[64], account[32], region[64]; /* as the document says, unverified */
};

/* Both parts, or none. On failure problem says why. */
enum metadata_outcome instance_identity_fetch(struct instance_metadata *metadata,
                                              struct instance_identity *ret_identity, char *problem,
                                              size_t problem_size);

#endif
