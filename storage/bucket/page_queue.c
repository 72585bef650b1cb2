/* Pages as jobs in the pollers' queue. Owns: how many objects are in a message. */
#include "common/aws/sqs.h"
#include "common/log/log.h"
#include "storage/bucket/bucket_scan.h"

#include <errno.h>
#include <string.h>

#define JOB_OBJECTS 10
#define MOST_BATCH  (200 * 1024) /* of the 256 KiB that every queue takes */
#define MOST_TRIES  5

struct batch {
    char *bodies[SQS_MOST_MESSAGES];
    size_t count, bytes;
};

static void clear(struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        free(batch->bodies[i]);
    *batch = (struct batch){.count = 0};
}

/* Those that did not go through are tried again. */
static int send(struct page_queue *queue, struct batch *batch)
{
    bool failed[SQS_MOST_MESSAGES];
    int r = batch->count > 0 ? -EAGAIN : 0;

    for (unsigned tries = 0; r == -EAGAIN && tries < MOST_TRIES; tries++) {
        struct aws_answer answer;
        size_t left = 0;
        if (sqs_send(queue->client, queue->url, (const char *const *)batch->bodies, batch->count,
                     failed, &answer) != AWS_OK) {
            log_error("jobs_not_queued", "problem", answer.problem, NULL);
            r = -EIO;
        }
        aws_answer_done(&answer);
        for (size_t i = 0; r == -EAGAIN && i < batch->count; i++) {
            if (failed[i])
                batch->bodies[left++] = batch->bodies[i];
            else
                free(batch->bodies[i]);
        }
        if (r == -EAGAIN) {
            batch->count = left;
            r = left == 0 ? 0 : -EAGAIN;
        }
    }
    clear(batch);
    return r;
}

static int add(struct page_queue *queue, struct batch *batch, const struct storage_object *objects,
               size_t count)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_BATCH);

    int r = storage_event_write_job(objects, count, &json);
    if (r < 0)
        return r;
    if (batch->count == SQS_MOST_MESSAGES || batch->bytes + json.length > MOST_BATCH)
        r = send(queue, batch);
    if (r < 0)
        return r;
    batch->bytes += json.length;
    batch->bodies[batch->count] = buffer_take(&json);
    return batch->bodies[batch->count++] != NULL ? 0 : -ENOMEM;
}

static int take(void *user, const struct storage_object *objects, size_t count,
                struct scan_place *place)
{
    struct page_queue *queue = user;
    struct batch batch = {.count = 0};
    int r = 0;

    for (size_t i = 0; r == 0 && i < count; i += JOB_OBJECTS)
        r = add(queue, &batch, objects + i, MIN(count - i, (size_t)JOB_OBJECTS));
    if (r == 0)
        r = send(queue, &batch);
    clear(&batch);
    for (size_t i = 0; r == 0 && i < count; i++)
        place->bytes += objects[i].size;
    if (r == 0)
        place->counts[SCAN_COUNT_QUEUED] += count;
    return r;
}

struct page_end page_queue_end(struct page_queue *queue)
{
    return (struct page_end){.take = take, .user = queue};
}
