/* Owns: the tables of directories and entries, and the queues. Must not own: when something is
 * queued or folded. */
#include "agent/scan/backlog_private.h"

#include <errno.h>
#include <string.h>

#define FIRST_BUCKETS 256

/* ---- hash tables ---- */

uint32_t backlog_hash_bytes(const char *bytes, size_t length, uint64_t seed)
{
    uint64_t hash = seed ^ 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
    hash ^= hash >> 29;
    return (uint32_t)(hash * 0x9e3779b97f4a7c15ULL >> 32);
}

int backlog_table_init(struct table *table)
{
    table->buckets = calloc(FIRST_BUCKETS, sizeof(struct node *));
    table->bucket_count = FIRST_BUCKETS;
    return table->buckets != NULL ? 0 : -ENOMEM;
}

struct node **backlog_table_bucket(struct table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

/* Harmless when it fails: chains get longer. */
static void table_resize(struct table *table, size_t bucket_count)
{
    struct node **old = table->buckets;
    size_t old_count = table->bucket_count;
    struct node **buckets = calloc(bucket_count, sizeof(struct node *));
    if (buckets == NULL)
        return;
    table->buckets = buckets;
    table->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++)
        for (struct node *node = old[i], *next; node != NULL; node = next) {
            next = node->next;
            struct node **bucket = backlog_table_bucket(table, node->hash);
            node->next = *bucket;
            *bucket = node;
        }
    free(old);
}

void backlog_table_add(struct table *table, struct node *node, uint32_t hash)
{
    if (table->count >= table->bucket_count)
        table_resize(table, table->bucket_count * 2);
    struct node **bucket = backlog_table_bucket(table, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    table->count++;
}

void backlog_table_remove(struct table *table, struct node *node)
{
    struct node **link = backlog_table_bucket(table, node->hash);

    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    table->count--;
    if (table->count < table->bucket_count / 8 && table->bucket_count > FIRST_BUCKETS)
        table_resize(table, table->bucket_count / 4);
}

/* ---- directories and entries ---- */

size_t backlog_directory_length(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    return length > 0 ? length - 1 : 0;
}

struct directory *backlog_find_directory(struct backlog *backlog, const char *path, size_t length,
                                         uint32_t hash)
{
    for (struct node *node = *backlog_table_bucket(&backlog->directories, hash); node != NULL;
         node = node->next) {
        struct directory *directory = (struct directory *)node;
        if (node->hash == hash && directory->length == length &&
            memcmp(directory->path, path, length) == 0)
            return directory;
    }
    return NULL;
}

struct directory *backlog_take_directory(struct backlog *backlog, const char *path, size_t length)
{
    uint32_t hash = backlog_hash_bytes(path, length, backlog->seed);
    struct directory *directory = backlog_find_directory(backlog, path, length, hash);

    if (directory != NULL)
        return directory;
    directory = calloc(1, sizeof *directory + length + 1);
    if (directory == NULL)
        return NULL;
    directory->length = (uint32_t)length;
    memcpy(directory->path, path, length);
    backlog_table_add(&backlog->directories, &directory->node, hash);
    backlog->bytes += sizeof *directory + length + 1;
    return directory;
}

void backlog_drop_unused_directory(struct backlog *backlog, struct directory *directory)
{
    if (directory->entries > 0)
        return;
    backlog_table_remove(&backlog->directories, &directory->node);
    backlog->bytes -= sizeof *directory + directory->length + 1;
    free(directory);
}

static uint32_t entry_hash(const struct directory *directory, const char *name, size_t length)
{
    return backlog_hash_bytes(name, length, directory->node.hash);
}

struct backlog_entry *backlog_find_entry(struct backlog *backlog, const struct directory *directory,
                                         const char *name, size_t length)
{
    uint32_t hash = entry_hash(directory, name, length);

    for (struct node *node = *backlog_table_bucket(&backlog->entries, hash); node != NULL;
         node = node->next) {
        struct backlog_entry *entry = (struct backlog_entry *)node;
        if (node->hash == hash && entry->directory == directory && entry->name_length == length &&
            memcmp(entry->name, name, length) == 0)
            return entry;
    }
    return NULL;
}

struct backlog_entry *backlog_add_entry(struct backlog *backlog, struct directory *directory,
                                        const char *name, size_t length)
{
    struct backlog_entry *entry = malloc(sizeof *entry + length);
    if (entry == NULL)
        return NULL;
    *entry = (struct backlog_entry){.directory = directory, .name_length = (uint8_t)length};
    memcpy(entry->name, name, length);
    directory->entries++;
    backlog_table_add(&backlog->entries, &entry->node, entry_hash(directory, name, length));
    backlog->bytes += sizeof *entry + length;
    return entry;
}

void backlog_free_entry(struct backlog *backlog, struct backlog_entry *entry)
{
    backlog_table_remove(&backlog->entries, &entry->node);
    backlog->bytes -= sizeof *entry + entry->name_length;
    entry->directory->entries--;
    backlog_drop_unused_directory(backlog, entry->directory);
    free(entry);
}

void backlog_enqueue(struct backlog *backlog, struct backlog_entry *entry, bool first)
{
    struct queue *queue = &backlog->queues[entry->class];

    entry->earlier = first ? NULL : queue->last;
    entry->later = first ? queue->first : NULL;
    *(entry->earlier != NULL ? &entry->earlier->later : &queue->first) = entry;
    *(entry->later != NULL ? &entry->later->earlier : &queue->last) = entry;
    queue->count++;
    entry->directory->waiting[entry->class]++;
}

void backlog_dequeue(struct backlog *backlog, struct backlog_entry *entry)
{
    struct queue *queue = &backlog->queues[entry->class];

    *(entry->earlier != NULL ? &entry->earlier->later : &queue->first) = entry->later;
    *(entry->later != NULL ? &entry->later->earlier : &queue->last) = entry->earlier;
    queue->count--;
    entry->directory->waiting[entry->class]--;
}
