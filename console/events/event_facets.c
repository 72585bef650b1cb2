/* Owns the event_facets table, and what the writer remembers of it. Must not know what an event
 * says. */
#include "console/events/event_facets.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

#define SLOTS      32768
#define KEY_BYTES  256
#define GENERATION "event_facets" /* its row in cursors */

/* Belongs to a connection, which drops it when anything is undone: it may hold a facet that was. */
struct memory {
    struct {
        char *key;
        int64_t number;
    } slots[SLOTS];
    size_t used;
    int64_t generation; /* of the table: another when facets were removed */
};

static void forget(void *user)
{
    struct memory *memory = user;
    for (size_t i = 0; i < SLOTS; i++)
        free(memory->slots[i].key);
    free(memory);
}

static void drop(struct sql *sql)
{
    struct memory *memory = sql_remembered(sql, SQL_MEMORY_FACETS);
    if (memory)
        forget(memory);
    sql_remember(sql, SQL_MEMORY_FACETS, NULL, NULL);
}

static int recall(struct sql *sql, struct memory **ret_memory)
{
    struct memory *memory = sql_remembered(sql, SQL_MEMORY_FACETS);
    if (!memory) {
        memory = calloc(1, sizeof(*memory));
        if (!memory)
            return -ENOMEM;
        sql_remember(sql, SQL_MEMORY_FACETS, memory, forget);
    }
    *ret_memory = memory;
    return 0;
}

/* --- removal: whoever removes facets makes a new generation of the table, and nobody does while a
 * transaction holds the one it knows */

static int take_generation(void *user, size_t i UNUSED, struct sql_statement *answer)
{
    *(int64_t *)user = sql_number(answer, 1);
    return 0;
}

/* -1: there is none yet. */
static int hold_generation(struct sql *sql, int64_t *ret_generation)
{
    static const struct sql_many statement = {
        .each = "SELECT 0, number FROM cursors WHERE name = $1",
        .all = "SELECT v.i, c.number FROM unnest($1::text[], $2::bigint[]) AS v(name, i)"
               " JOIN cursors AS c ON c.name = v.name FOR SHARE OF c",
        .columns = "t"};
    const struct sql_value name = SQL_TEXT(GENERATION);
    *ret_generation = -1;
    return sql_read_many(sql, &statement, &name, 1, take_generation, ret_generation);
}

int event_facets_hold(struct sql *sql)
{
    struct memory *memory;
    int64_t generation;
    int r = hold_generation(sql, &generation);
    if (r == 0 && generation < 0) {
        r = sql_run(sql,
                    "INSERT INTO cursors (name, number) VALUES ($1, 0) ON CONFLICT (name)"
                    " DO NOTHING",
                    NULL, "t", GENERATION);
        if (r == 0)
            r = hold_generation(sql, &generation);
    }
    if (r == 0)
        r = recall(sql, &memory);
    if (r == 0 && memory->generation != generation) {
        drop(sql);
        r = recall(sql, &memory);
    }
    if (r == 0)
        memory->generation = generation;
    return r;
}

/* The order is the index's, and the facet no equality, or PostgreSQL may walk through all events.
 */
#define UNUSED_FACETS                                                                  \
    "SELECT f.id FROM event_facets AS f WHERE (SELECT e.number FROM events AS e WHERE" \
    " e.facet >= f.id AND e.facet <= f.id ORDER BY e.facet, e.number LIMIT 1) IS NULL"

int event_facets_look_unused(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql, UNUSED_FACETS " LIMIT 1", NULL, "");
}

int event_facets_remove_unused(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_run(sql,
                    "INSERT INTO cursors (name, number) VALUES ($1, 1) ON CONFLICT (name)"
                    " DO UPDATE SET number = cursors.number + 1",
                    NULL, "t", GENERATION);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM event_facets WHERE id IN (" UNUSED_FACETS " LIMIT $1)",
                    &statement, "n", (int64_t)EVENT_FACETS_A_PIECE);
    if (r == 0)
        *(int64_t *)user = sql_changes(statement);
    drop(sql);
    return r;
}

/* --- the number of a facet */

/* What a facet is, as one text, and its hash. By hand: each event has one. */
struct key {
    char text[KEY_BYTES];
    size_t length;
    uint64_t hash;
};

static void add_to_key(struct key *key, const char *text, char end)
{
    for (; *text; text++) {
        key->text[key->length++] = *text;
        key->hash = (key->hash ^ (unsigned char)*text) * 0x100000001b3ULL; /* FNV-1a */
    }
    key->text[key->length++] = end;
}

/* Module and kind are words of at most 64 letters, a group is a UUID. */
static int make_key(const struct event_facet *facet, struct key *key)
{
    key->length = 0;
    key->hash = 0xcbf29ce484222325ULL + facet->severity;
    if (facet->severity > 9 ||
        strlen(facet->module) + strlen(facet->kind) + strlen(facet->group) > KEY_BYTES - 8)
        return -EMSGSIZE;
    key->text[key->length++] = (char)('0' + facet->severity);
    add_to_key(key, facet->module, ' ');
    add_to_key(key, facet->kind, ' ');
    add_to_key(key, facet->group, '\0');
    return 0;
}

/* Where the key is or belongs. Never full: see event_facet_number. */
static size_t slot_of(const struct memory *memory, const struct key *key)
{
    size_t at = key->hash % SLOTS;
    while (memory->slots[at].key && !text_equal(memory->slots[at].key, key->text))
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

/* 1 when so many facets are there. */
static int has_group(struct sql *sql, const struct event_facet *facet, int64_t most)
{
    return sql_run(sql, "SELECT 1 FROM event_facets WHERE group_id = $1 LIMIT 1 OFFSET $2", NULL,
                   "tn", facet->group, most - 1);
}

static int has_module(struct sql *sql, const struct event_facet *facet, int64_t most)
{
    return sql_run(sql,
                   "SELECT 1 FROM event_facets WHERE group_id = $1 AND module = $2"
                   " LIMIT 1 OFFSET $3",
                   NULL, "ttn", facet->group, facet->module, most - 1);
}

/* What a new facet has to be counted as. */
static int bound(struct sql *sql, struct event_facet *facet)
{
    int r = has_module(sql, facet, LIMIT_EVENT_FACETS_MODULE);
    if (r == 1) {
        facet->kind = "other";
        return 0;
    }
    if (r == 0)
        r = has_group(sql, facet, LIMIT_EVENT_FACETS);
    if (r == 1)
        facet->module = facet->kind = "other";
    return r < 0 ? r : 0;
}

static int make(struct sql *sql, const struct event_facet *facet, int64_t *ret_number)
{
    struct event_facet wanted = *facet;
    int r = bound(sql, &wanted);
    if (r == 0)
        r = read_number(sql, &wanted, ret_number);
    if (r != 0)
        return r;
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
    struct key key;
    struct memory *memory;
    int r = recall(sql, &memory);
    if (r == 0)
        r = make_key(facet, &key);
    if (r < 0)
        return r;
    size_t at = slot_of(memory, &key);
    if (memory->slots[at].key) {
        *ret_number = memory->slots[at].number;
        return 0;
    }
    r = read_number(sql, facet, ret_number);
    if (r == 0)
        r = make(sql, facet, ret_number);
    if (r != 1)
        return r < 0 ? r : -EIO;
    if (memory->used < SLOTS / 2) { /* more than that are strangers' inventions: asked for anew */
        memory->slots[at].key = strdup(key.text);
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
