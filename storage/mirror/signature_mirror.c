/* The mirror's thread. Owns: the folder, and what of the mirror is in it. Hands off: loading to the
 * scanner, which watches the folder. */
#include "storage/mirror/signature_mirror.h"

#include "common/aws/s3.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/signature_file/signature_file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_FILES   64
#define MOST_BYTES   (2ULL << 30) /* of one */
#define FILE_TIME_NS (1800 * NS_PER_SECOND)
#define STALL_NS     (30 * NS_PER_SECOND)
#define TRY_AGAIN_NS (60 * NS_PER_SECOND) /* while there is nothing at all */
#define PART_NAME    "part"               /* no name of a signature file */
#define FILE_MODE    0644
#define FOLDER_MODE  0755

struct mirror_file {
    char name[SIGNATURE_NAME_BYTES];
    char etag[S3_ETAG_BYTES];
    uint64_t size;
};

struct mirror_files {
    struct mirror_file files[MOST_FILES];
    size_t count;
};

struct signature_mirror {
    const struct storage_settings *settings;
    struct aws_client *client;
    char *bucket, *prefix; /* prefix: "", or with "/" at its end */
    const char *folder;
    int folder_fd;
    bool takes_unsigned;
    struct mirror_files listed, had; /* in the mirror now; put in their place by us */
    size_t left_out;                 /* of listed: unsigned, or too large */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool running, looked, ending; /* ending: atomic */
    struct signature_mirror_status status;
};

static bool is_ending(void *user)
{
    const struct signature_mirror *mirror = user;

    return __atomic_load_n(&mirror->ending, __ATOMIC_RELAXED);
}

static struct mirror_file *find(struct mirror_files *files, const char *name)
{
    for (size_t i = 0; i < files->count; i++)
        if (text_equal(files->files[i].name, name))
            return &files->files[i];
    return NULL;
}

static int complain(struct signature_mirror *mirror, int error, const char *what, const char *why)
{
    (void)pthread_mutex_lock(&mirror->lock);
    (void)text_format(mirror->status.problem, sizeof mirror->status.problem, "%s: %s", what, why);
    (void)pthread_mutex_unlock(&mirror->lock);
    log_warning("mirror_failed", "file", what, "problem", why, "now",
                "the signatures stay as they are", NULL);
    return error;
}

/* ---- what is in the mirror ---- */

static int take_listed(void *user, const struct s3_listed *listed)
{
    struct signature_mirror *mirror = user;
    const char *name = listed->key + strlen(mirror->prefix);
    enum signature_kind kind = signature_file_kind(name); /* no "/": not below a folder */
    struct mirror_files *files = &mirror->listed;

    if (kind == SIGNATURE_OTHER)
        return 0;
    if ((kind == SIGNATURE_UNSIGNED && !mirror->takes_unsigned) || listed->size > MOST_BYTES) {
        mirror->left_out++;
        return 0;
    }
    if (files->count == MOST_FILES)
        return -E2BIG;
    struct mirror_file *file = &files->files[files->count++];
    (void)text_copy(file->name, sizeof file->name, name);
    (void)text_copy(file->etag, sizeof file->etag, listed->etag);
    file->size = listed->size;
    return 0;
}

static int list(struct signature_mirror *mirror)
{
    const struct s3_list listing = {.bucket = mirror->bucket,
                                    .prefix = mirror->prefix[0] != '\0' ? mirror->prefix : NULL,
                                    .each = take_listed,
                                    .user = mirror};
    char token[S3_TOKEN_BYTES] = "";
    int r = 0;

    mirror->listed.count = mirror->left_out = 0;
    do {
        struct aws_answer answer;
        if (s3_list(mirror->client, &listing, token, &answer) != AWS_OK)
            r = complain(mirror, -EIO, mirror->bucket, answer.problem);
        aws_answer_done(&answer);
    } while (r == 0 && token[0] != '\0');
    if (r == 0 && mirror->listed.count == 0)
        r = complain(mirror, -ENOENT, mirror->bucket,
                     mirror->left_out > 0
                         ? "it holds none but unsigned files: set mirror.unsigned to take them"
                         : "it holds no signatures");
    return r;
}

/* ---- one file ---- */

struct arriving {
    int fd;
    uint64_t length, most;
};

static int begin(void *user, const struct http_answer *answer UNUSED)
{
    struct arriving *arriving = user;

    arriving->length = 0; /* a repeated request begins again */
    return ftruncate(arriving->fd, 0) < 0 || lseek(arriving->fd, 0, SEEK_SET) < 0 ? -errno : 0;
}

