/* Owns the table's memory. A digest is its own hash. */
#include "agent/application_control/digest_table.h"

#include "common/text/text.h"

#include <errno.h>
#include <string.h>

#define FIRST_CAPACITY 1024

static const uint8_t free_slot[SHA256_BYTES];

static uint8_t *slot_of(const struct digest_table *table, const uint8_t digest[static SHA256_BYTES])
{
    uint64_t hash = 0;

    memcpy(&hash, digest, sizeof hash);
    for (size_t at = hash & (table->capacity - 1);; at = (at + 1) & (table->capacity - 1))
        if (memcmp(table->slots[at], digest, SHA256_BYTES) == 0 ||
            memcmp(table->slots[at], free_slot, SHA256_BYTES) == 0)
            return table->slots[at];
}

bool digest_table_has(const struct digest_table *table, const uint8_t digest[static SHA256_BYTES])
{
    return table->capacity > 0 && memcmp(slot_of(table, digest), digest, SHA256_BYTES) == 0;
}

static int grow(struct digest_table *table)
{
    struct digest_table larger = {.capacity = MAX(table->capacity * 2, (size_t)FIRST_CAPACITY)};

    larger.slots = calloc(larger.capacity, SHA256_BYTES);
    if (larger.slots == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        if (memcmp(table->slots[i], free_slot, SHA256_BYTES) != 0)
            memcpy(slot_of(&larger, table->slots[i]), table->slots[i], SHA256_BYTES);
    larger.count = table->count;
    free(table->slots);
    *table = larger;
    return 0;
}

int digest_table_add(struct digest_table *table, const uint8_t digest[static SHA256_BYTES])
{
    if (memcmp(digest, free_slot, SHA256_BYTES) == 0)
        return 0; /* of no content that anybody can make */
    if (2 * (table->count + 1) > table->capacity) {
        int r = grow(table);
        if (r < 0)
            return r;
    }
    uint8_t *slot = slot_of(table, digest);
    if (memcmp(slot, digest, SHA256_BYTES) == 0)
        return 0;
    memcpy(slot, digest, SHA256_BYTES);
    table->count++;
    return 1;
}

int digest_table_add_hex(struct digest_table *table, const char *hex)
{
    uint8_t digest[SHA256_BYTES];

    if (text_parse_hex(hex, digest, sizeof digest) < 0)
        return -EINVAL;
    int r = digest_table_add(table, digest);
    return r < 0 ? r : 0;
}

void digest_table_done(struct digest_table *table)
{
    free(table->slots);
    *table = (struct digest_table){.slots = NULL};
}
