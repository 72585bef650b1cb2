/* Owns: what a board's number means for an identity. Must not: read it (host_facts.c). */
#include "agent/delivery/host_binding.h"

#include "common/crypto/hash.h"
#include "common/text/text.h"

#include <string.h>

#define MACHINE_ID_BYTES 16 /* as machine-id(5): 32 hexadecimal digits */

enum host_binding host_binding_check(struct console_orders *orders, const char *board)
{
    bool known = orders->board[0] != '\0';

    if (board[0] == '\0' || text_equal(orders->board, board))
        return HOST_BINDING_HOLDS;
    (void)text_copy(orders->board, sizeof orders->board, board);
    orders->board_counts = orders->board_counts || known;
    return known ? HOST_BINDING_BROKEN : HOST_BINDING_MADE;
}

void host_binding_apply(const struct console_orders *orders, struct link_settings *settings)
{
    char text[sizeof settings->machine_id + sizeof orders->board + 1];
    uint8_t digest[SHA256_BYTES];

    if (!orders->board_counts || settings->instance_id[0] != '\0')
        return;
    int length = text_format(text, sizeof text, "%s\n%s", settings->machine_id, orders->board);
    if (length > 0 && hash_sha256(text, (size_t)length, digest) == 0)
        text_hex(settings->machine_id, digest, MACHINE_ID_BYTES);
}
