/* The load of a fleet on a console; see load.h.
 *
 *     console_load closed PORT AUTHORITY TOKEN AGENTS SECONDS PATH EVENTS PID [OTHER-PORT]
 *     console_load fleet PORT AUTHORITY TOKEN AGENTS SECONDS INTERVAL EVENTS PID
 *     console_load waiting PORT AUTHORITY TOKEN AGENTS SECONDS INTERVAL EVENTS PID
 *
 * closed: every agent sends the next heartbeat when the last is answered. PATH /agent/v1/heartbeat;
 * "bare" instead: heartbeats to a server that answers them with nothing (bare_server); /health:
 * GET. Prints: requests a second, errors, latencies in ms at 50, 99 and 100 %, then us of processor
 * a request of the server, PID, and of this program. OTHER-PORT: activated at PORT, the load goes
 * there.
 *
 * fleet: every agent sends one in INTERVAL seconds, and waits after failures as yagura-messenger
 * does. Prints "back COUNT SECONDS-SINCE-MARK" each second until all were answered.
 *
 * waiting: as fleet, and every agent waits for news over a second connection, as yagura-messenger
 * does; "waits" WOKEN UNWOKEN FAILED is printed before "sums".
 *
 * All begin with "begun": from then on, SIGUSR1 marks the begin of a new count; SIGUSR2 prints
 * "sums", answered, errors, refused, handshakes, then as above; SIGTERM ends early, with "agent
 * EPOCH NUMBER" for each: what was acknowledged. */
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/bench/console/load.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#define WAKES      256
#define WARM_UP_NS (120 * NS_PER_SECOND)

_Noreturn void load_fail(const char *what)
{
    (void)fprintf(stderr, "console_load: %s\n", what);
    exit(1);
}

/* --- timers: a binary heap by due_ns */

static struct agent **heap;
static size_t heap_count;

static void heap_sink(size_t at)
{
    for (;;) {
        size_t least = 2 * at + 1;
        if (least >= heap_count)
            return;
        if (least + 1 < heap_count && heap[least + 1]->due_ns < heap[least]->due_ns)
            least++;
        if (heap[at]->due_ns <= heap[least]->due_ns)
            return;
        struct agent *agent = heap[at];
        heap[at] = heap[least];
        heap[least] = agent;
        at = least;
    }
}

static void wait_until(struct agent *agent, uint64_t due_ns)
{
    size_t at = heap_count++;
    agent->due_ns = due_ns;
    heap[at] = agent;
    for (; at > 0 && heap[(at - 1) / 2]->due_ns > due_ns; at = (at - 1) / 2) {
        heap[at] = heap[(at - 1) / 2];
        heap[(at - 1) / 2] = agent;
    }
}

/* Of one that waits in the heap. */
static void hurry(struct agent *agent)
{
    size_t at = 0;
    while (at < heap_count && heap[at] != agent)
        at++;
    if (at == heap_count)
        return;
    agent->due_ns = clock_monotonic_ns();
    for (; at > 0 && heap[(at - 1) / 2]->due_ns > agent->due_ns; at = (at - 1) / 2)
        heap[at] = heap[(at - 1) / 2];
    heap[at] = agent;
}

static struct agent *take_first(void)
{
    struct agent *agent = heap[0];
    heap[0] = heap[--heap_count];
    heap_sink(0);
    return agent;
}

/* --- what came back */

static void note_latency(struct fleet *fleet, uint64_t begun_ns)
{
    if (fleet->latency_count < LATENCIES_KEPT)
        fleet->latencies[fleet->latency_count++] =
            (uint32_t)((clock_monotonic_ns() - begun_ns) / NS_PER_US);
}

static void note_back(struct agent *agent)
{
    if (agent->back)
        return;
    agent->back = true;
    agent->fleet->back++;
    agent->fleet->last_back_ns = clock_monotonic_ns();
}

