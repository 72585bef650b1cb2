/* Owns the counters of failed sign-ins. A slot is chosen by hash; a colliding key shares its fate
 * for a few minutes, which is the price of a bounded table. */
#include "console/people/sign_in_limit.h"

#include "common/crypto/random.h"
#include "common/time/clock.h"

#include <arpa/inet.h>

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME  0x100000001b3ULL

void sign_in_limit_init(struct sign_in_limit *limit)
{
    memset(limit, 0, sizeof(*limit));
    (void)pthread_mutex_init(&limit->lock, NULL);
}

/* domain keeps an account named like an address apart from it. */
static uint64_t key_of(char domain, const char *text)
{
    uint64_t key = (FNV_OFFSET ^ (uint8_t)domain) * FNV_PRIME;
    for (; *text; text++)
        key = (key ^ (uint8_t)*text) * FNV_PRIME;
    return key;
}

/* Who has an IPv6 address has at least its 64-bit network. */
static uint64_t key_of_address(const char *address)
{
    char network[INET6_ADDRSTRLEN];
    struct in6_addr bytes;
    if (inet_pton(AF_INET6, address, &bytes) != 1 || IN6_IS_ADDR_V4MAPPED(&bytes))
        return key_of('i', address);
    memset(bytes.s6_addr + 8, 0, 8);
    (void)inet_ntop(AF_INET6, &bytes, network, sizeof(network));
    return key_of('i', network);
}

/* With the lock held. */
static struct sign_in_slot *slot_of(struct sign_in_limit *limit, uint64_t key, uint64_t now)
{
    struct sign_in_slot *slot = &limit->slots[key % SIGN_IN_SLOTS];
    if (slot->fails && now - slot->last_ns > SIGN_IN_WAIT_SECONDS * NS_PER_SECOND)
        slot->fails = 0;
    return slot;
}

static unsigned wait_of(const struct sign_in_slot *slot, unsigned free_fails, uint64_t now)
{
    if (slot->fails < free_fails)
        return 0;
    uint64_t passed = (now - slot->last_ns) / NS_PER_SECOND;
    return passed >= SIGN_IN_WAIT_SECONDS ? 0 : (unsigned)(SIGN_IN_WAIT_SECONDS - passed);
}

unsigned sign_in_limit_try(struct sign_in_limit *limit, const char *account, const char *address)
{
    uint64_t now = clock_monotonic_ns();
    (void)pthread_mutex_lock(&limit->lock);
    struct sign_in_slot *by_account = slot_of(limit, key_of('a', account), now);
    struct sign_in_slot *by_address = slot_of(limit, key_of_address(address), now);
    unsigned wait = MAX(wait_of(by_account, SIGN_IN_FREE_FAILS, now),
                        wait_of(by_address, SIGN_IN_ADDRESS_FAILS, now));
    if (wait == 0) {
        by_account->fails++;
        by_account->last_ns = now;
        by_address->fails++;
        by_address->last_ns = now;
    }
    (void)pthread_mutex_unlock(&limit->lock);
    return wait;
}

void sign_in_limit_good(struct sign_in_limit *limit, const char *account, const char *address)
{
    uint64_t now = clock_monotonic_ns();
    (void)pthread_mutex_lock(&limit->lock);
    slot_of(limit, key_of('a', account), now)->fails = 0;
    struct sign_in_slot *by_address = slot_of(limit, key_of_address(address), now);
    if (by_address->fails)
        by_address->fails--;
    (void)pthread_mutex_unlock(&limit->lock);
}
