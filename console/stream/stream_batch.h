/* What one look at the store found: messages with who may see them. Used by one thread. */
#ifndef CONSOLE_STREAM_STREAM_BATCH_H
#define CONSOLE_STREAM_STREAM_BATCH_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_BATCH_MESSAGES 1024

struct stream_message {
    unsigned topic;                 /* index of the source */
    int64_t number;                 /* 0: none */
    const char *event;              /* literal: the message's type */
    char computer[UUID_TEXT_BYTES]; /* "": of none */
    char group[UUID_TEXT_BYTES];    /* "": of none; only who is not limited to groups sees it */
    bool for_limited;               /* only who is limited to the group sees it */
    size_t offset, length;          /* of its JSON in text */
};

struct stream_batch {
    struct stream_message messages[STREAM_BATCH_MESSAGES];
    size_t count;
    struct buffer text;
    uint32_t resync; /* bit i: the i-th topic had more than fits: read its lists again */
};

void stream_batch_init(struct stream_batch *batch);
void stream_batch_done(struct stream_batch *batch);
/* A message whose JSON the caller appends to batch->text before stream_batch_end. NULL when there
 * is no room: then the topic is to be read again. */
struct stream_message *stream_batch_begin(struct stream_batch *batch, unsigned topic,
                                          const char *event);
void stream_batch_end(struct stream_batch *batch, struct stream_message *message);
/* Takes all messages of a topic back, and asks for it to be read again. */
void stream_batch_give_up(struct stream_batch *batch, unsigned topic);

#endif