static uint64_t delay_of(struct agent *agent, unsigned status, uint64_t retry_after_s)
{
    if (status == 200)
        return agent->fleet->closed ? 0 : delay_next(&agent->delay);
    if (agent->fleet->closed)
        return NS_PER_SECOND / 10;
    return delay_after_failure(&agent->delay, retry_after_s * NS_PER_SECOND,
                               status == 0 && agent->online);
}

/* News are followed by a heartbeat, and that by the next wait. */
static void finished_waiting(struct agent *waiter, unsigned status, uint64_t retry_after_s)
{
    struct fleet *fleet = waiter->fleet;
    fleet->woken += status == 200;
    fleet->unwoken += status == 204;
    fleet->failed += status != 200 && status != 204;
    waiter->delay.failures = status == 204 ? 0 : waiter->delay.failures + 1;
    if (status == 200) {
        waiter->delay.failures = 0;
        waiter->idle = true;
        hurry(waiter->other);
    } else if (status == 204) {
        load_begin(waiter);
    } else {
        wait_until(waiter, clock_monotonic_ns() + delay_of_wait(waiter->delay.failures,
                                                                retry_after_s * NS_PER_SECOND));
    }
}

static void begin_waiting(struct agent *waiter, const char *body)
{
    load_note_told(waiter, body);
    if (!waiter->idle)
        return;
    waiter->idle = false;
    load_begin(waiter);
}

void load_finished(struct agent *agent, unsigned status, uint64_t retry_after_s, const char *body)
{
    struct fleet *fleet = agent->fleet;
    if (agent->waits) {
        finished_waiting(agent, status, retry_after_s);
        return;
    }
    uint64_t delay = delay_of(agent, status, retry_after_s);
    agent->online = status == 200;
    if (status == 200) {
        fleet->requests++;
        fleet->wrong += fleet->check && !load_acknowledged(agent, body);
        agent->number += fleet->events;
        note_latency(fleet, agent->begun_ns);
        note_back(agent);
        if (agent->other)
            begin_waiting(agent->other, body);
    } else {
        fleet->errors += status == 0;
        fleet->refused += status != 0;
    }
    if (delay == 0)
        load_begin(agent);
    else
        wait_until(agent, clock_monotonic_ns() + delay);
}

/* --- the loop */

static volatile sig_atomic_t marked, asked, ended;

static void on_signal(int number)
{
    if (number == SIGUSR1)
        marked = 1;
    else if (number == SIGUSR2)
        asked = 1;
    else
        ended = 1;
}

static void mark(struct fleet *fleet)
{
    marked = 0;
    fleet->back = 0;
    fleet->latency_count = fleet->requests = fleet->errors = fleet->refused = 0;
    fleet->handshakes = fleet->woken = fleet->unwoken = fleet->failed = 0;
    for (size_t i = 0; i < fleet->agent_count; i++)
        fleet->agents[i].back = false;
}

static int wait_ms(uint64_t end_ns)
{
    uint64_t now = clock_monotonic_ns();
    uint64_t next = heap_count ? MIN(heap[0]->due_ns, end_ns) : end_ns;
    next = MIN(next, now + NS_PER_SECOND);
    return next <= now ? 0 : (int)((next - now + NS_PER_MS - 1) / NS_PER_MS);
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

/* us of processor time, of the server and of this process. */
static void read_processor(const struct fleet *fleet, double used[2])
{
    char text[1024];
    unsigned long user = 0, system = 0;
    (void)text_format(text, sizeof(text), "/proc/%llu/stat", (unsigned long long)fleet->server);
    FILE *file = fopen(text, "re");
    size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
    text[length] = '\0';
    const char *fields = strrchr(text, ')');
    if (fields && sscanf(fields + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
                         &system) == 2)
        used[0] = (double)(user + system) * 1e6 / (double)sysconf(_SC_CLK_TCK);
    struct rusage own;
    (void)getrusage(RUSAGE_SELF, &own);
    used[1] = (double)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) * 1e6 +
              (double)(own.ru_utime.tv_usec + own.ru_stime.tv_usec);
}

