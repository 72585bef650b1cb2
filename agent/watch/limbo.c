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
    while (limbo->count > 0 && limbo->entries[limbo->first].node.number == 0) {
        limbo->first = (limbo->first + 1) % LIMBO_ENTRIES;
        limbo->count--;
    }
}

static struct limbo_node take(struct limbo *limbo, struct limbo_entry *entry)
{
    struct limbo_node node = entry->node;

    entry->node.number = 0;
    drop_holes(limbo);
    return node;
}

static struct limbo_node add(struct limbo *limbo, const struct limbo_entry *entry)
{
    struct limbo_node pushed_out = {0};

    if (limbo->count == LIMBO_ENTRIES)
        pushed_out = take(limbo, entry_at(limbo, 0));
    *entry_at(limbo, limbo->count++) = *entry;
    return pushed_out;
}

struct limbo_node limbo_add_moved(struct limbo *limbo, struct limbo_node node, uint32_t cookie,
                                  uint64_t now_ns)
{
    return add(limbo, &(struct limbo_entry){
                          .deadline_ns = now_ns + LIMBO_WAIT_NS, .cookie = cookie, .node = node});
}

struct limbo_node limbo_add_displaced(struct limbo *limbo, const struct limbo_entry *entry,
                                      uint64_t now_ns)
{
    struct limbo_entry displaced = *entry;

    displaced.cookie = 0;
    displaced.deadline_ns = now_ns + LIMBO_WAIT_NS;
    return add(limbo, &displaced);
}

struct limbo_node limbo_take_moved(struct limbo *limbo, uint32_t cookie)
{
    for (size_t position = limbo->count; cookie != 0 && position-- > 0;) {
        struct limbo_entry *entry = entry_at(limbo, position);

        if (entry->node.number != 0 && entry->cookie == cookie)
            return take(limbo, entry);
    }
    return (struct limbo_node){0};
}

struct limbo_node limbo_take_displaced(struct limbo *limbo, uint32_t parent,
                                       uint16_t parent_generation, uint64_t name_hash)
{
    for (size_t position = limbo->count; position-- > 0;) {
        struct limbo_entry *entry = entry_at(limbo, position);

        if (entry->node.number != 0 && entry->cookie == 0 && entry->parent == parent &&
            entry->parent_generation == parent_generation && entry->name_hash == name_hash)
            return take(limbo, entry);
    }
    return (struct limbo_node){0};
}

struct limbo_node limbo_take_expired(struct limbo *limbo, uint64_t now_ns)
{
    struct limbo_entry *entry = entry_at(limbo, 0);

    if (limbo->count == 0 || entry->deadline_ns > now_ns)
        return (struct limbo_node){0};
    return take(limbo, entry);
}

uint64_t limbo_deadline(const struct limbo *limbo)
{
    return limbo->count == 0 ? UINT64_MAX : limbo->entries[limbo->first].deadline_ns;
}
