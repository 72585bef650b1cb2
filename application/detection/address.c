#include "application/detection/address.h"

#include "common/text/text.h"

#include <arpa/inet.h>
#include <errno.h>

int address_parse(struct span text, struct policy_address *ret_address)
{
    char copy[INET6_ADDRSTRLEN + 8] = "";
    struct policy_address address = {.bytes = {[10] = 0xff, [11] = 0xff}};
    uint64_t bits = 0;
    if (text.length == 0 || text.length >= sizeof(copy) || memchr(text.data, '\0', text.length))
        return -EINVAL;
    memcpy(copy, text.data, text.length);
    char *slash = strchr(copy, '/');
    if (slash != NULL)
        *slash++ = '\0';
    bool four = inet_pton(AF_INET, copy, address.bytes + 12) == 1;
    if (!four && inet_pton(AF_INET6, copy, address.bytes) != 1)
        return -EINVAL;
    if (slash != NULL && (text_parse_u64(slash, &bits) < 0 || bits > (four ? 32 : 128)))
        return -EINVAL;
    address.bits = slash == NULL ? 128 : (unsigned)bits + (four ? 96 : 0);
    *ret_address = address;
    return 0;
}

bool address_within(const struct policy_address *address, const struct policy_address *network)
{
    unsigned whole = network->bits / 8;
    unsigned rest = network->bits % 8;
    if (memcmp(address->bytes, network->bytes, whole) != 0)
        return false;
    return rest == 0 || (address->bytes[whole] ^ network->bytes[whole]) >> (8 - rest) == 0;
}