static double latency_ms(const struct fleet *fleet, size_t percent)
{
    if (fleet->latency_count == 0)
        return 0;
    size_t at = MIN(fleet->latency_count * percent / 100, fleet->latency_count - 1);
    return fleet->latencies[at] / 1000.0;
}

static void print(struct fleet *fleet, bool sums, double seconds, const double used[2])
{
    qsort(fleet->latencies, fleet->latency_count, sizeof(*fleet->latencies), compare);
    if (fleet->wrong)
        load_fail("an answer did not acknowledge what was sent");
    if (fleet->waits)
        (void)printf("waits %llu %llu %llu\n", (unsigned long long)fleet->woken,
                     (unsigned long long)fleet->unwoken, (unsigned long long)fleet->failed);
    if (!sums)
        (void)printf("%.0f %llu", (double)fleet->requests / seconds,
                     (unsigned long long)(fleet->errors + fleet->refused));
    else
        (void)printf("sums %llu %llu %llu %llu", (unsigned long long)fleet->requests,
                     (unsigned long long)fleet->errors, (unsigned long long)fleet->refused,
                     (unsigned long long)fleet->handshakes);
    double requests = (double)MAX(fleet->requests, 1U);
    (void)printf(" %.2f %.2f %.2f %.1f %.1f\n", latency_ms(fleet, 50), latency_ms(fleet, 99),
                 latency_ms(fleet, 100), used[0] / requests, used[1] / requests);
    (void)fflush(stdout);
}

/* until_back: also ends when all agents were answered. */
static void run_for(struct fleet *fleet, uint64_t duration_ns, bool until_back)
{
    struct epoll_event events[WAKES];
    uint64_t begun = clock_monotonic_ns(), marked_ns = begun, told_ns = begun;
    bool told = fleet->closed;
    while (!ended && clock_monotonic_ns() < begun + duration_ns &&
           !(until_back && fleet->back == fleet->agent_count)) {
        int count = epoll_wait(fleet->epoll, events, WAKES, wait_ms(begun + duration_ns));
        for (int i = 0; i < count; i++)
            load_advance(events[i].data.ptr, events[i].events);
        uint64_t now = clock_monotonic_ns();
        while (heap_count && heap[0]->due_ns <= now)
            load_begin(take_first());
        if (asked) {
            asked = 0;
            print(fleet, true, 1, (const double[2]){0, 0});
        }
        if (marked) {
            mark(fleet);
            marked_ns = now;
            told = false;
        }
        if (!told && now - told_ns >= NS_PER_SECOND) {
            told_ns = now;
            told = fleet->back == fleet->agent_count;
            (void)printf("back %zu %.1f\n", fleet->back,
                         (double)((told ? fleet->last_back_ns : now) - marked_ns) /
                             (double)NS_PER_SECOND);
            (void)fflush(stdout);
        }
    }
}

/* What the console has acknowledged. */
static void print_agents(const struct fleet *fleet)
{
    for (size_t i = 0; i < fleet->agent_count; i++)
        (void)printf("agent %s %llu\n", fleet->agents[i].epoch,
                     (unsigned long long)fleet->agents[i].number);
}

static void allow_descriptors(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        load_fail("no limit of descriptors");
    limit.rlim_cur = MIN(wanted + 64, limit.rlim_max);
    if (limit.rlim_cur < wanted + 64 || setrlimit(RLIMIT_NOFILE, &limit) < 0)
        load_fail("too few descriptors are allowed");
}

static uint64_t number_of(const char *text, uint64_t most)
{
    uint64_t number;
    if (text_parse_u64(text, &number) < 0 || number > most)
        load_fail("a number is wrong");
    return number;
}

