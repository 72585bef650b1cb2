/* How often a sign-in may fail: by account and by address, so that neither one account is guessed
 * from many places nor many accounts from one. Kept in memory, bounded; thread-safe. */
#ifndef CONSOLE_PEOPLE_SIGN_IN_LIMIT_H
#define CONSOLE_PEOPLE_SIGN_IN_LIMIT_H

#include "common/attributes.h"

#include <pthread.h>
#include <stdint.h>

#define SIGN_IN_SLOTS         4096
#define SIGN_IN_FREE_FAILS    5  /* an account, before it has to wait */
#define SIGN_IN_ADDRESS_FAILS 50 /* an address; of IPv6: its /64 network */
#define SIGN_IN_WAIT_SECONDS  300

struct sign_in_slot {
    uint64_t key;
    unsigned fails;
    uint64_t last_ns;
};

struct sign_in_limit {
    pthread_mutex_t lock;
    struct sign_in_slot slots[SIGN_IN_SLOTS];
};

void sign_in_limit_init(struct sign_in_limit *limit);
/* Counts this attempt as failed until sign_in_limit_good says otherwise. 0: go on; otherwise the
 * seconds to wait. */
unsigned sign_in_limit_try(struct sign_in_limit *limit, const char *account, const char *address);
void sign_in_limit_good(struct sign_in_limit *limit, const char *account, const char *address);

#endif
