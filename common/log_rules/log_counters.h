/* How often something happened lately, by key: a fixed number of counters, of which the least
 * recently used of eight makes room. Keys are hashed with a secret, so that nobody can aim at
 * another's counter. One thread. */
#ifndef COMMON_LOG_RULES_LOG_COUNTERS_H
#define COMMON_LOG_RULES_LOG_COUNTERS_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct log_counters;

int log_counters_new(struct log_counters **ret_counters) MUST_USE;
struct log_counters *log_counters_free(struct log_counters *counters);

/* A key of several pieces: begin with number, then add the pieces. */
uint64_t log_counters_key(const struct log_counters *counters, uint32_t number);
uint64_t log_counters_key_add(uint64_t key, const void *bytes, size_t length);

struct log_threshold {
    uint32_t frequency; /* 1..LIMIT_LOG_FREQUENCY */
    uint64_t timeframe_ns;
    uint64_t ignore_ns; /* after it was reached it is not reached again this long */
};
void log_counters_note(struct log_counters *counters, uint64_t key, uint64_t time_ns,
                       const struct log_threshold *threshold);
/* Whether it was noted as often as the threshold says, within its time before time_ns. Then it is
 * forgotten. */
bool log_counters_reached(struct log_counters *counters, uint64_t key, uint64_t time_ns,
                          const struct log_threshold *threshold);

#endif