static void prepare(struct fleet *fleet, char **argv)
{
    fleet->closed = text_equal(argv[1], "closed");
    fleet->waits = text_equal(argv[1], "waiting");
    fleet->port = (uint16_t)number_of(argv[2], UINT16_MAX);
    fleet->authority = argv[3];
    fleet->token = argv[4];
    fleet->agent_count = number_of(argv[5], 100000);
    fleet->seconds = number_of(argv[6], 1000000);
    fleet->path = fleet->closed && !text_equal(argv[7], "bare") ? argv[7] : "/agent/v1/heartbeat";
    fleet->check = !fleet->closed || text_equal(argv[7], "/agent/v1/heartbeat");
    fleet->empty_get = text_equal(fleet->path, "/health");
    fleet->interval_ns = fleet->closed ? 0 : number_of(argv[7], 86400) * NS_PER_SECOND;
    fleet->events = number_of(argv[8], 16);
    fleet->server = number_of(argv[9], INT32_MAX);
    fleet->agents = calloc(fleet->agent_count, sizeof(*fleet->agents));
    fleet->waiters = fleet->waits ? calloc(fleet->agent_count, sizeof(*fleet->agents)) : NULL;
    heap = calloc(2 * fleet->agent_count, sizeof(struct agent *));
    fleet->latencies = calloc(LATENCIES_KEPT, sizeof(*fleet->latencies));
    fleet->context = SSL_CTX_new(TLS_client_method());
    fleet->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!fleet->agents || (fleet->waits && !fleet->waiters) || !heap || !fleet->latencies ||
        !fleet->context || fleet->epoll < 0)
        load_fail("no memory");
    SSL_CTX_set_verify(fleet->context, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_mode(fleet->context, SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_load_verify_locations(fleet->context, fleet->authority, NULL) != 1)
        load_fail("cannot read the authority");
}

int main(int argc, char **argv)
{
    static struct fleet fleet;
    if (argc != 10 && argc != 11)
        load_fail("usage: see the head of console_load.c");
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGUSR1, on_signal);
    (void)signal(SIGUSR2, on_signal);
    (void)signal(SIGTERM, on_signal);
    (void)printf("begun\n");
    (void)fflush(stdout);
    prepare(&fleet, argv);
    allow_descriptors((fleet.waits ? 2 : 1) * fleet.agent_count);
    for (size_t i = 0; i < fleet.agent_count; i++) {
        fleet.agents[i] = (struct agent){.fleet = &fleet,
                                         .fd = -1,
                                         .message = BUFFER_WITH_MAXIMUM(1 << 20),
                                         .delay = {.interval_ns = fleet.interval_ns}};
        if (!fleet.waits)
            continue;
        fleet.waiters[i] = fleet.agents[i];
        fleet.waiters[i].waits = fleet.waiters[i].idle = true;
        fleet.waiters[i].other = &fleet.agents[i];
        fleet.agents[i].other = &fleet.waiters[i];
    }
    load_activate(&fleet);
    if (argc == 11)
        fleet.port = (uint16_t)number_of(argv[10], UINT16_MAX);
    uint64_t now = clock_monotonic_ns();
    for (size_t i = 0; i < fleet.agent_count; i++)
        wait_until(&fleet.agents[i],
                   fleet.closed ? now : now + delay_first(&fleet.agents[i].delay));
    if (fleet.closed) { /* handshakes are not counted */
        run_for(&fleet, WARM_UP_NS, true);
        run_for(&fleet, NS_PER_SECOND / 2, false);
        mark(&fleet);
    }
    uint64_t begun = clock_monotonic_ns();
    double before[2], used[2];
    read_processor(&fleet, before);
    run_for(&fleet, fleet.seconds * NS_PER_SECOND, false);
    double seconds = (double)(clock_monotonic_ns() - begun) / (double)NS_PER_SECOND;
    read_processor(&fleet, used);
    used[0] -= before[0];
    used[1] -= before[1];
    print(&fleet, !fleet.closed, seconds, used);
    if (ended)
        print_agents(&fleet);
    return 0;
}
