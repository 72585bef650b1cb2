/* A destination of events as it is configured. Settings and secret are JSON objects:
 *   syslog:  {"host", "port"?: 6514, "authority"?: PEM}, {"certificate"?: PEM, "key"?: PEM}
 *   webhook: {"url": https, "authority"?: PEM}, {"key": 16 to 256 bytes}
 *   sns:     {"topic_arn"}, {"access_key_id"?, "secret_access_key"?}: without them, what the
 *            console's environment, container or instance gives */
#ifndef CONSOLE_FORWARD_DESTINATION_H
#define CONSOLE_FORWARD_DESTINATION_H

#include "common/attributes.h"
#include "common/aws/aws_settings.h"
#include "common/wire/wire_read.h"

#define DESTINATIONS_MAXIMUM 16

enum destination_type { DESTINATION_SYSLOG, DESTINATION_WEBHOOK, DESTINATION_SNS };

struct destination {
    enum destination_type type;
    char host[256], url[2048], topic_arn[512], region[AWS_REGION_BYTES];
    uint16_t port;
    char *authority, *certificate, *key; /* PEM, or the webhook's key; NULL: none */
    char access_key_id[AWS_KEY_ID_BYTES], secret_access_key[AWS_SECRET_BYTES];
};

const char *destination_type_name(enum destination_type type);
int destination_type_parse(const char *name, enum destination_type *ret_type) MUST_USE;
/* Checks everything that can be checked without sending. -EBADMSG with the problem; free with done
 * in every case. */
int destination_read(enum destination_type type, const json_t *settings, const json_t *secret,
                     struct destination *ret_destination,
                     struct wire_problem *ret_problem) MUST_USE;
void destination_done(struct destination *destination);

#endif
