/* Owns the blocks that a thread keeps. Must not know what stands in them. */
#include "common/buffers/spare.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || HAS_FEATURE(address_sanitizer)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#define LEAST_BYTES 1024
#define SIZES       3 /* 1, 2 and 4 KB */

struct block {
    struct block *next;
};

struct shelf {
    struct block *first[SIZES];
    size_t count[SIZES];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* frees a thread's shelf at its end */
static _Thread_local struct shelf *own;

static void free_shelf(void *user)
{
    struct shelf *shelf = user;
    own = NULL;
    for (size_t i = 0; i < SIZES; i++) {
        while (shelf->first[i]) {
            struct block *next = shelf->first[i]->next;
            free(shelf->first[i]);
            shelf->first[i] = next;
        }
    }
    free(shelf);
}

static void make_key(void)
{
    (void)pthread_key_create(&key, free_shelf);
}

/* NULL: there is no memory for one. */
static struct shelf *own_shelf(void)
{
    if (own)
        return own;
    (void)pthread_once(&once, make_key);
    struct shelf *shelf = calloc(1, sizeof(*shelf));
    if (shelf && pthread_setspecific(key, shelf) != 0) {
        free(shelf);
        return NULL;
    }
    own = shelf;
    return own;
}

/* Which of the sizes it is; SIZES: none. */
static size_t index_of(size_t size)
{
    size_t i = SANITIZED ? SIZES : 0;
    while (i < SIZES && size > (size_t)LEAST_BYTES << i)
        i++;
    return i;
}

void *spare_take(size_t size)
{
    size_t i = index_of(size);
    if (i == SIZES)
        return malloc(size);
    struct shelf *shelf = own_shelf();
    if (!shelf || !shelf->first[i])
        return malloc((size_t)LEAST_BYTES << i);
    struct block *block = shelf->first[i];
    shelf->first[i] = block->next;
    shelf->count[i]--;
    return block;
}

void spare_give(void *memory, size_t size)
{
    size_t i = memory ? index_of(size) : SIZES;
    struct shelf *shelf = i == SIZES ? NULL : own_shelf();
    if (!shelf || shelf->count[i] == SPARE_KEPT) {
        free(memory);
        return;
    }
    struct block *block = memory;
    block->next = shelf->first[i];
    shelf->first[i] = block;
    shelf->count[i]++;
}
