/* Owns: the pairing of moves. Must not own: the nodes (tree.c). Newest first is looked at: the two
 * halves of a move are neighbours in the queue. */
#include "agent/watch/limbo.h"

static struct limbo_entry *entry_at(struct limbo *limbo, size_t position)
{
    return &limbo->entries[(limbo->first + position) % LIMBO_ENTRIES];
}

/* Taken entries stay as holes (node 0) until they reach the front. */
static void drop_holes(struct limbo *limbo)
{
    while (limbo->count > 0 && limbo->entries[limbo->first].node == 0) {
        limbo->first = (limbo->first + 1) % LIMBO_ENTRIES;
        limbo->count--;
    }
}

static uint32_t take(struct limbo *limbo, struct limbo_entry *entry)
{
    uint32_t node = entry->node;

    entry->node = 0;
    drop_holes(limbo);
    return node;
}

static uint32_t add(struct limbo *limbo, const struct limbo_entry *entry)
{
    uint32_t pushed_out = 0;

    if (limbo->count == LIMBO_ENTRIES)
        pushed_out = take(limbo, entry_at(limbo, 0));
    *entry_at(limbo, limbo->count++) = *entry;
    return pushed_out;
}

uint32_t limbo_add_moved(struct limbo *limbo, uint32_t node, uint32_t cookie, uint64_t now_ns)
{
    return add(limbo, &(struct limbo_entry){
                          .deadline_ns = now_ns + LIMBO_WAIT_NS, .cookie = cookie, .node = node});
}

uint32_t limbo_add_displaced(struct limbo *limbo, const struct limbo_entry *entry, uint64_t now_ns)
{
    struct limbo_entry displaced = *entry;

    displaced.cookie = 0;
    displaced.deadline_ns = now_ns + LIMBO_WAIT_NS;
    return add(limbo, &displaced);
}

uint32_t limbo_take_moved(struct limbo *limbo, uint32_t cookie)
{
    for (size_t position = limbo->count; cookie != 0 && position-- > 0;) {
        struct limbo_entry *entry = entry_at(limbo, position);

        if (entry->node != 0 && entry->cookie == cookie)
            return take(limbo, entry);
    }
    return 0;
}

uint32_t limbo_take_displaced(struct limbo *limbo, uint32_t parent, uint16_t parent_generation,
                              uint64_t name_hash)
{
    for (size_t position = limbo->count; position-- > 0;) {
        struct limbo_entry *entry = entry_at(limbo, position);

        if (entry->node != 0 && entry->cookie == 0 && entry->parent == parent &&
            entry->parent_generation == parent_generation && entry->name_hash == name_hash)
            return take(limbo, entry);
    }
    return 0;
}

uint32_t limbo_take_expired(struct limbo *limbo, uint64_t now_ns)
{
    struct limbo_entry *entry = entry_at(limbo, 0);

    if (limbo->count == 0 || entry->deadline_ns > now_ns)
        return 0;
    return take(limbo, entry);
}

uint64_t limbo_deadline(const struct limbo *limbo)
{
    return limbo->count == 0 ? UINT64_MAX : limbo->entries[limbo->first].deadline_ns;
}
