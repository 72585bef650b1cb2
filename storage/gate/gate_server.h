/* The gate as an HTTP service, behind whatever speaks TLS to readers: a load balancer, a proxy. It
 * takes GET and HEAD of /object and /health, no bodies, one request a connection, and gives out
 * links, never objects. */
#ifndef STORAGE_GATE_GATE_SERVER_H
#define STORAGE_GATE_GATE_SERVER_H

#include "common/attributes.h"
#include "storage/gate/gate.h"

#include <stdint.h>

struct gate_server;

/* listen: "ADDRESS:PORT", "[ADDRESS]:PORT"; port 0 = any. -EINVAL, -EADDRINUSE, -ENOMEM. */
int gate_server_start(const char *listen, struct gate *gate, struct scan_resources *resources,
                      struct gate_server **ret_server) MUST_USE;
uint16_t gate_server_port(const struct gate_server *server);
/* Waits for what has begun. NULL is legal. */
struct gate_server *gate_server_stop(struct gate_server *server);

#endif
