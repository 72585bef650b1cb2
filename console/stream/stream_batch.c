/* Owns the messages of one look at the store. Must not know clients. */
#include "console/stream/stream_batch.h"

#define TEXT_MAXIMUM (8 * 1024 * 1024)

void stream_batch_init(struct stream_batch *batch)
{
    batch->count = 0;
    batch->resync = 0;
    buffer_init(&batch->text, TEXT_MAXIMUM);
}

void stream_batch_done(struct stream_batch *batch)
{
    buffer_done(&batch->text);
    batch->count = 0;
}

struct stream_message *stream_batch_begin(struct stream_batch *batch, unsigned topic,
                                          const char *event)
{
    if (batch->count == STREAM_BATCH_MESSAGES) {
        stream_batch_give_up(batch, topic);
        return NULL;
    }
    struct stream_message *message = &batch->messages[batch->count];
    *message =
        (struct stream_message){.topic = topic, .event = event, .offset = batch->text.length};
    return message;
}

void stream_batch_end(struct stream_batch *batch, struct stream_message *message)
{
    if (buffer_failed(&batch->text) < 0) { /* every text is gone */
        for (size_t i = 0; i < batch->count; i++)
            batch->resync |= 1U << batch->messages[i].topic;
        batch->resync |= 1U << message->topic;
        batch->count = 0;
        buffer_clear(&batch->text);
        return;
    }
    message->length = batch->text.length - message->offset;
    batch->count++;
}

void stream_batch_give_up(struct stream_batch *batch, unsigned topic)
{
    size_t kept = 0;
    for (size_t i = 0; i < batch->count; i++)
        if (batch->messages[i].topic != topic)
            batch->messages[kept++] = batch->messages[i];
    batch->count = kept;
    batch->resync |= 1U << topic;
}
