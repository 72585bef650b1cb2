/* Owns when to look, and what was fetched last. Hands off: every file to mirror_take. */
#include "console/signatures/mirror_worker.h"

#include "common/files/file.h"
#include "common/http_client/http_client.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/signature_file/signature_file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/signatures/mirror_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define FETCHED      "fetched" /* below the mirror's folder */
#define ETAG_BYTES   128
#define STALL_NS     (60 * NS_PER_SECOND)
#define FETCH_NS     (3600 * NS_PER_SECOND)
#define TRY_AGAIN_NS (300 * NS_PER_SECOND)
#define FILE_MODE    0600

struct fetched {
    char name[SIGNATURE_NAME_BYTES], etag[ETAG_BYTES];
};

struct mirror_worker {
    struct mirror_worker_options options;
    struct fetched fetched[LIMIT_MIRROR_FILES];
    size_t fetched_count;
    struct mirror_memory of_folder, of_url;
    bool failed; /* of the last look: something but what is in the files */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    atomic_bool ending;
};

bool mirror_url_is_allowed(const char *url)
{
    static const char scheme[] = "https://";
    char host[256];

    if (!text_starts_with(url, scheme))
        return false;
    const char *at = url + sizeof(scheme) - 1;
    if (memchr(at, '@', strcspn(at, "/?#")) != NULL ||
        text_format(host, sizeof(host), "%.*s", (int)strcspn(at, "/:?#"), at) <= 0)
        return false;
    size_t length = strlen(host);
    while (length > 0 && host[length - 1] == '.')
        host[--length] = '\0';
    static const char clamav[] = "clamav.net";
    size_t tail = sizeof(clamav) - 1;
    return length > 0 && !(length >= tail && strcasecmp(host + length - tail, clamav) == 0 &&
                           (length == tail || host[length - tail - 1] == '.'));
}

static bool is_ending(void *user)
{
    const struct mirror_worker *worker = user;
    return atomic_load(&worker->ending);
}

/* --- a private mirror */

static int write_some(void *user, const void *bytes, size_t length)
{
    return file_write(*(int *)user, bytes, length);
}

static struct fetched *find_fetched(struct mirror_worker *worker, const char *name)
{
    for (size_t i = 0; i < worker->fetched_count; i++)
        if (text_equal(worker->fetched[i].name, name))
            return &worker->fetched[i];
    if (worker->fetched_count == LIMIT_MIRROR_FILES)
        return NULL;
    struct fetched *fetched = &worker->fetched[worker->fetched_count++];
    (void)text_copy(fetched->name, sizeof(fetched->name), name);
    return fetched;
}

/* Under another name until it is whole. 304: it is as it was. */
static int fetch(struct mirror_worker *worker, struct http_client *client, int folder_fd,
                 const char *name)
{
    AUTO_FREE char *url =
        text_format_new("%s%s%s", worker->options.url,
                        text_ends_with(worker->options.url, "/") ? "" : "/", name);
    struct fetched *fetched = find_fetched(worker, name);
    AUTO_CLOSE int fd = -1;
    struct http_answer answer;

    if (!url || !fetched)
        return -ENOMEM;
    int r = file_open_at(folder_fd, "part", O_RDWR | O_CREAT | O_TRUNC, FILE_MODE, &fd);
    if (r < 0)
        return r;
    const struct http_sink sink = {.write = write_some, .user = &fd};
    const struct http_header same = {"If-None-Match", fetched->etag};
    const struct http_request request = {.method = "GET",
                                         .url = url,
                                         .headers = &same,
                                         .header_count = fetched->etag[0] ? 1 : 0,
                                         .sink = &sink,
                                         .timeout_ns = FETCH_NS,
                                         .stall_timeout_ns = STALL_NS,
                                         .maximum_answer = LIMIT_MIRROR_FILE_BYTES};
    r = http_client_perform(client, &request, &answer);
    if (r == 0 && answer.status == 200)
        r = renameat(folder_fd, "part", folder_fd, name) < 0 ? -errno : 0;
    else if (r == 0 && answer.status != 304)
        r = -EBADMSG;
    if (r < 0)
        log_warning("mirror_fetch_failed", "url", url, "status", log_number(answer.status),
                    "problem", answer.problem[0] ? answer.problem : log_error_text(r), "now",
                    "the mirror stays as it is", NULL);
    else if (answer.status == 200 &&
             http_answer_header(&answer, "ETag", fetched->etag, sizeof(fetched->etag)) < 0)
        fetched->etag[0] = '\0';
    http_answer_done(&answer);
    return r;
}

