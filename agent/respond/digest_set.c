/* Owns: a sorted array of digests. Must not own: what being in it means. */
#include "agent/respond/digest_set.h"

#include "common/text/text.h"

#include <errno.h>
#include <string.h>

void digest_set_done(struct digest_set *set)
{
    free(set->digests);
    *set = (struct digest_set){0};
}

/* The first that is not smaller. */
static size_t position_of(const struct digest_set *set, const uint8_t *digest)
{
    size_t low = 0, high = set->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(set->digests[middle], digest, SHA256_BYTES) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool stands_at(const struct digest_set *set, size_t position, const uint8_t *digest)
{
    return position < set->count && memcmp(set->digests[position], digest, SHA256_BYTES) == 0;
}

static int make_room(struct digest_set *set)
{
    size_t capacity = set->capacity ? set->capacity * 2 : 16;
    void *bigger;

    if (set->count < set->capacity)
        return 0;
    bigger = reallocarray(set->digests, capacity, SHA256_BYTES);
    if (!bigger)
        return -ENOMEM;
    set->digests = bigger;
    set->capacity = capacity;
    return 0;
}

int digest_set_add(struct digest_set *set, const char *hex)
{
    uint8_t digest[SHA256_BYTES];
    size_t position;
    int r;

    r = text_parse_hex(hex, digest, sizeof(digest));
    if (r < 0)
        return r;
    position = position_of(set, digest);
    if (stands_at(set, position, digest))
        return 0;
    r = make_room(set);
    if (r < 0)
        return r;
    memmove(set->digests + position + 1, set->digests + position,
            (set->count - position) * SHA256_BYTES);
    memcpy(set->digests[position], digest, SHA256_BYTES);
    set->count++;
    return 0;
}

void digest_set_remove(struct digest_set *set, const char *hex)
{
    uint8_t digest[SHA256_BYTES];
    size_t position;

    if (text_parse_hex(hex, digest, sizeof(digest)) < 0)
        return;
    position = position_of(set, digest);
    if (!stands_at(set, position, digest))
        return;
    set->count--;
    memmove(set->digests + position, set->digests + position + 1,
            (set->count - position) * SHA256_BYTES);
}

bool digest_set_contains(const struct digest_set *set, const char *hex)
{
    uint8_t digest[SHA256_BYTES];

    return set->count > 0 && text_parse_hex(hex, digest, sizeof(digest)) == 0 &&
           stands_at(set, position_of(set, digest), digest);
}
