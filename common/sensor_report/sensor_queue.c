/* Owns the waiting events. Must not know how they are sent. */
#include "common/sensor_report/sensor_queue.h"

#include "common/limits.h"

#include <errno.h>
#include <string.h>

struct sensor_queue {
    struct wire_event *events; /* each with one block of texts, which begins at id */
    size_t *sizes;
    size_t count, maximum, bytes;
    size_t begun; /* of the oldest: on their way */
    uint64_t last_number, dropped;
};

int sensor_queue_new(size_t maximum_events, struct sensor_queue **ret_queue)
{
    struct sensor_queue *queue = calloc(1, sizeof(*queue));
    if (!queue)
        return -ENOMEM;
    queue->maximum = maximum_events;
    queue->events = calloc(maximum_events, sizeof(*queue->events));
    queue->sizes = calloc(maximum_events, sizeof(*queue->sizes));
    if (!queue->events || !queue->sizes) {
        (void)sensor_queue_free(queue);
        return -ENOMEM;
    }
    *ret_queue = queue;
    return 0;
}

static void free_texts(struct wire_event *event)
{
    free((void *)(uintptr_t)event->id);
}

struct sensor_queue *sensor_queue_free(struct sensor_queue *queue)
{
    if (!queue)
        return NULL;
    for (size_t i = 0; queue->events && i < queue->count; i++)
        free_texts(&queue->events[i]);
    free(queue->events);
    free(queue->sizes);
    free(queue);
    return NULL;
}

static void remove_at(struct sensor_queue *queue, size_t at, size_t count)
{
    for (size_t i = at; i < at + count; i++) {
        queue->bytes -= queue->sizes[i];
        free_texts(&queue->events[i]);
    }
    size_t rest = queue->count - at - count;
    memmove(queue->events + at, queue->events + at + count, rest * sizeof(*queue->events));
    memmove(queue->sizes + at, queue->sizes + at + count, rest * sizeof(*queue->sizes));
    queue->count -= count;
}

/* Gives up the oldest of the least severe that are not on their way, if it is no more severe than
 * the new one. */
static bool make_room(struct sensor_queue *queue, unsigned severity)
{
    size_t victim = queue->count;
    for (size_t i = queue->begun; i < queue->count; i++)
        if (victim == queue->count || queue->events[i].severity < queue->events[victim].severity)
            victim = i;
    if (victim == queue->count || queue->events[victim].severity > severity)
        return false;
    remove_at(queue, victim, 1);
    queue->dropped++;
    return true;
}

/* All texts in one block; size: its bytes. */
static int copy_event(const struct wire_event *event, struct wire_event *ret_copy, size_t *ret_size)
{
    const char *const texts[] = {event->id, event->module, event->kind, event->subject,
                                 event->detail};
    const char *copies[ARRAY_LENGTH(texts)];
    size_t size = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        size += strlen(texts[i]) + 1;
    char *block = malloc(size);
    if (!block)
        return -ENOMEM;
    char *at = block;
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        size_t length = strlen(texts[i]) + 1;
        memcpy(at, texts[i], length);
        copies[i] = at;
        at += length;
    }
    *ret_copy = *event;
    ret_copy->id = copies[0];
    ret_copy->module = copies[1];
    ret_copy->kind = copies[2];
    ret_copy->subject = copies[3];
    ret_copy->detail = copies[4];
    *ret_size = size;
    return 0;
}

int sensor_queue_add(struct sensor_queue *queue, const struct wire_event *event)
{
    struct wire_event copy;
    size_t size;
    int r = copy_event(event, &copy, &size);
    while (r == 0 &&
           (queue->count == queue->maximum || queue->bytes + size > LIMIT_SENSOR_QUEUE_BYTES)) {
        if (!make_room(queue, event->severity)) {
            free_texts(&copy);
            r = -ENOBUFS;
        }
    }
    if (r < 0) {
        queue->dropped++;
        return r;
    }
    copy.number = ++queue->last_number;
    queue->sizes[queue->count] = size;
    queue->events[queue->count++] = copy;
    queue->bytes += size;
    return 0;
}

size_t sensor_queue_begin(struct sensor_queue *queue, size_t maximum,
                          const struct wire_event **ret_events)
{
    queue->begun = MIN(queue->count, maximum);
    *ret_events = queue->events;
    return queue->begun;
}

void sensor_queue_settle(struct sensor_queue *queue, uint64_t number)
{
    size_t count = 0;
    while (count < queue->count && queue->events[count].number <= number)
        count++;
    remove_at(queue, 0, count);
    queue->begun = 0;
}

void sensor_queue_drop_first(struct sensor_queue *queue)
{
    queue->begun = 0;
    if (queue->count == 0)
        return;
    remove_at(queue, 0, 1);
    queue->dropped++;
}

size_t sensor_queue_count(const struct sensor_queue *queue)
{
    return queue->count;
}

uint64_t sensor_queue_dropped(const struct sensor_queue *queue)
{
    return queue->dropped;
}