static int fetch_all(struct mirror_worker *worker, const char *folder)
{
    const struct http_trust trust = {.pin = NULL};
    struct http_client *client = NULL;
    AUTO_CLOSE int folder_fd = -1;

    int r = file_make_directories(folder, 0700);
    if (r == 0)
        r = file_open_directory(folder, true, &folder_fd);
    if (r == 0)
        r = http_client_new(&trust, &client);
    if (r < 0)
        return r;
    http_client_set_cancel(client, is_ending, worker);
    for (char *const *name = worker->options.files; *name && !is_ending(worker); name++) {
        bool known = signature_file_kind(*name) != SIGNATURE_OTHER;
        int one = known ? fetch(worker, client, folder_fd, *name) : -EINVAL;
        if (!known)
            log_error("mirror_file_refused", "file", *name, "cure",
                      "mirror.files takes names such as daily.cvd", NULL);
        r = one < 0 ? one : r;
    }
    (void)unlinkat(folder_fd, "part", 0);
    (void)http_client_free(client);
    return r;
}

/* --- a look */

static void told(void *user UNUSED, const struct mirror_outcome *outcome)
{
    if (outcome->result == 1)
        log_info("mirror_file_taken", "file", outcome->name, "version",
                 log_number((int64_t)outcome->version), NULL);
    else if (outcome->result < 0 && outcome->result != -ESTALE && outcome->result != -ECANCELED)
        log_warning("mirror_file_refused", "file", outcome->name, "problem", outcome->problem,
                    "now", "agents keep what they have", NULL);
}

static int take(struct mirror_worker *worker, const char *folder, bool fetched, size_t *taken)
{
    const struct mirror_take take = {.folder = folder,
                                     .source = fetched ? "url" : "freshclam",
                                     .actor = "console",
                                     .unsigned_too = worker->options.unsigned_too,
                                     .told = told,
                                     .ending = is_ending,
                                     .memory = fetched ? &worker->of_url : &worker->of_folder,
                                     .user = worker};
    size_t some = 0;
    int r = mirror_take(worker->options.mirror, &take, &some);
    *taken += some;
    if (r < 0)
        log_warning("mirror_failed", "folder", folder, "problem", log_error_text(r), NULL);
    return r;
}

static void look(struct mirror_worker *worker)
{
    size_t taken = 0;
    int r = 0;

    if (worker->options.folder[0])
        r = take(worker, worker->options.folder, false, &taken);
    AUTO_FREE char *folder = text_format_new("%s/" FETCHED, worker->options.mirror->directory);
    if (worker->options.url[0] && folder) {
        int fetched = fetch_all(worker, folder);
        int took = take(worker, folder, true, &taken);
        r = fetched < 0 ? fetched : took < 0 ? took : r;
    }
    worker->failed = r < 0;
    mirror_sweep(worker->options.mirror);
    if (taken > 0)
        worker->options.refresh(worker->options.user);
}

static void rest(struct mirror_worker *worker)
{
    struct timespec until = clock_deadline(MIRROR_REFRESH_NS);

    (void)pthread_mutex_lock(&worker->lock);
    for (int waited = 0; waited == 0 && !is_ending(worker);)
        waited = pthread_cond_clockwait(&worker->changed, &worker->lock, CLOCK_MONOTONIC, &until);
    (void)pthread_mutex_unlock(&worker->lock);
}

static void *run(void *user)
{
    struct mirror_worker *worker = user;

    while (!is_ending(worker)) {
        look(worker);
        uint64_t period_ns = worker->options.period_ns;
        uint64_t until_ns =
            clock_monotonic_ns() + (worker->failed ? MIN(TRY_AGAIN_NS, period_ns) : period_ns);
        do {
            rest(worker);
            if (!is_ending(worker))
                worker->options.refresh(worker->options.user);
        } while (!is_ending(worker) && clock_monotonic_ns() < until_ns);
    }
    return NULL;
}

int mirror_worker_start(const struct mirror_worker_options *options,
                        struct mirror_worker **ret_worker)
{
    struct mirror_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;
    worker->options = *options;
    (void)pthread_mutex_init(&worker->lock, NULL);
    (void)pthread_cond_init(&worker->changed, NULL);
    int r = -pthread_create(&worker->thread, NULL, run, worker);
    if (r < 0) {
        free(worker);
        return r;
    }
    *ret_worker = worker;
    return 0;
}

struct mirror_worker *mirror_worker_stop(struct mirror_worker *worker)
{
    if (!worker)
        return NULL;
    (void)pthread_mutex_lock(&worker->lock);
    atomic_store(&worker->ending, true);
    (void)pthread_cond_broadcast(&worker->changed);
    (void)pthread_mutex_unlock(&worker->lock);
    (void)pthread_join(worker->thread, NULL);
    (void)pthread_cond_destroy(&worker->changed);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
    return NULL;
}
