/* One object at a time. Owns: where it is kept while it is scanned, and whether all of it came.
 * Hands off: large ones to fetch_parts.c; the descriptor to whoever scans. */
#include "storage/scan/fetch.h"

#include "common/crypto/random.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/scan/fetch_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define LEAST_TIME_NS (100 * NS_PER_MS)

/* ---- space ---- */

/* Where the file system has no unnamed files: named for a moment. */
static int open_unlinked(const char *directory, int *ret_fd)
{
    uint64_t number;

    int r = random_bytes(&number, sizeof number);
    if (r < 0)
        return r;
    AUTO_FREE char *path =
        text_format_new("%s/yagura-object-%016llx", directory, (unsigned long long)number);
    if (path == NULL)
        return -ENOMEM;
    r = file_open_at(AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL, 0600, ret_fd);
    if (r == 0 && unlink(path) < 0)
        r = -errno;
    return r;
}

int fetch_open_space(const struct fetch_limits *limits, uint64_t size, int *ret_fd)
{
    if (size <= limits->memory) {
        *ret_fd = memfd_create("object", MFD_CLOEXEC);
        return *ret_fd >= 0 ? 0 : -errno;
    }
    int r = file_open_at(AT_FDCWD, limits->directory, O_TMPFILE | O_RDWR, 0600, ret_fd);
    return r == -EOPNOTSUPP || r == -EISDIR ? open_unlinked(limits->directory, ret_fd) : r;
}

uint64_t fetch_time_left(uint64_t deadline_ns)
{
    uint64_t now = clock_monotonic_ns();

    return deadline_ns > now + LEAST_TIME_NS ? deadline_ns - now : LEAST_TIME_NS;
}

void fetched_done(struct fetched *fetched)
{
    if (fetched->fd >= 0)
        (void)close(fetched->fd);
    fetched->fd = -1;
}

/* ---- in one piece ---- */

struct taking {
    const struct fetch_limits *limits;
    bool size_known; /* from the event */
    uint64_t size;
    int fd;
    struct sha256 *hash;
    uint64_t length;
};

static int begin(void *user, const struct http_answer *answer)
{
    struct taking *taking = user;
    struct s3_facts facts;

    s3_facts_read(answer, &facts);
    if (facts.size > taking->limits->maximum)
        return -EFBIG;
    if (taking->fd >= 0)
        (void)close(taking->fd);
    taking->fd = -1;
    taking->hash = sha256_free(taking->hash);
    taking->length = 0;
    int r = fetch_open_space(taking->limits, facts.size, &taking->fd);
    return r == 0 ? sha256_new(&taking->hash) : r;
}

static int take(void *user, const void *bytes, size_t length)
{
    struct taking *taking = user;

    taking->length += length;
    if (taking->length > taking->limits->maximum)
        return -EFBIG;
    int r = file_write(taking->fd, bytes, length);
    return r == 0 ? sha256_update(taking->hash, bytes, length) : r;
}

static int finish_hash(struct sha256 *hash, char hex[static SHA256_HEX_BYTES])
{
    uint8_t digest[SHA256_BYTES];

    int r = sha256_finish(hash, digest);
    if (r == 0)
        text_hex(hex, digest, sizeof digest);
    return r;
}

static enum aws_outcome short_of_space(struct fetched *fetched, int error)
{
    (void)text_format(fetched->problem, sizeof fetched->problem,
                      "there is no room for the object: %s", log_error_text(error));
    return AWS_TAKER_FAILED;
}

/* An error may come in a good answer: it names no content, or not the one that was asked for. */
static bool is_asked_for(const struct s3_object *object, const struct s3_facts *facts)
{
    const char *etag = object->etag != NULL ? object->etag : facts->etag;
    size_t length = strlen(facts->etag), quote = etag[0] == '"';

    return length > 0 && strncmp(etag + quote, facts->etag, length) == 0 &&
           strlen(etag) == length + 2 * quote;
}

/* All of it came. An empty body has begun nothing. */
static enum aws_outcome settle(const struct s3_object *object, struct taking *taking,
                               struct fetched *fetched)
{
    int r = 0;

