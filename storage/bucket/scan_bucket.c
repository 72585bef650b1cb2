/* yagura-storage scan-bucket. Owns: the command line, what is shown, the exit code. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/bucket/bucket_scan.h"
#include "storage/bucket/inventory_scan.h"
#include "storage/program/storage_mode.h"
#include "storage/report/console_report.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>

#define BAR_WIDTH     30
#define GLANCE_NS     (200 * NS_PER_MS)
#define EXIT_FINDINGS 3
#define EXIT_UNDONE   4

struct order {
    const char *bucket, *prefix, *region, *place_path, *inventory;
    uint64_t page;
    bool here, restart;
};

static int read_order(int argc, char **argv, struct order *order)
{
    static const struct option options[] = {
        {"prefix", required_argument, NULL, 'p'},    {"region", required_argument, NULL, 'r'},
        {"place", required_argument, NULL, 's'},     {"here", no_argument, NULL, 'h'},
        {"restart", no_argument, NULL, 'n'},         {"page", required_argument, NULL, 'g'},
        {"inventory", required_argument, NULL, 'i'}, {NULL, 0, NULL, 0}};
    int option;

    *order = (struct order){.prefix = "", .region = "", .inventory = "", .page = BUCKET_PAGE};
    optind = 0;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'p')
            order->prefix = optarg;
        else if (option == 'r')
            order->region = optarg;
        else if (option == 's')
            order->place_path = optarg;
        else if (option == 'i')
            order->inventory = optarg;
        else if (option == 'h')
            order->here = true;
        else if (option == 'n')
            order->restart = true;
        else if (option != 'g' || text_parse_u64(optarg, &order->page) < 0 || order->page == 0 ||
                 order->page > BUCKET_PAGE)
            return -1;
    }
    if (optind + 1 != argc)
        return -1;
    order->bucket = argv[optind];
    return 0;
}

static int begin_place(const struct order *order, struct scan_place *place)
{
    *place = (struct scan_place){.finished = false};
    if (text_copy(place->bucket, sizeof place->bucket, order->bucket) < 0 ||
        text_copy(place->prefix, sizeof place->prefix, order->prefix) < 0 ||
        text_copy(place->inventory, sizeof place->inventory, order->inventory) < 0) {
        log_error("no_such_bucket", "bucket", order->bucket, NULL);
        return -EINVAL;
    }
    const struct scan_place fresh = *place;
    int r = order->place_path != NULL && !order->restart ? scan_place_load(order->place_path, place)
                                                         : 0;
    if (r < 0)
        log_error("place_refused", "path", order->place_path, "problem", log_error_text(r), "cure",
                  "it is of another bucket, prefix or inventory, or damaged: name another file, or "
                  "--restart",
                  NULL);
    else if (place->finished) /* a new round */
        *place = fresh;
    return r;
}

/* ---- what is shown ---- */

struct shown {
    uint64_t total; /* 0 = not known */
    bool bar;
};

static void show_bar(const struct shown *shown, const struct scan_place *place)
{
    const uint64_t *counts = place->counts;
    unsigned done =
        shown->total > 0
            ? (unsigned)(MIN(counts[SCAN_COUNT_LISTED], shown->total) * BAR_WIDTH / shown->total)
            : 0;

    (void)fprintf(stderr, "\r[%.*s%*s] %" PRIu64 "/%" PRIu64 " objects, %" PRIu64 " MB", (int)done,
                  "##############################", (int)(BAR_WIDTH - done), "",
                  counts[SCAN_COUNT_LISTED], shown->total, place->bytes >> 20);
    if (counts[SCAN_COUNT_INFECTED] > 0)
        (void)fprintf(stderr, ", %" PRIu64 " infected", counts[SCAN_COUNT_INFECTED]);
    (void)fprintf(stderr, "  ");
}

static void show_line(const struct scan_place *place, const char *event)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(65536);

    if (scan_place_write(place, event, &json) == 0) {
        (void)fputs(buffer_text(&json), stdout);
        (void)fflush(stdout);
    }
}

static void on_progress(void *user, const struct scan_place *place)
{
    const struct shown *shown = user;

    if (shown->bar)
        show_bar(shown, place);
    else if (!place->finished)
        show_line(place, "progress");
}

/* ---- running ---- */

