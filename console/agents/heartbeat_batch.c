/* Owns the heartbeats that carry events and nothing else that is new, many at once: a handful of
 * statements for all. Must not decide about anything that changes a computer: heartbeat_write does.
 */
#include "common/text/text.h"
#include "console/agents/heartbeat_internal.h"
#include "console/agents/known_agents.h"
#include "console/events/event_store.h"

#include <errno.h>

struct batch {
    struct heartbeat *const *heartbeats;
    struct event_delivery *deliveries;
    size_t *members;             /* the heartbeat of each delivery */
    struct known_agent **agents; /* and what is remembered; NULL: nothing */
    size_t count;
    struct known_agents *known;
};

static bool is_known(const struct heartbeat *heartbeat, struct sql_statement *row)
{
    const struct wire_heartbeat *wire = &heartbeat->wire;
    return text_equal(sql_text(row, 4), wire->session) &&
           text_equal(sql_text(row, 5), wire->host.machine_id) &&
           text_equal(sql_text(row, 6), wire->host.instance_id) &&
           text_equal(sql_text(row, 7), wire->host.hostname) &&
           text_equal(sql_text(row, 8), wire->policy_digest) &&
           text_equal(sql_text(row, 9), wire->host.agent_version);
}

/* Two of one computer, over two connections: the second goes after the first. */
static bool is_twice(const struct batch *batch, int64_t computer)
{
    for (size_t i = 0; i < batch->count; i++)
        if (batch->deliveries[i].batch.computer == computer)
            return true;
    return false;
}

static void add(struct batch *batch, size_t i, const struct known_agent *agent,
                struct known_agent *remembered)
{
    struct heartbeat *heartbeat = batch->heartbeats[i];
    heartbeat->computer = agent->computer;
    heartbeat->certificate_expires_ms = agent->certificate_expires_ms;
    (void)text_copy(heartbeat->policy_digest, sizeof(heartbeat->policy_digest),
                    agent->policy_digest);
    (void)text_copy(heartbeat->group, sizeof(heartbeat->group), agent->group);
    batch->agents[batch->count] = remembered;
    batch->members[batch->count] = i;
    batch->deliveries[batch->count++] =
        (struct event_delivery){.batch = {.computer = agent->computer,
                                          .epoch = heartbeat->wire.epoch,
                                          .events = heartbeat->wire.events,
                                          .count = heartbeat->wire.event_count,
                                          .claimed = heartbeat->wire.acknowledged,
                                          .group = heartbeat->group},
                                .acknowledged = agent->acknowledged};
}

static int take_row(void *user, size_t i, struct sql_statement *row)
{
    struct batch *batch = user;
    struct heartbeat *heartbeat = batch->heartbeats[i];
    struct known_agent agent = {.computer = sql_number(row, 1),
                                .certificate_expires_ms = sql_number(row, 2),
                                .acknowledged = (uint64_t)sql_number(row, 10),
                                .dropped = (uint64_t)sql_number(row, 12)};
    if (!is_known(heartbeat, row) || is_twice(batch, agent.computer))
        return 0;
    (void)text_copy(agent.policy_digest, sizeof(agent.policy_digest), sql_text(row, 3));
    (void)text_copy(agent.group, sizeof(agent.group), sql_text(row, 11));
    add(batch, i, &agent, known_agents_put(batch->known, heartbeat, &agent));
    return 0;
}

/* The rest is to be read: values are filled for them, ret_rows says whose they are. */
static size_t take_known(struct batch *batch, size_t count, struct sql_value *values,
                         size_t *ret_rows)
{
    int64_t before = console_store_now_ms() - HEARTBEAT_REDELIVERY_MS;
    size_t rows = 0;
    for (size_t i = 0; i < count; i++) {
        const struct heartbeat *heartbeat = batch->heartbeats[i];
        struct known_agent *agent = known_agents_find(batch->known, heartbeat);
        if (agent) {
            add(batch, i, agent, agent);
            continue;
        }
        values[rows * 4] = SQL_TEXT(heartbeat->wire.epoch);
        values[rows * 4 + 1] = SQL_NUMBER((int64_t)heartbeat->wire.dropped);
        values[rows * 4 + 2] = SQL_TEXT(heartbeat->certificate);
        values[rows * 4 + 3] = SQL_NUMBER(before);
        ret_rows[rows++] = i;
    }
    return rows;
}

