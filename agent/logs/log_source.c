/* Owns: which file stands behind a log's name, and which stood there before. Must not own: lines.
 */
#include "agent/logs/log_source.h"

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { BEGINNING_BYTES = 256, MOST_SIBLINGS = 4096 };

/* Writers go on writing to a renamed file until they are told. */
static const uint64_t SETTLE_NS = 10 * NS_PER_SECOND;

int log_source_init(struct log_source *source, const char *path)
{
    *source = (struct log_source){.path = strdup(path)};
    if (source->path == NULL)
        return -ENOMEM;
    source->name = strrchr(source->path, '/') + 1;
    return 0;
}

static void drop(struct log_source *source, size_t index)
{
    (void)close(source->generations[index].fd);
    source->count--;
    memmove(&source->generations[index], &source->generations[index + 1],
            (source->count - index) * sizeof source->generations[0]);
    source->changed = true;
}

void log_source_done(struct log_source *source)
{
    while (source->count > 0)
        drop(source, source->count - 1);
    free(source->path);
    source->path = NULL;
}

/* ---- which file it is ---- */

static int digest_beginning(int fd, uint32_t length, uint8_t digest[static SHA256_BYTES])
{
    uint8_t bytes[BEGINNING_BYTES];
    ssize_t got = file_read_at(fd, bytes, length, 0);

    if (got < 0)
        return (int)got;
    return (size_t)got == length ? hash_sha256(bytes, length, digest) : -ESTALE;
}

static int identify(int fd, const struct stat *status, struct log_file_id *ret_id)
{
    struct log_file_id id = {.device = status->st_dev,
                             .inode = status->st_ino,
                             .length = (uint32_t)MIN(status->st_size, BEGINNING_BYTES)};
    int r = digest_beginning(fd, id.length, id.digest);

    if (r == 0)
        *ret_id = id;
    return r;
}

static bool begins_alike(int fd, const struct log_file_id *id)
{
    uint8_t digest[SHA256_BYTES];

    return digest_beginning(fd, id->length, digest) == 0 &&
           memcmp(digest, id->digest, sizeof digest) == 0;
}

static bool is_file(int fd, const struct stat *status, const struct log_file_id *id)
{
    return status->st_dev == id->device && status->st_ino == id->inode && begins_alike(fd, id);
}

/* ---- generations ---- */

/* Takes fd. Beyond the limit the oldest is given up. */
static void add(struct log_source *source, size_t index, struct log_generation generation,
                enum log_notice *notice)
{
    if (source->count == LIMIT_LOG_GENERATIONS) {
        drop(source, 0);
        *notice = LOG_NOTICE_LOST;
        index = index > 0 ? index - 1 : 0;
    }
    memmove(&source->generations[index + 1], &source->generations[index],
            (source->count - index) * sizeof source->generations[0]);
    source->generations[index] = generation;
    source->count++;
    source->changed = true;
}

static struct log_generation *current(struct log_source *source)
{
    struct log_generation *last =
        source->count > 0 ? &source->generations[source->count - 1] : NULL;

    return last != NULL && last->rotated_ns == 0 ? last : NULL;
}

static bool has_inode(const struct log_source *source, const struct stat *status)
{
    for (size_t i = 0; i < source->count; i++)
        if (source->generations[i].id.device == status->st_dev &&
            source->generations[i].id.inode == status->st_ino)
            return true;
    return false;
}

/* ---- siblings: what the file was renamed or copied to ---- */

struct sibling {
    int fd;
    struct stat status;
};

/* ".1", "-20261130", "-20261130-1764480000": not what is compressed. */
static bool is_rotated_name(const char *name, const char *base)
{
    size_t length = strlen(base);

    if (!text_starts_with(name, base) || (name[length] != '.' && name[length] != '-') ||
        name[length + 1] == '\0')
        return false;
    for (const char *at = name + length + 1; *at != '\0'; at++)
        if (!isdigit((unsigned char)*at) && *at != '.' && *at != '-')
            return false;
    return true;
}

