/* Owns: the nodes, their names, and the tables that find them by key and by (parent, name). Must
 * not own: watches, walks, or what a state bit means to others. */
#include "agent/watch/tree.h"

#include <errno.h>
#include <sys/sysmacros.h>

#include "agent/watch/name_hash.h"

#define CHUNK_NODES      1024U
#define FIRST_BUCKETS    1024U
#define NODES_PER_BUCKET 1U

uint32_t tree_pack_device(uint64_t device)
{
    return ((uint32_t)major(device) << 20) | ((uint32_t)minor(device) & 0xFFFFFU);
}

struct tree_node *tree_at(const struct tree *tree, uint32_t index)
{
    return &tree->chunks[index / CHUNK_NODES][index % CHUNK_NODES];
}

struct tree_node *tree_at_generation(const struct tree *tree, uint32_t index, uint16_t generation)
{
    struct tree_node *node;

    if (index == TREE_NONE || index >= tree->high)
        return NULL;
    node = tree_at(tree, index);
    return (node->state & NODE_USED) != 0 && node->generation == generation ? node : NULL;
}

const char *tree_name(const struct tree_node *node)
{
    return node->name_length <= TREE_NAME_INLINE ? node->name.near : node->name.far;
}

static uint32_t key_bucket(const struct tree *tree, int32_t key)
{
    return ((uint32_t)key * 0x9E3779B1U >> 7) & (tree->bucket_count - 1);
}

static uint32_t name_bucket(const struct tree *tree, uint32_t parent, const char *name,
                            size_t length)
{
    return (uint32_t)name_hash(tree->seed + parent, name, length) & (tree->bucket_count - 1);
}

static void link_key(struct tree *tree, uint32_t index)
{
    struct tree_node *node = tree_at(tree, index);
    uint32_t bucket = key_bucket(tree, node->key);

    node->next_by_key = tree->by_key[bucket];
    tree->by_key[bucket] = index;
}

static void link_name(struct tree *tree, uint32_t index)
{
    struct tree_node *node = tree_at(tree, index);
    uint32_t bucket = name_bucket(tree, node->parent, tree_name(node), node->name_length);

    node->next_by_name = tree->by_name[bucket];
    tree->by_name[bucket] = index;
    node->state |= NODE_NAMED;
}

static void unlink_name(struct tree *tree, uint32_t index)
{
    struct tree_node *node = tree_at(tree, index);
    uint32_t *at;

    if ((node->state & NODE_NAMED) == 0)
        return;
    at = &tree->by_name[name_bucket(tree, node->parent, tree_name(node), node->name_length)];
    while (*at != index)
        at = &tree_at(tree, *at)->next_by_name;
    *at = node->next_by_name;
    node->state &= (uint16_t)~NODE_NAMED;
}

static void link_sibling(struct tree *tree, uint32_t index, uint32_t parent)
{
    struct tree_node *node = tree_at(tree, index);
    struct tree_node *above = tree_at(tree, parent);

    node->parent = parent;
    node->previous_sibling = TREE_NONE;
    node->next_sibling = above->first_child;
    if (above->first_child != TREE_NONE)
        tree_at(tree, above->first_child)->previous_sibling = index;
    above->first_child = index;
}

static void unlink_sibling(struct tree *tree, uint32_t index)
{
    struct tree_node *node = tree_at(tree, index);

    if (node->previous_sibling != TREE_NONE)
        tree_at(tree, node->previous_sibling)->next_sibling = node->next_sibling;
    else
        tree_at(tree, node->parent)->first_child = node->next_sibling;
    if (node->next_sibling != TREE_NONE)
        tree_at(tree, node->next_sibling)->previous_sibling = node->previous_sibling;
    node->next_sibling = node->previous_sibling = TREE_NONE;
}

/* Twice as many buckets. Failure is harmless: the chains get longer. */
static void grow_tables(struct tree *tree)
{
    uint32_t count = tree->bucket_count * 2;
    uint32_t *by_key = calloc(count, sizeof(*by_key));
    uint32_t *by_name = calloc(count, sizeof(*by_name));

    if (by_key == NULL || by_name == NULL) {
        free(by_key);
        free(by_name);
        return;
    }
    free(tree->by_key);
    free(tree->by_name);
    tree->by_key = by_key;
    tree->by_name = by_name;
    tree->bucket_count = count;
    for (uint32_t index = 1; index < tree->high; index++) {
        struct tree_node *node = tree_at(tree, index);

        if ((node->state & NODE_USED) != 0 && node->key >= 0)
            link_key(tree, index);
        if ((node->state & NODE_NAMED) != 0)
            link_name(tree, index);
    }
}