struct reading {
    struct batch *batch;
    size_t rows[CONSOLE_STORE_AT_ONCE];
};

static int take_read(void *user, size_t i, struct sql_statement *row)
{
    struct reading *reading = user;
    return take_row(reading->batch, reading->rows[i], row);
}

/* Locks each delivery until the transaction ends, in one order: the same agent may be talking to
 * another node. */
static int read_rows(struct sql *sql, struct batch *batch, struct sql_value *values, size_t count)
{
#define COLUMNS                                                                            \
    "computers.number, computers.certificate_expires_ms, computers.policy_digest,"         \
    " computers.session, computers.machine_id, computers.instance_id, computers.hostname," \
    " computers.applied_digest, computers.agent_version, deliveries.acknowledged,"         \
    " computers.group_id, deliveries.dropped FROM "
#define NO_COMMAND                                                                       \
    " AND NOT EXISTS (SELECT 1 FROM commands WHERE commands.computer = computers.number" \
    " AND " HEARTBEAT_COMMAND_IS_DUE
    static const struct sql_many statement = {
        .each = "SELECT 0, " COLUMNS "computers JOIN deliveries ON"
                " deliveries.computer = computers.number AND deliveries.epoch = $1"
                " AND deliveries.dropped >= $2 WHERE computers.certificate = $3"
                " AND computers.state = 'active'" NO_COMMAND "$4)",
        .all = "SELECT v.i, " COLUMNS "unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[],"
               " $5::bigint[]) AS v(epoch, dropped, certificate, before, i)"
               " JOIN computers ON computers.certificate = v.certificate JOIN deliveries ON"
               " deliveries.computer = computers.number AND deliveries.epoch = v.epoch"
               " AND deliveries.dropped >= v.dropped WHERE computers.state = 'active'" NO_COMMAND
               "v.before) ORDER BY deliveries.computer, deliveries.epoch"
               " FOR UPDATE OF deliveries",
        .columns = "tntn"};
    struct reading reading = {.batch = batch};
    int r = known_agents_recall(sql, &batch->known);
    if (r < 0)
        return r;
    count = take_known(batch, count, values, reading.rows);
    return sql_read_many(sql, &statement, values, count, take_read, &reading);
}

/* Which of them may go together; the values of the others' rows are not read. */
static size_t choose(void *const *heartbeats, size_t count, struct heartbeat **chosen,
                     size_t *places)
{
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        struct heartbeat *heartbeat = heartbeats[i];
        if (heartbeat->wire.result_count > 0 || heartbeat->wire.policy_problem[0])
            continue;
        heartbeat_forget_commands(heartbeat); /* of an attempt before */
        places[used] = i;
        chosen[used++] = heartbeat;
    }
    return used;
}

int heartbeat_write_many(struct sql *sql, void *const *heartbeats, int *ret_results, size_t count)
{
    struct heartbeat *chosen[CONSOLE_STORE_AT_ONCE];
    size_t places[CONSOLE_STORE_AT_ONCE], members[CONSOLE_STORE_AT_ONCE];
    struct sql_value values[CONSOLE_STORE_AT_ONCE * 4];
    AUTO_FREE struct event_delivery *deliveries = calloc(count, sizeof(*deliveries));
    struct known_agent *agents[CONSOLE_STORE_AT_ONCE];
    struct batch batch = {
        .heartbeats = chosen, .deliveries = deliveries, .members = members, .agents = agents};
    if (!deliveries)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        ret_results[i] = CONSOLE_STORE_ALONE;
    int r = read_rows(sql, &batch, values, choose(heartbeats, count, chosen, places));
    if (r == 0)
        r = event_store_add_many(sql, deliveries, batch.count);
    for (size_t i = 0; r == 0 && i < batch.count; i++) {
        chosen[members[i]]->acknowledged = deliveries[i].acknowledged;
        if (agents[i]) /* forgotten when it is not committed */
            agents[i]->acknowledged = deliveries[i].acknowledged;
        ret_results[places[members[i]]] = OUTCOME_SERVED;
    }
    return r;
}
