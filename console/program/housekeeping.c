/* Owns the console's regular work. Must not decide what is old: retention and the settings do. */
#include "console/program/housekeeping.h"

#include "common/log/log.h"
#include "common/time/clock.h"
#include "console/agents/presence.h"
#include "console/events/event_moves.h"
#include "console/store/console_store.h"

#define PERIOD_NS (3600 * NS_PER_SECOND)
#define FLUSH_NS  (5 * NS_PER_SECOND)
#define GRACE_MS  (24LL * 3600 * 1000)

void housekeeping_begin(struct housekeeping *housekeeping)
{
    clock_watch_begin(&housekeeping->clock);
    int r = retention_settle_clock(housekeeping->store);
    if (r < 0)
        log_warning("clock_not_settled", "error", log_error_text(r), NULL);
}

/* Once when it begins, once when it is over. */
static void watch_store(struct housekeeping *housekeeping)
{
    struct console_store_status status;
    console_store_status(housekeeping->store, &status);
    if (status.problem == housekeeping->problem)
        return;
    housekeeping->problem = status.problem;
    if (status.problem < 0)
        log_error("store_failed", "error", log_error_text(status.problem), "effect",
                  "nothing is acknowledged that is not stored", "cure",
                  console_store_cure(status.problem), NULL);
    else
        log_info("store_recovered", NULL);
}

static bool watch_clock(struct housekeeping *housekeeping)
{
    int64_t jump_ms = clock_watch_look(&housekeeping->clock);
    if (jump_ms == 0)
        return false;
    log_warning("clock_jumped", "seconds", log_number(jump_ms / 1000), "effect",
                "no computer is removed until all had time to report", NULL);
    int r = jump_ms < 0 ? retention_settle_clock(housekeeping->store) : 0;
    if (r < 0)
        log_warning("clock_not_settled", "error", log_error_text(r), NULL);
    return true;
}

void housekeeping_flush(struct housekeeping *housekeeping)
{
    housekeeping->flush_due_ns = clock_monotonic_ns() + FLUSH_NS;
    int r = presence_flush(housekeeping->presence, housekeeping->store);
    if (r < 0)
        log_warning("presence_not_written", "error", log_error_text(r), NULL);
}

bool housekeeping_tick(struct housekeeping *housekeeping)
{
    bool jumped = watch_clock(housekeeping);
    if (clock_monotonic_ns() >= housekeeping->flush_due_ns)
        housekeeping_flush(housekeeping);
    watch_store(housekeeping);
    int r = event_moves_go_on(housekeeping->store);
    if (r < 0)
        log_warning("events_not_moved", "error", log_error_text(r), "effect",
                    "the history of a computer follows it into its group later", NULL);
    return jumped;
}

bool housekeeping_is_due(const struct housekeeping *housekeeping)
{
    return clock_monotonic_ns() >= housekeeping->due_ns;
}

/* Once when it begins, once when it is over. */
static void tell_doubt(struct housekeeping *housekeeping, bool doubted)
{
    if (doubted == housekeeping->clock_doubted)
        return;
    housekeeping->clock_doubted = doubted;
    if (doubted)
        log_warning("clock_doubted", "problem",
                    "no event of the last day has a date of its sender's that agrees with this "
                    "machine's clock",
                    "now", "no event is removed as too old", "cure",
                    "set this machine's clock; where it is right, the next event of an agent will "
                    "say so",
                    NULL);
    else
        log_info("clock_confirmed", NULL);
}

bool housekeeping_forget(struct housekeeping *housekeeping)
{
    struct retention due = housekeeping->retention;
    struct retention_result result;
    int64_t grace_ms =
        MIN(due.computers_ms, GRACE_MS) - clock_watch_settled_ms(&housekeeping->clock);
    uint64_t period_ns = PERIOD_NS;
    if (grace_ms > 0) {
        due.computers_ms = 0;
        period_ns = MIN(period_ns, ((uint64_t)grace_ms + 1) * NS_PER_MS);
    }
    int r = retention_apply(housekeeping->store, &due, &result);
    if (r < 0)
        log_warning("retention_failed", "error", log_error_text(r), NULL);
    else
        tell_doubt(housekeeping, result.clock_doubted);
    log_info("retention_applied", "events", log_number(result.events), "computers",
             log_number(result.computers), NULL);
    bool more = r == 0 && result.more;
    housekeeping->due_ns = clock_monotonic_ns() + (more ? 0 : period_ns);
    return more;
}
