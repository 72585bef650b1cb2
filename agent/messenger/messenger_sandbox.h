/* What the messenger gives up: its user, its capabilities, every path it does not need for names
 * and trust, and every system call that does not serve a TLS client. */
#ifndef AGENT_MESSENGER_MESSENGER_SANDBOX_H
#define AGENT_MESSENGER_MESSENGER_SANDBOX_H

#include "common/attributes.h"

/* After this, sockets still open. Steps that the kernel lacks are left out and logged. -errno. */
int messenger_sandbox_enter(void) MUST_USE;

#endif