static int write_some(void *user, const void *bytes, size_t length)
{
    struct arriving *arriving = user;

    arriving->length += length;
    return arriving->length > arriving->most ? -EFBIG : file_write(arriving->fd, bytes, length);
}

/* 0 it may take the place of what stands there. */
static int judge(struct signature_mirror *mirror, const struct mirror_file *file, int fd)
{
    AUTO_CLOSE int old = -1;
    struct signature_head head, before;

    if (signature_file_kind(file->name) != SIGNATURE_SIGNED)
        return 0;
    if (signature_head_read_file(fd, &head) < 0)
        return complain(mirror, -EBADMSG, file->name, "it is no signed database of ClamAV");
    if (file_open_at(mirror->folder_fd, file->name, O_RDONLY, 0, &old) == 0 &&
        signature_head_read_file(old, &before) == 0 && before.version > head.version)
        return complain(mirror, -ESTALE, file->name, "it is older than the one in its place");
    return 0;
}

static int download(struct signature_mirror *mirror, const struct mirror_file *file, int fd)
{
    AUTO_FREE char *key = text_format_new("%s%s", mirror->prefix, file->name);
    struct arriving arriving = {.fd = fd, .most = file->size};
    const struct http_sink sink = {.begin = begin, .write = write_some, .user = &arriving};
    const struct s3_object object = {.bucket = mirror->bucket, .key = key, .etag = file->etag};
    const struct s3_get get = {.sink = &sink,
                               .maximum_answer = MOST_BYTES,
                               .timeout_ns = FILE_TIME_NS,
                               .stall_timeout_ns = STALL_NS};
    struct s3_facts facts;
    struct aws_answer answer;
    int r = 0;

    if (key == NULL)
        return -ENOMEM;
    if (s3_get(mirror->client, &object, &get, &facts, &answer) != AWS_OK)
        r = complain(mirror, -EIO, file->name, answer.problem);
    else if (arriving.length != file->size)
        r = complain(mirror, -EIO, file->name, "it did not come whole");
    aws_answer_done(&answer);
    return r;
}

/* Under a name that is no signature's; then judged, then in its place at once. */
static int fetch(struct signature_mirror *mirror, const struct mirror_file *file)
{
    AUTO_CLOSE int fd = -1;

    int r = file_open_at(mirror->folder_fd, PART_NAME, O_RDWR | O_CREAT | O_TRUNC, FILE_MODE, &fd);
    if (r < 0)
        return complain(mirror, r, mirror->folder, log_error_text(r));
    r = download(mirror, file, fd);
    if (r == 0)
        r = judge(mirror, file, fd);
    if (r == 0 && (fchmod(fd, FILE_MODE) < 0 ||
                   renameat(mirror->folder_fd, PART_NAME, mirror->folder_fd, file->name) < 0))
        r = complain(mirror, -errno, file->name, log_error_text(-errno));
    if (r < 0)
        (void)unlinkat(mirror->folder_fd, PART_NAME, 0);
    return r;
}

static void remember(struct signature_mirror *mirror, const struct mirror_file *file)
{
    struct mirror_file *had = find(&mirror->had, file->name);

    if (had == NULL && mirror->had.count < MOST_FILES)
        had = &mirror->had.files[mirror->had.count++];
    if (had != NULL)
        *had = *file;
    log_info("signatures_fetched", "file", file->name, "bytes", log_number((int64_t)file->size),
             NULL);
    (void)pthread_mutex_lock(&mirror->lock);
    mirror->status.fetched++;
    (void)pthread_mutex_unlock(&mirror->lock);
}

/* ---- all of them ---- */

static DIR *open_entries(const struct signature_mirror *mirror)
{
    int own = -1;

    if (file_open_at(mirror->folder_fd, ".", O_RDONLY | O_DIRECTORY, 0, &own) < 0)
        return NULL;
    DIR *directory = fdopendir(own);
    if (directory == NULL)
        (void)close(own);
    return directory;
}

/* Whoever put it there: the folder outlives us, and what left the mirror meanwhile is still in it.
 */
static void remove_from_folder(struct signature_mirror *mirror,
                               bool (*leaves)(struct signature_mirror *mirror, const char *name))
{
    DIR *directory = open_entries(mirror);

    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (!leaves(mirror, entry->d_name) || unlinkat(mirror->folder_fd, entry->d_name, 0) < 0)
            continue;
        log_info("signatures_removed", "file", entry->d_name, NULL);
    }
    (void)closedir(directory);
}