/* Calls take for each; it may take the descriptor (and set it to -1). < 0: take's. */
static int for_each_sibling(const struct log_source *source,
                            int (*take)(void *user, struct sibling *sibling), void *user)
{
    AUTO_FREE char *folder = text_new(source->path, (size_t)(source->name - source->path));
    struct dirent *entry;
    int directory_fd, r;

    if (folder == NULL)
        return -ENOMEM;
    r = file_open_directory(folder, true, &directory_fd);
    if (r < 0)
        return r;
    DIR *directory = fdopendir(directory_fd);
    if (directory == NULL) {
        (void)close(directory_fd);
        return -ENOMEM;
    }
    for (int seen = 0; r >= 0 && seen < MOST_SIBLINGS && (entry = readdir(directory)) != NULL;) {
        struct sibling sibling;
        if (!is_rotated_name(entry->d_name, source->name))
            continue;
        seen++;
        if (file_open_regular(directory_fd, entry->d_name, &sibling.fd, &sibling.status) < 0)
            continue;
        r = take(user, &sibling);
        if (sibling.fd >= 0)
            (void)close(sibling.fd);
    }
    (void)closedir(directory);
    return MIN(r, 0);
}

struct search {
    const struct log_source *source;
    const struct log_file_id *id;
    uint64_t offset;
    bool by_content; /* a copy: another inode with the same beginning */
    int fd;
    struct stat status;
};

static int find_one(void *user, struct sibling *sibling)
{
    struct search *search = user;
    bool is_it = search->by_content
                     ? search->id->length > 0 && begins_alike(sibling->fd, search->id) &&
                           !has_inode(search->source, &sibling->status)
                     : is_file(sibling->fd, &sibling->status, search->id);

    if (search->fd >= 0 || !is_it || (uint64_t)sibling->status.st_size < search->offset)
        return 0;
    search->status = sibling->status;
    search->fd = TAKE_FD(sibling->fd);
    return 0;
}

static int find_sibling(const struct log_source *source, const struct log_file_id *id,
                        uint64_t offset, bool by_content, struct search *ret_search)
{
    *ret_search = (struct search){
        .source = source, .id = id, .offset = offset, .by_content = by_content, .fd = -1};
    int r = for_each_sibling(source, find_one, ret_search);

    if (r == 0)
        return ret_search->fd >= 0 ? 0 : -ENOENT;
    if (ret_search->fd >= 0)
        (void)close(ret_search->fd);
    return r;
}

/* What was found, to be read on from offset: a copy is another file than the one it was made of. */
static struct log_generation rotated_to(const struct search *search, uint64_t now_ns)
{
    struct log_generation generation = {.id = *search->id,
                                        .fd = search->fd,
                                        .offset = search->offset,
                                        .size = (uint64_t)search->status.st_size,
                                        .rotated_ns = now_ns};

    generation.id.device = search->status.st_dev;
    generation.id.inode = search->status.st_ino;
    return generation;
}

struct between {
    struct log_source *source;
    const struct stat *now;
    struct timespec since;
    uint64_t now_ns;
    size_t first; /* where they begin among the generations */
    enum log_notice *notice;
};

