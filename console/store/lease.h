/* One node of many does a job: whoever holds its lease. Needs clocks that agree within a few
 * seconds. On a database of one node alone it is always held. */
#ifndef CONSOLE_STORE_LEASE_H
#define CONSOLE_STORE_LEASE_H

#include "common/attributes.h"
#include "console/store/console_store.h"

#include <stdbool.h>

/* How long it is held without being asked for again. */
#define LEASE_MS 20000LL

struct lease {
    const char *name; /* literal */
    char holder[64];
    int64_t until_ms; /* ours until then */
};

int lease_init(struct lease *lease, const char *name) MUST_USE;
/* Takes or renews it; waits for the writer only when it is not ours for a while yet. */
bool lease_hold(struct lease *lease, struct console_store *store);
/* Lets another node have it at once. */
void lease_release(struct lease *lease, struct console_store *store);

#endif
