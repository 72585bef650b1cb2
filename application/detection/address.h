/* Addresses and networks, IPv4 and IPv6 in one form. Thread-safe: no state. */
#ifndef APPLICATION_DETECTION_ADDRESS_H
#define APPLICATION_DETECTION_ADDRESS_H

#include "application/detection/detection_policy.h"

/* "192.0.2.1", "192.0.2.0/24", "2001:db8::/32". -EINVAL. */
int address_parse(struct span text, struct policy_address *ret_address) MUST_USE;
bool address_within(const struct policy_address *address, const struct policy_address *network);

#endif
