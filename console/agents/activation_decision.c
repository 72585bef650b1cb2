/* Owns the answer to: is this computer known, may it come, and is it a copy? Must not write. The
 * original of a clone is never given to the copy; docs/decisions has why it is settled like this.
 */
#include "console/agents/activation_internal.h"

#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

void activation_instance(const struct activation *activation,
                         char ret_name[static INSTANCE_NAME_BYTES])
{
    ret_name[0] = '\0';
    if (activation->identity.instance_id[0])
        (void)text_format(ret_name, INSTANCE_NAME_BYTES, "%s/%s", activation->identity.account,
                          activation->identity.instance_id);
}

static bool same_machine(const struct agent_row *row, const struct wire_host *host)
{
    return text_equal(row->machine_id, host->machine_id) &&
           text_equal(row->instance_id, host->instance_id);
}

/* From another machine, or from the second of two runs of one identity on machines that look the
 * same: the heartbeat has found that one out. */
static bool is_clone(const struct agent_row *row, const struct wire_activation_request *wire)
{
    return !same_machine(row, &wire->host) ||
           session_list_holds(row->sessions.blocked, wire->session);
}

static int refuse(struct activation *activation, const char *reason)
{
    activation->reason = reason;
    return -EACCES;
}

static void note_original(struct activation *activation, const struct agent_row *row)
{
    activation->original = row->number;
    (void)text_copy(activation->original_id, sizeof(activation->original_id), row->id);
    (void)text_copy(activation->original_name, sizeof(activation->original_name), row->hostname);
}

static void continue_record(struct activation *activation, const struct agent_row *row)
{
    activation->way = ACTIVATION_AGAIN;
    activation->number = row->number;
    (void)text_copy(activation->agent_id, sizeof(activation->agent_id), row->id);
}

/* An instance is one computer. Its record goes on when the machine is the same and the one before
 * is gone; while that lives, or from another disk, the instance is taken. */
static void decide_by_instance(struct activation *activation, const struct agent_row *holder,
                               const struct agent_row *shown)
{
    int64_t alive_ms = console_store_now_ms() -
                       (int64_t)(activation->service->heartbeat_seconds * 5 / 2 + 6) * 1000;
    bool itself = shown && shown->number == holder->number && !is_clone(shown, &activation->wire);
    bool gone = !text_equal(holder->state, "active") || holder->last_seen_ms < alive_ms;
    if (itself || (gone && same_machine(holder, &activation->wire.host))) {
        continue_record(activation, holder);
    } else {
        activation->way = ACTIVATION_TAKEN;
        note_original(activation, holder);
    }
}

static int decide_record(struct sql *sql, struct activation *activation,
                         const struct agent_row *shown)
{
    struct agent_row holder;
    char instance[INSTANCE_NAME_BYTES];
    activation_instance(activation, instance);
    int r = instance[0] ? agent_row_read_instance(sql, instance, &holder) : 0;
    if (r < 0)
        return r;
    if (r == 1) {
        decide_by_instance(activation, &holder, shown);
    } else if (shown && is_clone(shown, &activation->wire)) {
        activation->way = ACTIVATION_CLONE;
        note_original(activation, shown);
    } else if (shown) {
        continue_record(activation, shown);
    }
    return 0;
}

/* Without a token: a copy that proves to hold the key of an active computer is let in on the
 * original's token, unless that is revoked, used up, or not for this address. */
static int check_admission(struct sql *sql, struct activation *activation,
                           const struct agent_row *shown)
{
    const char *address = http_request_address(activation->request);
    activation->vouched = !activation->wire.token[0] && shown && activation->old_is_valid &&
                          text_equal(shown->state, "active") && is_clone(shown, &activation->wire);
    if (activation->vouched)
        return token_check_vouched(sql, shown->number, address, &activation->token,
                                   &activation->reason);
    return token_check(sql, activation->wire.token, address, &activation->token,
                       &activation->reason);
}

int activation_decide(struct sql *sql, struct activation *activation)
{
    struct agent_row row;
    const struct agent_row *shown = NULL;
    activation->reason = NULL;
    activation->way = ACTIVATION_NEW;
    activation->original = 0;
    int r =
        activation->old_certificate[0] ? agent_row_read(sql, activation->old_certificate, &row) : 0;
    if (r == 1)
        shown = &row;
    if (r >= 0)
        r = check_admission(sql, activation, shown);
    if (r < 0)
        return r;
    const char *tenant = activation->wire.tenant_id;
    if (tenant[0] && !text_equal(tenant, activation->service->tenant_id))
        return refuse(activation, "tenant");
    return decide_record(sql, activation, shown);
}