static bool is_older(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* In the order in which they were last written. */
static int take_between(void *user, struct sibling *sibling)
{
    struct between *between = user;
    struct log_source *source = between->source;
    struct log_generation generation = {.fd = sibling->fd,
                                        .size = (uint64_t)sibling->status.st_size,
                                        .rotated_ns = between->now_ns};
    struct stat status;
    size_t at = between->first;

    if (is_older(sibling->status.st_mtim, between->since) || sibling->status.st_size == 0 ||
        has_inode(source, &sibling->status) ||
        (sibling->status.st_dev == between->now->st_dev &&
         sibling->status.st_ino == between->now->st_ino))
        return 0;
    int r = identify(sibling->fd, &sibling->status, &generation.id);
    if (r < 0)
        return r == -ESTALE ? 0 : r;
    while (at < source->count && fstat(source->generations[at].fd, &status) == 0 &&
           is_older(status.st_mtim, sibling->status.st_mtim))
        at++;
    sibling->fd = -1;
    add(source, at, generation, between->notice);
    return 0;
}

/* The file at the name is another one: those that stood there in between were rotated, too. */
static int add_between(struct log_source *source, const struct stat *now, struct timespec since,
                       uint64_t now_ns, enum log_notice *notice)
{
    struct between between = {source, now, since, now_ns, source->count, notice};

    return for_each_sibling(source, take_between, &between);
}

/* ---- looking ---- */

static int add_current(struct log_source *source, int fd, const struct stat *status,
                       uint64_t offset, enum log_notice *notice)
{
    struct log_generation generation = {.fd = fd,
                                        .offset = offset,
                                        .size = (uint64_t)status->st_size};
    int r = identify(fd, status, &generation.id);

    if (r < 0) {
        (void)close(fd);
        return r == -ESTALE ? 0 : r; /* it shrank meanwhile: the next look sees it */
    }
    add(source, source->count, generation, notice);
    return 0;
}

/* Copied and emptied, or only emptied. */
static int was_emptied(struct log_source *source, struct log_generation *generation,
                       const struct stat *status, uint64_t now_ns, enum log_notice *notice)
{
    const struct log_file_id id = generation->id;
    uint64_t offset = generation->offset;
    struct search copy;
    int r = find_sibling(source, &id, offset, true, &copy);

    if (r < 0 && r != -ENOENT)
        return r;
    generation->offset = 0;
    generation->size = (uint64_t)status->st_size;
    source->changed = true;
    r = identify(generation->fd, status, &generation->id);
    if (copy.fd < 0) {
        if (offset > 0)
            *notice = LOG_NOTICE_EMPTIED;
        return r == -ESTALE ? 0 : r;
    }
    add(source, (size_t)(generation - source->generations), rotated_to(&copy, now_ns), notice);
    return r == -ESTALE ? 0 : r;
}

static int look_at(struct log_source *source, struct log_generation *generation, uint64_t now_ns,
                   enum log_notice *notice)
{
    struct stat status;

    if (fstat(generation->fd, &status) < 0)
        return -errno;
    uint64_t size = (uint64_t)status.st_size;
    if (size == generation->size && size >= generation->offset)
        return 0;
    if (size < generation->offset || !begins_alike(generation->fd, &generation->id))
        return was_emptied(source, generation, &status, now_ns, notice);
    generation->size = size;
    if (generation->id.length < BEGINNING_BYTES) {
        int r = identify(generation->fd, &status, &generation->id);
        return r == -ESTALE ? 0 : r;
    }
    return 0;
}

static int look_at_all(struct log_source *source, uint64_t now_ns, enum log_notice *notice)
{
    for (size_t i = 0; i < source->count; i++) {
        size_t before = source->count;
        int r = look_at(source, &source->generations[i], now_ns, notice);
        if (r < 0)
            return r;
        i += source->count > before ? source->count - before : 0;
    }
    return 0;
}

static void rotate(struct log_source *source, uint64_t now_ns)
{
    for (size_t i = 0; i < source->count; i++)
        if (source->generations[i].rotated_ns == 0)
            source->generations[i].rotated_ns = now_ns;
}

/* Another file stands at the name. Takes fd. */
static int replace_current(struct log_source *source, int fd, const struct stat *status,
                           uint64_t now_ns, enum log_notice *notice)
{
    struct stat before = {.st_size = 0};

    rotate(source, now_ns);
    if (source->count > 0 && fstat(source->generations[source->count - 1].fd, &before) == 0) {
        int r = add_between(source, status, before.st_mtim, now_ns, notice);
        if (r < 0) {
            (void)close(fd);
            return r;
        }
    }
    return add_current(source, fd, status, 0, notice);
}

int log_source_look(struct log_source *source, uint64_t now_ns, enum log_notice *ret_notice)
{
    struct log_generation *last = current(source);
    AUTO_CLOSE int fd = -1;
    struct stat status;

    *ret_notice = LOG_NOTICE_NONE;
    int r = file_open_regular(AT_FDCWD, source->path, &fd, &status);
    if (r == -ENOENT) {
        rotate(source, now_ns);
        return look_at_all(source, now_ns, ret_notice);
    }
    if (r < 0)
        return r;
    if (last == NULL || last->id.device != status.st_dev || last->id.inode != status.st_ino) {
        r = replace_current(source, TAKE_FD(fd), &status, now_ns, ret_notice);
        if (r < 0)
            return r;
    }
    return look_at_all(source, now_ns, ret_notice);
}

/* ---- beginning ---- */

static bool take_u64(const char **at, uint64_t *ret_value)
{
    char digits[24];
    size_t length = strspn(*at, "0123456789");

    if (length == 0 || length >= sizeof digits || (*at)[length] != ':')
        return false;
    (void)text_format(digits, sizeof digits, "%.*s", (int)length, *at);
    *at += length + 1;
    return text_parse_u64(digits, ret_value) == 0;
}

/* "device:inode:offset:length:digest;" */
static bool take_saved(const char **at, struct log_file_id *id, uint64_t *offset)
{
    char hex[2 * SHA256_BYTES + 1];
    uint64_t length;

    if (!take_u64(at, &id->device) || !take_u64(at, &id->inode) || !take_u64(at, offset) ||
        !take_u64(at, &length) || length > BEGINNING_BYTES || strnlen(*at, sizeof hex) < sizeof hex)
        return false;
    id->length = (uint32_t)length;
    (void)text_format(hex, sizeof hex, "%.*s", (int)sizeof hex - 1, *at);
    *at += sizeof hex - 1;
    return text_parse_hex(hex, id->digest, sizeof id->digest) == 0 && *(*at)++ == ';';
}

/* A file that was followed before: where it stands now, under whatever name. */
static int find_saved(struct log_source *source, const struct log_file_id *id, uint64_t offset,
                      uint64_t now_ns, enum log_notice *notice)
{
    AUTO_CLOSE int fd = -1;
    struct search search;
    struct stat status;
    int r = file_open_regular(AT_FDCWD, source->path, &fd, &status);

    if (r == 0 && is_file(fd, &status, id)) {
        const struct log_generation here = {.id = *id, .fd = TAKE_FD(fd), .offset = offset};
        add(source, source->count, here, notice);
        return 0;
    }
    r = find_sibling(source, id, offset, false, &search);
    if (r == -ENOENT)
        r = find_sibling(source, id, offset, true, &search);
    if (r == -ENOENT)
        *notice = LOG_NOTICE_LOST;
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    add(source, source->count, rotated_to(&search, now_ns), notice);
    return 0;
}

static int begin_at_end(struct log_source *source)
{
    enum log_notice ignored = LOG_NOTICE_NONE;
    struct stat status;
    int fd, r = file_open_regular(AT_FDCWD, source->path, &fd, &status);

    source->known = source->changed = true;
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    return add_current(source, fd, &status, (uint64_t)status.st_size, &ignored);
}

int log_source_begin(struct log_source *source, const char *position, uint64_t now_ns,
                     enum log_notice *ret_notice)
{
    int r = 0;

    *ret_notice = LOG_NOTICE_NONE;
    if (position == NULL)
        return begin_at_end(source);
    source->known = true;
    while (*position != '\0' && r == 0) {
        struct log_file_id id;
        uint64_t offset;
        if (!take_saved(&position, &id, &offset))
            return 0; /* not ours: the file is read from its beginning */
        r = find_saved(source, &id, offset, now_ns, ret_notice);
    }
    return r;
}

/* ---- reading ---- */

struct log_generation *log_source_next(struct log_source *source, uint64_t now_ns, bool *ret_final)
{
    for (size_t i = 0; i < source->count;) {
        struct log_generation *generation = &source->generations[i];
        bool settled = generation->rotated_ns != 0 && now_ns - generation->rotated_ns >= SETTLE_NS;
        *ret_final = settled;
        if (generation->size > generation->offset)
            return generation;
        if (settled)
            drop(source, i);
        else
            i++;
    }
    return NULL;
}

void log_source_advance(struct log_source *source, struct log_generation *generation,
                        uint64_t offset, bool final)
{
    if (offset != generation->offset) {
        source->narrow -= MIN(source->narrow, offset - generation->offset);
        generation->offset = offset;
        source->changed = true;
    } else if (!final) {
        generation->size = offset; /* part of a line: there is nothing to read until it grows */
    }
    source->failures = 0;
}

uint64_t log_source_lag(const struct log_source *source)
{
    uint64_t lag = 0;

    for (size_t i = 0; i < source->count; i++)
        if (source->generations[i].size > source->generations[i].offset)
            lag += source->generations[i].size - source->generations[i].offset;
    return lag;
}

char *log_source_position(const struct log_source *source)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_LOG_GENERATIONS * 256);
    char hex[2 * SHA256_BYTES + 1];

    for (size_t i = 0; i < source->count; i++) {
        const struct log_generation *generation = &source->generations[i];
        text_hex(hex, generation->id.digest, SHA256_BYTES);
        (void)buffer_append_format(&text, "%" PRIu64 ":%" PRIu64 ":%" PRIu64 ":%" PRIu32 ":%s;",
                                   generation->id.device, generation->id.inode, generation->offset,
                                   generation->id.length, hex);
    }
    return text.length > 0 ? buffer_take(&text) : strdup("");
}