static bool has_left(struct signature_mirror *mirror, const char *name)
{
    return signature_file_kind(name) != SIGNATURE_OTHER && find(&mirror->listed, name) == NULL;
}

static bool is_unsigned(struct signature_mirror *mirror UNUSED, const char *name)
{
    return signature_file_kind(name) == SIGNATURE_UNSIGNED;
}

static void remove_what_left(struct signature_mirror *mirror)
{
    struct mirror_files *had = &mirror->had;

    for (size_t i = had->count; i > 0; i--) {
        if (find(&mirror->listed, had->files[i - 1].name) == NULL)
            had->files[i - 1] = had->files[--had->count];
    }
    remove_from_folder(mirror, has_left);
}

static int look(struct signature_mirror *mirror)
{
    int r = list(mirror);

    for (size_t i = 0; r != -EIO && r != -ENOENT && i < mirror->listed.count; i++) {
        const struct mirror_file *file = &mirror->listed.files[i];
        const struct mirror_file *had = find(&mirror->had, file->name);
        if (is_ending(mirror))
            return -ECANCELED;
        if (had != NULL && text_equal(had->etag, file->etag))
            continue;
        int one = fetch(mirror, file);
        if (one == 0)
            remember(mirror, file);
        else
            r = one == -EIO ? -EAGAIN : one; /* the others are tried, too */
    }
    if (r == 0)
        remove_what_left(mirror);
    return r;
}

static void note_look(struct signature_mirror *mirror, int error)
{
    (void)pthread_mutex_lock(&mirror->lock);
    mirror->looked = true;
    if (error == 0) {
        mirror->status.checked_ns = clock_realtime_ns();
        mirror->status.problem[0] = '\0';
    }
    (void)pthread_cond_broadcast(&mirror->changed);
    (void)pthread_mutex_unlock(&mirror->lock);
}

static void *run(void *user)
{
    struct signature_mirror *mirror = user;
    const uint64_t period_ns = storage_settings_number(mirror->settings, STORAGE_MIRROR_PERIOD);

    while (!is_ending(mirror)) {
        int r = look(mirror);
        note_look(mirror, r);
        uint64_t pause_ns =
            r < 0 && mirror->had.count == 0 ? MIN(TRY_AGAIN_NS, period_ns) : period_ns;
        struct timespec until = clock_deadline(pause_ns);
        (void)pthread_mutex_lock(&mirror->lock);
        for (int waited = 0; waited == 0 && !is_ending(mirror);)
            waited =
                pthread_cond_clockwait(&mirror->changed, &mirror->lock, CLOCK_MONOTONIC, &until);
        (void)pthread_mutex_unlock(&mirror->lock);
    }
    return NULL;
}

/* ---- start and end ---- */

/* "s3://BUCKET/PREFIX", with or without "/" at its end. */
static int divide_url(const char *url, struct signature_mirror *mirror)
{
    static const char scheme[] = "s3://";
    const char *bucket = url + sizeof scheme - 1;

    if (!text_starts_with(url, scheme))
        return -EINVAL;
    size_t length = strcspn(bucket, "/");
    const char *prefix = bucket[length] == '/' ? bucket + length + 1 : "";
    bool ends = prefix[0] == '\0' || text_ends_with(prefix, "/");
    if (length == 0 || length >= S3_BUCKET_BYTES || strlen(prefix) >= S3_KEY_BYTES / 2)
        return -EINVAL;
    mirror->bucket = text_format_new("%.*s", (int)length, bucket);
    mirror->prefix = text_format_new("%s%s", prefix, ends ? "" : "/");
    return mirror->bucket != NULL && mirror->prefix != NULL ? 0 : -ENOMEM;
}

/* What is not in the mirror is removed from its folder: it is nobody else's. */
static bool is_own_folder(const struct signature_mirror *mirror)
{
    char *const *others = storage_settings_list(mirror->settings, STORAGE_DATABASES);

    for (size_t i = 0; others != NULL && others[i] != NULL; i++) {
        struct stat other, own;
        if (stat(others[i], &other) == 0 && fstat(mirror->folder_fd, &own) == 0 &&
            other.st_dev == own.st_dev && other.st_ino == own.st_ino)
            return false;
    }
    return true;
}

