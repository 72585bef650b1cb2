/* Owns the list of forbidden networks. */
#include "console/forward/address_guard.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

static bool is_allowed_four(uint32_t address)
{
    return address >> 24 != 0 &&      /* 0.0.0.0/8: this host */
           address >> 16 != 0xa9fe && /* 169.254.0.0/16: link-local, and instance metadata */
           address >> 28 != 0xe &&    /* multicast */
           address >> 28 != 0xf &&    /* reserved, broadcast */
           address != 0x646464c8;     /* 100.100.100.200: metadata of another cloud */
}

static bool is_allowed_six(const struct in6_addr *address)
{
    static const uint8_t metadata[16] = {0xfd, 0x00, 0x0e, 0xc2, [14] = 0x02, [15] = 0x54};
    static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};
    const uint8_t *bytes = address->s6_addr;
    if (IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_V4COMPAT(address) ||
        memcmp(bytes, nat64, sizeof(nat64)) == 0) {
        uint32_t four;
        if (IN6_IS_ADDR_LOOPBACK(address))
            return true;
        memcpy(&four, bytes + 12, sizeof(four));
        return is_allowed_four(ntohl(four));
    }
    return !IN6_IS_ADDR_UNSPECIFIED(address) && !IN6_IS_ADDR_LINKLOCAL(address) &&
           !IN6_IS_ADDR_SITELOCAL(address) && !IN6_IS_ADDR_MULTICAST(address) &&
           memcmp(bytes, metadata, sizeof(metadata)) != 0;
}

bool address_is_allowed(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET)
        return is_allowed_four(
            ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
    if (address->sa_family == AF_INET6)
        return is_allowed_six(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return false;
}
