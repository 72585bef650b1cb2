/* An identity is given to a machine and stays with it: by machine-id and instance-id, which the
 * console compares, and by the board's number (SMBIOS UUID), which this does. Copies of a disk have
 * the same machine-id, and on another board still are another machine. Not thread-safe. */
#ifndef AGENT_DELIVERY_HOST_BINDING_H
#define AGENT_DELIVERY_HOST_BINDING_H

#include "agent/delivery/console_files.h"
#include "common/attributes.h"

#include <stdbool.h>

enum host_binding {
    HOST_BINDING_HOLDS,
    HOST_BINDING_MADE,   /* orders have changed: the board was not known before */
    HOST_BINDING_BROKEN, /* orders have changed: the identity is another machine's */
};

/* board: of this machine, "" when the firmware has none. */
enum host_binding host_binding_check(struct console_orders *orders, const char *board);
/* After a broken binding the console is told another machine-id, so that it takes this host for the
 * copy that it is. Instances of EC2 have their instance-id for that. */
void host_binding_apply(const struct console_orders *orders, struct link_settings *settings);

#endif
