/* Who this host is, as the console knows it. */
#ifndef AGENT_DELIVERY_HOST_FACTS_H
#define AGENT_DELIVERY_HOST_FACTS_H

#include "agent/messenger/link.h"

/* Fills hostname, machine_id, boot_id and os; what cannot be read stays a dash. And instance_id,
 * where the firmware has it. */
void host_facts_fill(struct link_settings *settings);
/* The board's number, which copies of a disk do not share; "" where the firmware has none. */
void host_facts_board(char board[static 64]);
/* This host is on EC2, as far as the firmware says. */
bool host_facts_is_instance(void);

#endif
