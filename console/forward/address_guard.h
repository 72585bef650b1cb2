/* Addresses that a destination must not lead to, whatever its name resolves to: link-local (the
 * cloud's metadata among them), multicast, unspecified. Loopback and private networks are fine: log
 * collectors live there. */
#ifndef CONSOLE_FORWARD_ADDRESS_GUARD_H
#define CONSOLE_FORWARD_ADDRESS_GUARD_H

#include "common/attributes.h"

#include <stdbool.h>
#include <sys/socket.h>

bool address_is_allowed(const struct sockaddr *address);

#endif
