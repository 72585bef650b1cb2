/* Owns the bridge from SQLite's allocator to the failing one. */
#include "tests/unit/support/failing_sqlite.h"

#include "tests/unit/support/failing_allocator.h"

#include <malloc.h>
#include <sqlite3.h>
#include <stdlib.h>

static int size_of(void *memory)
{
    return (int)malloc_usable_size(memory);
}

static void *allocate(int size)
{
    return failing_allocator_malloc((size_t)size);
}

static void *reallocate(void *memory, int size)
{
    return failing_allocator_realloc(memory, (size_t)size);
}

static int round_up(int size)
{
    return (size + 7) & ~7;
}

static int begin(void *user)
{
    (void)user;
    return SQLITE_OK;
}

static void end(void *user)
{
    (void)user;
}

int failing_sqlite_begin(void **state)
{
    (void)state;
    static const sqlite3_mem_methods methods = {.xMalloc = allocate,
                                                .xFree = free,
                                                .xRealloc = reallocate,
                                                .xSize = size_of,
                                                .xRoundup = round_up,
                                                .xInit = begin,
                                                .xShutdown = end};
    /* Its lookaside would serve small requests itself. */
    return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
                   sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK &&
                   sqlite3_initialize() == SQLITE_OK
               ? 0
               : -1;
}