    if (!is_asked_for(object, &fetched->facts)) {
        (void)text_copy(fetched->problem, sizeof fetched->problem,
                        "the answer is not the object that was asked for");
        return AWS_UNAVAILABLE;
    }
    if (taking->length != fetched->facts.size ||
        (taking->size_known && taking->length != taking->size)) {
        (void)text_copy(fetched->problem, sizeof fetched->problem,
                        "the object came with another length than was said");
        return AWS_UNAVAILABLE;
    }
    if (taking->hash == NULL)
        r = begin(taking, &(struct http_answer){.status = 200});
    if (r == 0)
        r = finish_hash(taking->hash, fetched->sha256);
    if (r == 0 && lseek(taking->fd, 0, SEEK_SET) < 0)
        r = -errno;
    if (r < 0)
        return short_of_space(fetched, r);
    fetched->fd = TAKE_FD(taking->fd);
    return AWS_OK;
}

static enum aws_outcome fetch_whole(struct aws_client *client, const struct s3_object *object,
                                    struct taking taking, uint64_t deadline_ns,
                                    struct fetched *fetched)
{
    const struct http_sink sink = {begin, take, &taking};
    const struct s3_get get = {.sink = &sink,
                               .maximum_answer = 65536,
                               .timeout_ns = fetch_time_left(deadline_ns),
                               .stall_timeout_ns = FETCH_STALL_NS};
    struct aws_answer answer;

    enum aws_outcome outcome = s3_get(client, object, &get, &fetched->facts, &answer);
    (void)text_copy(fetched->problem, sizeof fetched->problem, answer.problem);
    (void)text_copy(fetched->code, sizeof fetched->code, answer.code);
    if (outcome == AWS_TAKER_FAILED && answer.taker_error == -EFBIG) {
        fetched->too_large = true;
        outcome = AWS_OK;
    } else if (outcome == AWS_TAKER_FAILED) {
        outcome = short_of_space(fetched, answer.taker_error);
    } else if (outcome == AWS_OK) {
        outcome = settle(object, &taking, fetched);
        fetched->by_one_get = outcome == AWS_OK;
    }
    aws_answer_done(&answer);
    if (taking.fd >= 0)
        (void)close(taking.fd);
    (void)sha256_free(taking.hash);
    return outcome;
}

/* ---- which way ---- */

static enum aws_outcome ask_facts(struct aws_client *client, const struct s3_object *object,
                                  struct fetched *fetched)
{
    struct aws_answer answer;

    enum aws_outcome outcome = s3_head(client, object, &fetched->facts, &answer);
    (void)text_copy(fetched->problem, sizeof fetched->problem, answer.problem);
    (void)text_copy(fetched->code, sizeof fetched->code, answer.code);
    aws_answer_done(&answer);
    return outcome;
}

/* In parts, each of them of the very content that the facts are of. */
static enum aws_outcome fetch_large(struct fetch_pool *pool, const struct fetch_limits *limits,
                                    const struct s3_object *object, uint64_t deadline_ns,
                                    struct fetched *fetched)
{
    struct s3_object pinned = *object;

    pinned.etag = fetched->facts.etag;
    if (pinned.version == NULL && fetched->facts.version[0] != '\0')
        pinned.version = fetched->facts.version;
    int r = fetch_open_space(limits, fetched->facts.size, &fetched->fd);
    if (r < 0)
        return short_of_space(fetched, r);
    enum aws_outcome outcome = fetch_parts(pool, limits->part, &pinned, deadline_ns, fetched);
    if (outcome != AWS_OK)
        fetched_done(fetched);
    return outcome;
}

enum aws_outcome fetch_object(struct aws_client *client, struct fetch_pool *pool,
                              const struct fetch_limits *limits, const struct s3_object *object,
                              bool size_known, uint64_t size, uint64_t deadline_ns,
                              struct fetched *ret_fetched)
{
    const struct taking taking = {
        .limits = limits, .fd = -1, .size_known = size_known && object->etag != NULL, .size = size};

    *ret_fetched = (struct fetched){.fd = -1};
    if (!size_known || (size <= limits->maximum && (pool == NULL || size <= limits->part)))
        return fetch_whole(client, object, taking, deadline_ns, ret_fetched);
    enum aws_outcome outcome = ask_facts(client, object, ret_fetched);
    /* The answer to a HEAD has no words: a GET's says why. */
    if (outcome == AWS_REFUSED || outcome == AWS_DENIED)
        return fetch_whole(client, object, taking, deadline_ns, ret_fetched);
    if (outcome != AWS_OK)
        return outcome;
    if (ret_fetched->facts.size > limits->maximum) {
        ret_fetched->too_large = true;
        return AWS_OK;
    }
    if (pool == NULL || ret_fetched->facts.size <= limits->part)
        return fetch_whole(client, object, taking, deadline_ns, ret_fetched);
    return fetch_large(pool, limits, object, deadline_ns, ret_fetched);
}