static int add_chunk(struct tree *tree)
{
    struct tree_node **chunks =
        realloc(tree->chunks, (tree->chunk_count + 1) * sizeof(*tree->chunks));

    if (chunks == NULL)
        return -ENOMEM;
    tree->chunks = chunks;
    chunks[tree->chunk_count] = calloc(CHUNK_NODES, sizeof(struct tree_node));
    if (chunks[tree->chunk_count] == NULL)
        return -ENOMEM;
    tree->chunk_count++;
    return 0;
}

/* A number that nobody uses; its node is cleared but for the generation. */
static int take_number(struct tree *tree, uint32_t *ret_index)
{
    uint32_t index = tree->free_list;
    struct tree_node *node;
    uint16_t generation;

    if (index != TREE_NONE) {
        tree->free_list = tree_at(tree, index)->next_sibling;
    } else {
        if (tree->high >= tree->maximum)
            return -ENOSPC;
        if (tree->high / CHUNK_NODES >= tree->chunk_count) {
            int r = add_chunk(tree);
            if (r < 0)
                return r;
        }
        index = tree->high++;
    }
    node = tree_at(tree, index);
    generation = node->generation;
    *node = (struct tree_node){.key = -1, .state = NODE_USED, .generation = generation};
    tree->used++;
    *ret_index = index;
    return 0;
}

static int set_name(struct tree_node *node, const char *name, size_t length)
{
    char *far = NULL;

    if (length > TREE_NAME_INLINE) {
        far = malloc(length);
        if (far == NULL)
            return -ENOMEM;
        memcpy(far, name, length);
    }
    if (node->name_length > TREE_NAME_INLINE)
        free(node->name.far);
    if (far != NULL)
        node->name.far = far;
    else
        memcpy(node->name.near, name, length);
    node->name_length = (uint16_t)length;
    return 0;
}

int tree_init(struct tree *tree, uint64_t seed, uint32_t maximum)
{
    uint32_t index;

    *tree = (struct tree){.seed = seed, .maximum = maximum, .bucket_count = FIRST_BUCKETS};
    tree->by_key = calloc(FIRST_BUCKETS, sizeof(*tree->by_key));
    tree->by_name = calloc(FIRST_BUCKETS, sizeof(*tree->by_name));
    if (tree->by_key == NULL || tree->by_name == NULL || add_chunk(tree) < 0) {
        tree_done(tree);
        return -ENOMEM;
    }
    tree->high = TREE_ROOT; /* 0 stands for none */
    for (int fixed = TREE_ROOT; fixed <= TREE_LIMBO; fixed++) {
        int r = take_number(tree, &index);
        if (r < 0)
            return r;
    }
    return 0;
}

void tree_done(struct tree *tree)
{
    for (uint32_t index = 1; index < tree->high; index++) {
        struct tree_node *node = tree_at(tree, index);

        if (node->name_length > TREE_NAME_INLINE)
            free(node->name.far);
    }
    for (uint32_t chunk = 0; chunk < tree->chunk_count; chunk++)
        free(tree->chunks[chunk]);
    free(tree->chunks);
    free(tree->by_key);
    free(tree->by_name);
    *tree = (struct tree){0};
}

uint32_t tree_child(const struct tree *tree, uint32_t parent, const char *name, size_t length)
{
    uint32_t index = tree->by_name[name_bucket(tree, parent, name, length)];

    while (index != TREE_NONE) {
        const struct tree_node *node = tree_at(tree, index);

        if (node->parent == parent && node->name_length == length &&
            memcmp(tree_name(node), name, length) == 0)
            return index;
        index = node->next_by_name;
    }
    return TREE_NONE;
}

int tree_add(struct tree *tree, uint32_t parent, const char *name, size_t length,
             uint32_t *ret_index)
{
    uint32_t index;

    if (tree_child(tree, parent, name, length) != TREE_NONE)
        return -EEXIST;
    int r = take_number(tree, &index);
    if (r < 0)
        return r;
    r = set_name(tree_at(tree, index), name, length);
    link_sibling(tree, index, parent);
    if (r < 0) {
        tree_free(tree, index);
        return r;
    }
    link_name(tree, index);
    if (tree->used > tree->bucket_count * NODES_PER_BUCKET)
        grow_tables(tree);
    *ret_index = index;
    return 0;
}

