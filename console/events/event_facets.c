/* Owns the event_facets table, and what the writer remembers of it. Must not know what an event
 * says. */
#include "console/events/event_facets.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

#define SLOTS     (4 * LIMIT_EVENT_FACETS) /* "other" comes on top */
#define KEY_BYTES 256

/* Belongs to a connection, which drops it when anything is undone: it may hold a facet that was. */
struct memory {
    struct {
        char *key;
        int64_t number;
    } slots[SLOTS];
    size_t used;
    int64_t facets; /* rows in the table; < 0: not counted yet */
};

static void forget(void *user)
{
    struct memory *memory = user;
    for (size_t i = 0; i < SLOTS; i++)
        free(memory->slots[i].key);
    free(memory);
}

static int recall(struct sql *sql, struct memory **ret_memory)
{
    struct memory *memory = sql_remembered(sql, SQL_MEMORY_FACETS);
    if (!memory) {
        memory = calloc(1, sizeof(*memory));
        if (!memory)
            return -ENOMEM;
        memory->facets = -1;
        sql_remember(sql, SQL_MEMORY_FACETS, memory, forget);
    }
    *ret_memory = memory;
    return 0;
}

static uint64_t mix(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a */
    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3ULL;
    return hash;
}

/* Where the key is or belongs. Never full: facets are bounded. */
static size_t slot_of(const struct memory *memory, const char *key)
{
    size_t at = mix(key) % SLOTS;
    while (memory->slots[at].key && !text_equal(memory->slots[at].key, key))
        at = (at + 1) % SLOTS;
    return at;
}

static int read_number(struct sql *sql, const struct event_facet *facet, int64_t *ret_number)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r =
        sql_run(sql,
                "SELECT id FROM event_facets WHERE group_id = $1 AND module = $2 AND kind = $3"
                " AND severity = $4",
                &row, "tttn", facet->group, facet->module, facet->kind, (int64_t)facet->severity);
    if (r == 1)
        *ret_number = sql_number(row, 0);
    return r;
}

static int count_facets(struct sql *sql, struct memory *memory)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (memory->facets >= 0)
        return 0;
    int r = sql_run(sql, "SELECT count(*) FROM event_facets", &row, "");
    if (r == 1)
        memory->facets = sql_number(row, 0);
    return r < 0 ? r : 0;
}

static int make(struct sql *sql, struct memory *memory, const struct event_facet *facet,
                int64_t *ret_number)
{
    struct event_facet wanted = *facet;
    int r = count_facets(sql, memory);
    if (r == 0 && memory->facets >= LIMIT_EVENT_FACETS) {
        wanted.module = wanted.kind = "other";
        r = read_number(sql, &wanted, ret_number);
    }
    if (r != 0)
        return r;
    memory->facets++;
    r = sql_run(sql,
                "INSERT INTO event_facets (id, group_id, module, kind, severity)"
                " VALUES ($1, $2, $3, $4, $5) ON CONFLICT (group_id, module, kind, severity)"
                " DO NOTHING",
                NULL, "ntttn", console_store_new_number(), wanted.group, wanted.module, wanted.kind,
                (int64_t)wanted.severity);
    return r < 0 ? r : read_number(sql, &wanted, ret_number); /* of whoever was first */
}

int event_facet_number(struct sql *sql, const struct event_facet *facet, int64_t *ret_number)
{
    char key[KEY_BYTES];
    struct memory *memory;
    int r = recall(sql, &memory);
    if (r == 0)
        r = text_format(key, sizeof(key), "%u %s %s %s", facet->severity, facet->module,
                        facet->kind, facet->group);
    if (r < 0)
        return r;
    size_t at = slot_of(memory, key);
    if (memory->slots[at].key) {
        *ret_number = memory->slots[at].number;
        return 0;
    }
    r = read_number(sql, facet, ret_number);
    if (r == 0)
        r = make(sql, memory, facet, ret_number);
    if (r != 1)
        return r < 0 ? r : -EIO;
    if (memory->used < SLOTS / 2) { /* more than that are strangers' inventions: asked for anew */
        memory->slots[at].key = strdup(key);
        memory->slots[at].number = *ret_number;
        memory->used += memory->slots[at].key != NULL;
    }
    return 0;
}

int event_facet_group(struct sql *sql, int64_t computer, char ret_group[static 64])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    ret_group[0] = '\0';
    int r = sql_run(sql,
                    "SELECT group_id FROM computers WHERE number = $1 UNION ALL"
                    " SELECT group_id FROM sensors WHERE number = $1",
                    &row, "n", computer);
    return r == 1 ? text_copy(ret_group, 64, sql_text(row, 0)) : r;
}