static int run(struct scan_resources *resources, const struct order *order,
               const struct page_end *end, struct object_scanner *scanner, struct scan_place *place)
{
    struct shown shown = {.bar = isatty(STDERR_FILENO) == 1};
    const struct bucket_scan scan = {.scanner = scanner,
                                     .end = end,
                                     .region = order->region,
                                     .page = (unsigned)order->page,
                                     .place_path = order->place_path,
                                     .stop = &resources->stopping,
                                     .progress = on_progress,
                                     .progress_user = &shown};
    bool by_inventory = place->inventory[0] != '\0';
    int r = shown.bar && !by_inventory ? bucket_scan_count(&scan, place, &shown.total) : 0;

    if (r == 0)
        r = by_inventory ? inventory_scan_run(&scan, place) : bucket_scan_run(&scan, place);
    if (shown.bar)
        (void)fprintf(stderr, "\n");
    show_line(place, place->finished ? "done" : "stopped");
    return r;
}

static int run_here(struct scan_resources *resources, const struct order *order,
                    struct object_scanner *scanner, struct scan_place *place)
{
    const struct storage_settings *settings = resources->settings;
    uint64_t wanted = storage_settings_number(settings, STORAGE_CONCURRENCY);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct page_workers *workers;

    if (wanted == 0)
        wanted = 2 * (uint64_t)MAX(cores, 1L);
    if (scan_service_wait(resources->service, UINT64_MAX) < 0)
        return -ENOENT; /* told by the service */
    int r = page_workers_new(resources, (size_t)wanted, &workers);
    if (r < 0)
        return r;
    const struct page_end end = page_workers_end(workers);
    r = run(resources, order, &end, scanner, place);
    (void)page_workers_free(workers);
    return r;
}

static int run_queued(struct scan_resources *resources, const struct order *order,
                      struct object_scanner *scanner, struct scan_place *place)
{
    struct page_queue queue = {.client = object_scanner_client(scanner),
                               .url = storage_settings_text(resources->settings, STORAGE_QUEUE)};
    const struct page_end end = page_queue_end(&queue);

    if (queue.url[0] == '\0') {
        log_error("no_queue", "cure", "set queue_url (YAGURA_QUEUE_URL), or scan with --here",
                  NULL);
        return -EINVAL;
    }
    return run(resources, order, &end, scanner, place);
}

static int exit_code(int error, const struct scan_place *place)
{
    if (error < 0 && error != -EINTR)
        return 1;
    if (!place->finished || place->counts[SCAN_COUNT_FAILED] > 0)
        return EXIT_UNDONE;
    return place->counts[SCAN_COUNT_INFECTED] > 0 ? EXIT_FINDINGS : 0;
}

/* The signal's flag becomes an early end for all that waits. */
struct watch {
    struct scan_resources *resources;
    const bool *stop;
    bool over;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static void *watch_stop(void *user)
{
    struct watch *watch = user;

    (void)pthread_mutex_lock(&watch->lock);
    while (!watch->over && !__atomic_load_n(watch->stop, __ATOMIC_RELAXED)) {
        struct timespec until = clock_deadline(GLANCE_NS);
        (void)pthread_cond_clockwait(&watch->changed, &watch->lock, CLOCK_MONOTONIC, &until);
    }
    if (!watch->over)
        scan_resources_hurry(watch->resources);
    (void)pthread_mutex_unlock(&watch->lock);
    return NULL;
}

static int run_watched(struct scan_resources *resources, const struct order *order,
                       struct scan_place *place)
{
    struct watch watch = {.resources = resources,
                          .stop = storage_stop_flag(),
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .changed = PTHREAD_COND_INITIALIZER};
    struct object_scanner *scanner;
    pthread_t thread;

    int r = object_scanner_new(resources, &scanner);
    if (r < 0)
        return r;
    r = -pthread_create(&thread, NULL, watch_stop, &watch);
    if (r == 0) {
        r = order->here ? run_here(resources, order, scanner, place)
                        : run_queued(resources, order, scanner, place);
        (void)pthread_mutex_lock(&watch.lock);
        watch.over = true;
        (void)pthread_cond_signal(&watch.changed);
        (void)pthread_mutex_unlock(&watch.lock);
        (void)pthread_join(thread, NULL);
    }
    (void)object_scanner_free(scanner);
    return r;
}

int storage_scan_bucket(const struct storage_settings *settings, int argc, char **argv)
{
    struct console_report *report;
    struct scan_resources resources;
    struct scan_place place;
    struct order order;
    int r = -ENOKEY;

    if (read_order(argc, argv, &order) < 0)
        return -1;
    if (begin_place(&order, &place) < 0 ||
        scan_resources_start(settings, order.here, &resources) < 0)
        return 1;
    if (console_report_start(&resources, "scan-bucket", &report) == 0 &&
        console_report_run(report) == 0)
        r = run_watched(&resources, &order, &place);
    (void)console_report_stop(report);
    scan_resources_stop(&resources);
    return exit_code(r, &place);
}
