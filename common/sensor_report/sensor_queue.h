/* Events that wait for the console, bounded in number and bytes. When it is full, the oldest of the
 * least severe ones goes, also when that is the new one; what goes is counted. Not thread-safe. */
#ifndef COMMON_SENSOR_REPORT_SENSOR_QUEUE_H
#define COMMON_SENSOR_REPORT_SENSOR_QUEUE_H

#include "common/attributes.h"
#include "common/wire/wire.h"

struct sensor_queue;

int sensor_queue_new(size_t maximum_events, struct sensor_queue **ret_queue) MUST_USE;
/* NULL is legal. */
struct sensor_queue *sensor_queue_free(struct sensor_queue *queue);

/* Copies the event; its number is the queue's, from 1. -ENOBUFS when it was the one to go; -ENOMEM,
 * counted as well. */
int sensor_queue_add(struct sensor_queue *queue, const struct wire_event *event) MUST_USE;
/* At most maximum of the oldest; they stay, and are not given up, until sensor_queue_settle. The
 * array and its texts belong to the queue and live until then. */
size_t sensor_queue_begin(struct sensor_queue *queue, size_t maximum,
                          const struct wire_event **ret_events);
/* The console has all up to number; 0 = nothing. */
void sensor_queue_settle(struct sensor_queue *queue, uint64_t number);
/* Gives the oldest one up: the console refuses it for good. */
void sensor_queue_drop_first(struct sensor_queue *queue);

size_t sensor_queue_count(const struct sensor_queue *queue);
uint64_t sensor_queue_dropped(const struct sensor_queue *queue);
#endif