void tree_detach(struct tree *tree, uint32_t index, enum tree_fixed_node under)
{
    unlink_name(tree, index);
    unlink_sibling(tree, index);
    link_sibling(tree, index, under);
}

int tree_attach(struct tree *tree, uint32_t index, uint32_t parent, const char *name, size_t length)
{
    if (tree_child(tree, parent, name, length) != TREE_NONE)
        return -EEXIST;
    int r = set_name(tree_at(tree, index), name, length);
    if (r < 0)
        return r;
    unlink_sibling(tree, index);
    link_sibling(tree, index, parent);
    link_name(tree, index);
    return 0;
}

void tree_free(struct tree *tree, uint32_t index)
{
    struct tree_node *node = tree_at(tree, index);
    uint16_t generation = (uint16_t)(node->generation + 1);

    if (node->key >= 0)
        (void)tree_unbind(tree, index);
    unlink_name(tree, index);
    unlink_sibling(tree, index);
    if (node->name_length > TREE_NAME_INLINE)
        free(node->name.far);
    *node =
        (struct tree_node){.key = -1, .generation = generation, .next_sibling = tree->free_list};
    tree->free_list = index;
    tree->used--;
}

bool tree_below(const struct tree *tree, uint32_t index, uint32_t ancestor)
{
    while (index != TREE_NONE && index != ancestor)
        index = tree_at(tree, index)->parent;
    return index == ancestor;
}

void tree_bind(struct tree *tree, uint32_t index, int32_t key)
{
    tree_at(tree, index)->key = key;
    link_key(tree, index);
}

bool tree_unbind(struct tree *tree, uint32_t index)
{
    struct tree_node *node = tree_at(tree, index);
    uint32_t *at = &tree->by_key[key_bucket(tree, node->key)];
    int32_t key = node->key;

    while (*at != index)
        at = &tree_at(tree, *at)->next_by_key;
    *at = node->next_by_key;
    node->key = -1;
    return tree_first_by_key(tree, key) == TREE_NONE;
}

static uint32_t same_key(const struct tree *tree, uint32_t index, int32_t key)
{
    while (index != TREE_NONE && tree_at(tree, index)->key != key)
        index = tree_at(tree, index)->next_by_key;
    return index;
}

uint32_t tree_first_by_key(const struct tree *tree, int32_t key)
{
    return same_key(tree, tree->by_key[key_bucket(tree, key)], key);
}

uint32_t tree_next_by_key(const struct tree *tree, uint32_t index)
{
    const struct tree_node *node = tree_at(tree, index);

    return same_key(tree, node->next_by_key, node->key);
}

/* Length of the path of index; 0 when it is detached. */
static size_t path_length(const struct tree *tree, uint32_t index)
{
    size_t length = 0;

    for (; index != TREE_ROOT; index = tree_at(tree, index)->parent) {
        if (index <= TREE_LIMBO)
            return 0;
        length += 1U + tree_at(tree, index)->name_length;
    }
    return MAX(length, (size_t)1);
}

int tree_path(const struct tree *tree, uint32_t index, char *buffer, size_t size,
              size_t *ret_length)
{
    size_t length = path_length(tree, index);
    char *at = buffer + length;

    if (length == 0)
        return -ESTALE;
    if (length >= size)
        return -ENAMETOOLONG;
    *at = '\0';
    buffer[0] = '/';
    for (; index != TREE_ROOT; index = tree_at(tree, index)->parent) {
        const struct tree_node *node = tree_at(tree, index);

        at -= node->name_length;
        memcpy(at, tree_name(node), node->name_length);
        *--at = '/';
    }
    *ret_length = length;
    return 0;
}

uint32_t tree_find(const struct tree *tree, const char *path)
{
    uint32_t index = TREE_ROOT;

    for (path += strspn(path, "/"); *path != '\0' && index != TREE_NONE;) {
        size_t length = strcspn(path, "/");

        index = tree_child(tree, index, path, length);
        path += length;
        path += strspn(path, "/");
    }
    return index;
}
