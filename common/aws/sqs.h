/* SQS over aws_client. As s3.h: blocking, the client's thread, ret_answer set in every case.
 * Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/ */
#ifndef COMMON_AWS_SQS_H
#define COMMON_AWS_SQS_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#include <stdbool.h>
#include <stdint.h>

#define SQS_MOST_MESSAGES 10 /* of one request */
#define SQS_MOST_BODY     (1024 * 1024)
#define SQS_LONGEST_HIDE  43200 /* seconds */
#define SQS_ID_BYTES      128
#define SQS_RECEIPT_BYTES 2048

struct sqs_message {
    char id[SQS_ID_BYTES];
    char receipt[SQS_RECEIPT_BYTES];
    uint64_t received; /* how often, this time too; 0 = not said */
    uint64_t sent_ms;  /* since 1970; 0 = not said */
    char *body;        /* without NUL inside */
    size_t body_length;
};
void sqs_message_done(struct sqs_message *message);

/* Up to most (at most 10) messages, waiting up to wait_s (at most 20) for the first. Each is hidden
 * from others for hide_s. A message whose body differs from its MD5 is AWS_UNAVAILABLE. */
enum aws_outcome sqs_receive(struct aws_client *client, const char *queue_url, unsigned most,
                             unsigned wait_s, unsigned hide_s,
                             struct sqs_message ret_messages[static SQS_MOST_MESSAGES],
                             size_t *ret_count, struct aws_answer *ret_answer);
/* The same of an answer's body. -EBADMSG, -ENOMEM. */
int sqs_messages_read(const char *json, size_t length,
                      struct sqs_message ret_messages[static SQS_MOST_MESSAGES],
                      size_t *ret_count) MUST_USE;

/* Both: at most 10 receipts; ret_failed[i] says which did not go through. hide_s 0 = back at once.
 */
enum aws_outcome sqs_delete(struct aws_client *client, const char *queue_url,
                            const char *const *receipts, size_t count,
                            bool ret_failed[static SQS_MOST_MESSAGES],
                            struct aws_answer *ret_answer);
enum aws_outcome sqs_hide(struct aws_client *client, const char *queue_url,
                          const char *const *receipts, size_t count, unsigned hide_s,
                          bool ret_failed[static SQS_MOST_MESSAGES], struct aws_answer *ret_answer);

/* At most 10 bodies, together at most SQS_MOST_BODY bytes. */
enum aws_outcome sqs_send(struct aws_client *client, const char *queue_url,
                          const char *const *bodies, size_t count,
                          bool ret_failed[static SQS_MOST_MESSAGES], struct aws_answer *ret_answer);

struct sqs_depth {
    uint64_t visible, hidden, delayed; /* approximate */
};
enum aws_outcome sqs_depth(struct aws_client *client, const char *queue_url,
                           struct sqs_depth *ret_depth, struct aws_answer *ret_answer);

#endif
