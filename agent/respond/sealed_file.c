/* Owns: the layout of a sealed file. Must not own: its name and place, durability, the key. */
#include "agent/respond/sealed_file.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define MAGIC      "YGQF"
#define VERSION    1
#define HEAD_BYTES 12

void sealed_bytes_done(struct sealed_bytes *sealed)
{
    free(sealed->data);
    *sealed = (struct sealed_bytes){0};
}

static void make_head(uint8_t head[static HEAD_BYTES], size_t sealed_length)
{
    memset(head, 0, HEAD_BYTES);
    memcpy(head, MAGIC, 4);
    head[4] = VERSION;
    for (size_t i = 0; i < 4; i++)
        head[8 + i] = (uint8_t)(sealed_length >> (8 * i));
}

/* 0 when the head is none. */
static size_t parse_head(const uint8_t head[static HEAD_BYTES])
{
    uint8_t expected[HEAD_BYTES];
    size_t length = 0;

    for (size_t i = 0; i < 4; i++)
        length |= (size_t)head[8 + i] << (8 * i);
    if (length <= AEAD_SEAL_BYTES || length > LIMIT_QUARANTINE_HEADER)
        return 0;
    make_head(expected, length);
    return memcmp(head, expected, HEAD_BYTES) == 0 ? length : 0;
}

static int write_at_start(int fd, const uint8_t *bytes, size_t length)
{
    size_t done = 0;

    while (done < length) {
        ssize_t written = pwrite(fd, bytes + done, length - done, (off_t)done);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        done += (size_t)written;
    }
    return 0;
}

static int write_facts(const uint8_t *key, const struct quarantine_facts *facts, int fd)
{
    AUTO_BUFFER struct buffer plain = BUFFER_WITH_MAXIMUM(LIMIT_QUARANTINE_HEADER);
    AUTO_FREE uint8_t *front = NULL;
    size_t length;
    int r;

    r = quarantine_facts_encode(facts, &plain);
    if (r < 0)
        return r;
    length = plain.length + AEAD_SEAL_BYTES;
    front = malloc(HEAD_BYTES + length);
    if (!front)
        return -ENOMEM;
    make_head(front, length);
    r = aead_seal(key, front, HEAD_BYTES, plain.data, plain.length, front + HEAD_BYTES);
    if (r < 0)
        return r;
    return write_at_start(fd, front, HEAD_BYTES + length);
}

static int skip_facts(const struct quarantine_facts *facts, int fd)
{
    AUTO_BUFFER struct buffer plain = BUFFER_WITH_MAXIMUM(LIMIT_QUARANTINE_HEADER);
    int r;

    r = quarantine_facts_encode(facts, &plain);
    if (r < 0)
        return r;
    if (plain.length + AEAD_SEAL_BYTES > LIMIT_QUARANTINE_HEADER)
        return -EMSGSIZE;
    return lseek(fd, (off_t)(HEAD_BYTES + plain.length + AEAD_SEAL_BYTES), SEEK_SET) < 0 ? -errno
                                                                                         : 0;
}

static void free_hash(struct sha256 **hash)
{
    *hash = sha256_free(*hash);
}

static int seal_content(const uint8_t *key, struct quarantine_facts *facts, int source_fd, int fd,
                        uint64_t maximum)
{
    CLEANUP(free_hash) struct sha256 *hash = NULL;
    uint8_t digest[SHA256_BYTES];
    int r;

    r = sha256_new(&hash);
    if (r < 0)
        return r;
    r = aead_seal_fd(key, facts->id, source_fd, fd, maximum, hash, &facts->size);
    if (r < 0)
        return r;
    r = sha256_finish(hash, digest);
    if (r < 0)
        return r;
    text_hex(facts->sha256, digest, sizeof(digest));
    return 0;
}

int sealed_file_fill(const uint8_t key[static AEAD_KEY_BYTES], struct quarantine_facts *facts,
                     int source_fd, uint64_t maximum, int fd)
{
    int r;

    r = skip_facts(facts, fd);
    if (r == 0)
        r = seal_content(key, facts, source_fd, fd, maximum);
    return r < 0 ? r : write_facts(key, facts, fd);
}

int sealed_file_write(const uint8_t key[static AEAD_KEY_BYTES], struct quarantine_facts *facts,
                      int source_fd, uint64_t maximum, int directory_fd, const char *name,
                      int *ret_fd)
{
    AUTO_CLOSE int fd = -1;
    int r;

    r = file_open_at(directory_fd, name, O_RDWR | O_CREAT | O_TRUNC, 0600, &fd);
    if (r < 0)
        return r;
    r = sealed_file_fill(key, facts, source_fd, maximum, fd);
    if (r < 0) {
        (void)unlinkat(directory_fd, name, 0);
        return r;
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

int sealed_file_read_facts(const uint8_t key[static AEAD_KEY_BYTES], int fd,
                           struct quarantine_facts *ret_facts)
{
    uint8_t head[HEAD_BYTES];
    AUTO_FREE uint8_t *sealed = NULL, *plain = NULL;
    size_t length;
    ssize_t got;
    int r;

    got = file_read(fd, head, sizeof(head));
    if (got < 0)
        return (int)got;
    length = got == sizeof(head) ? parse_head(head) : 0;
    if (length == 0)
        return -EBADMSG;
    sealed = malloc(length);
    plain = malloc(length);
    if (!sealed || !plain)
        return -ENOMEM;
    got = file_read(fd, sealed, length);
    if (got < 0)
        return (int)got;
    if ((size_t)got != length)
        return -EBADMSG;
    r = aead_open(key, head, sizeof(head), sealed, length, plain);
    if (r < 0)
        return r;
    return quarantine_facts_decode(plain, length - AEAD_SEAL_BYTES, ret_facts);
}

int sealed_file_read_content(const uint8_t key[static AEAD_KEY_BYTES], int fd,
                             const struct quarantine_facts *facts, int target_fd)
{
    CLEANUP(free_hash) struct sha256 *hash = NULL;
    uint8_t digest[SHA256_BYTES];
    char hex[SHA256_HEX_BYTES];
    uint64_t bytes;
    int r;

    r = sha256_new(&hash);
    if (r < 0)
        return r;
    r = aead_open_fd(key, facts->id, fd, target_fd, hash, &bytes);
    if (r < 0)
        return r;
    r = sha256_finish(hash, digest);
    if (r < 0)
        return r;
    text_hex(hex, digest, sizeof(digest));
    return bytes == facts->size && text_equal(hex, facts->sha256) ? 0 : -EBADMSG;
}
