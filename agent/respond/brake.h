/* The brake against false positives: how many actions each signature caused within the last hour,
 * in minutes. A signature that has caused too many is held from then on until an hour has seen
 * fewer. Thread-safe. */
#ifndef AGENT_RESPOND_BRAKE_H
#define AGENT_RESPOND_BRAKE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct brake;

int brake_new(struct brake **ret_brake) MUST_USE;
struct brake *brake_free(struct brake *brake);

/* May one more action be taken for signature? Counts it when it may. limit 0: always. */
bool brake_allows(struct brake *brake, const char *signature, uint64_t limit);
/* Counts actions of an earlier run: minute is realtime / 60 s. */
void brake_add(struct brake *brake, const char *signature, uint64_t minute, uint64_t count);
/* Counts a held detection of signature. Returns how many there are when that should be told (the
 * first within an hour, the 10th, 100th, ...), otherwise 0. */
uint64_t brake_note_held(struct brake *brake, const char *signature);

uint64_t brake_minute(void);
#define BRAKE_MINUTES 60

#endif
