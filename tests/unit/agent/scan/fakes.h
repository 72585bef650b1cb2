/* A scanner client, a store and a responder in memory, linked in place of the real ones. */
#ifndef TESTS_UNIT_AGENT_SCAN_FAKES_H
#define TESTS_UNIT_AGENT_SCAN_FAKES_H

#include "scanner/client/scanner_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A file that holds "virus" is infected, one that holds "bomb" is incomplete, one that holds
 * "crash" is an error, any other one is clean. Thread-safe, all of them. */
void fakes_reset(void);
void fake_scanner_set_generation(uint64_t generation); /* 0: no engine, no room */
/* The generation stays; room is there only when it is ready. */
void fake_scanner_set_state(enum scanner_state state);
void fake_scanner_set_room(size_t room);
void fake_scanner_refuse(int error, unsigned times); /* the next submits */
size_t fake_scanner_urgent(void);                    /* of those submitted */
/* While held, submitted files wait; let_go answers those that wait now. */
void fake_scanner_hold(bool hold);
void fake_scanner_wait_held(size_t count);
void fake_scanner_let_go(void);
uint64_t fake_scanner_submitted(void);
/* The last paths' contents in the order they were submitted, first byte of each. */
void fake_scanner_order(char *order, size_t size);

void fake_responder_hold(bool hold);
void fake_responder_set_room(bool room);
uint64_t fake_responder_count(void);
bool fake_responder_saw(const char *path);
void fake_responder_let_go(void);

uint64_t fake_store_count(const char *kind);

#endif
