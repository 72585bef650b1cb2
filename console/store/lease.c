/* Owns the leases table. */
#include "console/store/lease.h"

#include "common/crypto/random.h"
#include "common/text/text.h"

int lease_init(struct lease *lease, const char *name)
{
    *lease = (struct lease){.name = name};
    return uuid_new(lease->holder);
}

static int take(struct sql *sql, void *user)
{
    struct lease *lease = user;
    int64_t now = console_store_now_ms();
    lease->until_ms = 0;
    int r = sql_run(sql,
                    "INSERT INTO leases (name, holder, expires_ms) VALUES ($1, $2, $3)"
                    " ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,"
                    " expires_ms = excluded.expires_ms"
                    " WHERE leases.holder = excluded.holder OR leases.expires_ms < $4",
                    NULL, "ttnn", lease->name, lease->holder, now + LEASE_MS, now);
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (r == 0)
        r = sql_run(sql, "SELECT holder FROM leases WHERE name = $1", &row, "t", lease->name);
    if (r == 1 && text_equal(sql_text(row, 0), lease->holder))
        lease->until_ms = now + LEASE_MS;
    return r < 0 ? r : 0;
}

bool lease_hold(struct lease *lease, struct console_store *store)
{
    if (!console_store_is_shared(store))
        return true;
    int64_t now = console_store_now_ms();
    if (lease->until_ms - now > LEASE_MS / 2)
        return true;
    if (console_store_write(store, take, lease) < 0)
        lease->until_ms = 0;
    /* What is begun now must be over before another node may begin. */
    return lease->until_ms - now > LEASE_MS / 4;
}

static int give_up(struct sql *sql, void *user)
{
    const struct lease *lease = user;
    return sql_run(sql, "DELETE FROM leases WHERE name = $1 AND holder = $2", NULL, "tt",
                   lease->name, lease->holder);
}

void lease_release(struct lease *lease, struct console_store *store)
{
    if (console_store_is_shared(store) && lease->until_ms > console_store_now_ms() &&
        console_store_write(store, give_up, lease) == 0)
        lease->until_ms = 0; /* otherwise it ends by itself */
}