static int open_folder(struct signature_mirror *mirror)
{
    int r = file_make_directories(mirror->folder, FOLDER_MODE);

    if (r == 0)
        r = file_open_directory(mirror->folder, true, &mirror->folder_fd);
    if (r < 0)
        log_error("mirror_folder_refused", "path", mirror->folder, "problem", log_error_text(r),
                  "cure", "set mirror.directory to a folder that can be written", NULL);
    if (r == 0 && !is_own_folder(mirror)) {
        r = -EINVAL;
        log_error("mirror_folder_refused", "path", mirror->folder, "problem",
                  "scanner.databases names it, too", "cure",
                  "set mirror.directory to a folder of its own", NULL);
    }
    return r;
}

static int start(struct signature_mirror *mirror, const char *url, const struct aws_settings *aws)
{
    int r = divide_url(url, mirror);

    if (r == -EINVAL)
        log_error("mirror_refused", "url", url, "cure", "set mirror.url to s3://BUCKET/PREFIX",
                  NULL);
    if (r == 0)
        r = open_folder(mirror);
    if (r == 0 && !mirror->takes_unsigned) /* whether the mirror can be reached or not */
        remove_from_folder(mirror, is_unsigned);
    if (r == 0)
        r = aws_client_new(aws, NULL, &mirror->client);
    if (r < 0)
        return r;
    aws_client_set_cancel(mirror->client, is_ending, mirror);
    r = -pthread_create(&mirror->thread, NULL, run, mirror);
    mirror->running = r == 0;
    return r;
}

int signature_mirror_start(const struct storage_settings *settings, const struct aws_settings *aws,
                           struct signature_mirror **ret_mirror)
{
    const char *url = storage_settings_text(settings, STORAGE_MIRROR);

    *ret_mirror = NULL;
    if (url[0] == '\0')
        return 0;
    struct signature_mirror *mirror = calloc(1, sizeof *mirror);
    if (mirror == NULL)
        return -ENOMEM;
    mirror->settings = settings;
    mirror->folder = storage_settings_text(settings, STORAGE_MIRROR_DIRECTORY);
    mirror->folder_fd = -1;
    mirror->takes_unsigned = storage_settings_number(settings, STORAGE_MIRROR_UNSIGNED) != 0;
    (void)pthread_mutex_init(&mirror->lock, NULL);
    (void)pthread_cond_init(&mirror->changed, NULL);
    int r = start(mirror, url, aws);
    if (r < 0) {
        (void)signature_mirror_stop(mirror);
        return r;
    }
    *ret_mirror = mirror;
    return 0;
}

void signature_mirror_abandon(struct signature_mirror *mirror)
{
    if (mirror == NULL)
        return;
    (void)pthread_mutex_lock(&mirror->lock);
    __atomic_store_n(&mirror->ending, true, __ATOMIC_RELAXED);
    (void)pthread_cond_broadcast(&mirror->changed);
    (void)pthread_mutex_unlock(&mirror->lock);
}

struct signature_mirror *signature_mirror_stop(struct signature_mirror *mirror)
{
    if (mirror == NULL)
        return NULL;
    signature_mirror_abandon(mirror);
    if (mirror->running)
        (void)pthread_join(mirror->thread, NULL);
    (void)aws_client_free(mirror->client);
    if (mirror->folder_fd >= 0)
        (void)close(mirror->folder_fd);
    (void)pthread_cond_destroy(&mirror->changed);
    (void)pthread_mutex_destroy(&mirror->lock);
    free(mirror->bucket);
    free(mirror->prefix);
    free(mirror);
    return NULL;
}

/* ---- callers ---- */

static bool has_signatures(const struct signature_mirror *mirror)
{
    DIR *directory = open_entries(mirror);
    bool found = false;

    if (directory == NULL)
        return false;
    for (const struct dirent *entry; !found && (entry = readdir(directory)) != NULL;)
        found = signature_file_kind(entry->d_name) != SIGNATURE_OTHER;
    (void)closedir(directory);
    return found;
}

bool signature_mirror_wait(struct signature_mirror *mirror)
{
    (void)pthread_mutex_lock(&mirror->lock);
    while (!mirror->looked && !is_ending(mirror))
        (void)pthread_cond_wait(&mirror->changed, &mirror->lock);
    (void)pthread_mutex_unlock(&mirror->lock);
    return has_signatures(mirror);
}

const char *signature_mirror_folder(const struct signature_mirror *mirror)
{
    return mirror->folder;
}

void signature_mirror_status(struct signature_mirror *mirror,
                             struct signature_mirror_status *ret_status)
{
    (void)pthread_mutex_lock(&mirror->lock);
    *ret_status = mirror->status;
    (void)pthread_mutex_unlock(&mirror->lock);
}
