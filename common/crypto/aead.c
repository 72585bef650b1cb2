/* Owns: the sealed stream's format. Must not own: keys, what a label means, durability (callers
 * fsync). */
#include "common/crypto/aead.h"

#include "common/crypto/hash.h"
#include "common/crypto/random.h"
#include "common/files/file.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define CHUNK_BYTES 65536
#define MAGIC       "YGQ1"
#define MAGIC_BYTES 4

static EVP_CIPHER *algorithm;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch_algorithm(void)
{
    algorithm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

static void free_context(EVP_CIPHER_CTX **context)
{
    EVP_CIPHER_CTX_free(*context);
}
#define AUTO_CONTEXT CLEANUP(free_context)

/* The key schedule is set up once; chunks only change the nonce. */
static int start(const uint8_t *key, int encrypt, EVP_CIPHER_CTX **ret_context)
{
    (void)pthread_once(&fetched, fetch_algorithm);
    if (!algorithm)
        return -EOPNOTSUPP;
    *ret_context = EVP_CIPHER_CTX_new();
    if (!*ret_context)
        return -ENOMEM;
    return EVP_CipherInit_ex2(*ret_context, algorithm, key, NULL, encrypt, NULL) == 1 ? 0 : -ENOMEM;
}

static int update(EVP_CIPHER_CTX *context, uint8_t *to, const void *from, size_t length)
{
    int written;

    /* OpenSSL counts in int; every piece here is a chunk, a label or a header. */
    if (length > INT32_MAX)
        return -EFBIG;
    return EVP_CipherUpdate(context, to, &written, from, (int)length) == 1 ? 0 : -EIO;
}

struct piece {
    const uint8_t *nonce;
    const void *label;
    size_t label_length;
    const uint8_t *more_label;
    size_t more_length;
};

static int add_label(EVP_CIPHER_CTX *context, const struct piece *piece)
{
    int r = 0;

    if (EVP_CipherInit_ex2(context, NULL, NULL, piece->nonce, -1, NULL) != 1)
        return -EIO;
    if (piece->label_length > 0)
        r = update(context, NULL, piece->label, piece->label_length);
    if (r == 0 && piece->more_length > 0)
        r = update(context, NULL, piece->more_label, piece->more_length);
    return r;
}

static int encrypt(EVP_CIPHER_CTX *context, const struct piece *piece, const void *plaintext,
                   size_t length, uint8_t *sealed)
{
    int final;
    int r;

    r = add_label(context, piece);
    if (r < 0)
        return r;
    if (length > 0) {
        r = update(context, sealed, plaintext, length);
        if (r < 0)
            return r;
    }
    if (EVP_CipherFinal_ex(context, sealed + length, &final) != 1 ||
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_BYTES, sealed + length) != 1)
        return -EIO;
    return 0;
}

/* sealed: length bytes of ciphertext, then the tag. */
static int decrypt(EVP_CIPHER_CTX *context, const struct piece *piece, const uint8_t *sealed,
                   size_t length, void *plaintext)
{
    uint8_t tag[AEAD_TAG_BYTES], unused[AEAD_TAG_BYTES];
    int final;
    int r;

    memcpy(tag, sealed + length, sizeof(tag));
    r = add_label(context, piece);
    if (r < 0)
        return r;
    if (length > 0) {
        r = update(context, plaintext, sealed, length);
        if (r < 0)
            return r;
    }
    if (EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_BYTES, tag) != 1)
        return -EIO;
    return EVP_CipherFinal_ex(context, unused, &final) == 1 ? 0 : -EBADMSG;
}

int aead_seal(const uint8_t key[static AEAD_KEY_BYTES], const void *label, size_t label_length,
              const void *plaintext, size_t length, uint8_t *sealed)
{
    AUTO_CONTEXT EVP_CIPHER_CTX *context = NULL;
    struct piece piece = {.nonce = sealed, .label = label, .label_length = label_length};
    int r;

    r = random_bytes(sealed, AEAD_NONCE_BYTES);
    if (r < 0)
        return r;
    r = start(key, 1, &context);
    if (r < 0)
        return r;
    return encrypt(context, &piece, plaintext, length, sealed + AEAD_NONCE_BYTES);
}

int aead_open(const uint8_t key[static AEAD_KEY_BYTES], const void *label, size_t label_length,
              const uint8_t *sealed, size_t length, void *plaintext)
{
    AUTO_CONTEXT EVP_CIPHER_CTX *context = NULL;
    struct piece piece = {.nonce = sealed, .label = label, .label_length = label_length};
    int r;

    if (length < AEAD_SEAL_BYTES)
        return -EBADMSG;
    r = start(key, 0, &context);
    if (r < 0)
        return r;
    return decrypt(context, &piece, sealed + AEAD_NONCE_BYTES, length - AEAD_SEAL_BYTES, plaintext);
}

/* What stands before and beside each chunk. */
struct stream {
    EVP_CIPHER_CTX *context;
    const char *label;
    uint8_t base[AEAD_NONCE_BYTES];
    uint8_t nonce[AEAD_NONCE_BYTES];
    uint8_t position[9]; /* chunk number, and whether it is the last: associated data */
    uint64_t chunk;
    uint8_t plain[CHUNK_BYTES];
    uint8_t sealed[CHUNK_BYTES + AEAD_TAG_BYTES];
};

static struct stream *free_stream(struct stream *stream)
{
    if (!stream)
        return NULL;
    EVP_CIPHER_CTX_free(stream->context);
    explicit_bzero(stream, sizeof(*stream));
    free(stream);
    return NULL;
}

static void cleanup_stream(struct stream **stream)
{
    *stream = free_stream(*stream);
}
#define AUTO_STREAM CLEANUP(cleanup_stream)

static int new_stream(const uint8_t *key, const char *label, int encrypting,
                      struct stream **ret_stream)
{
    struct stream *stream = calloc(1, sizeof(*stream));
    int r;

    if (!stream)
        return -ENOMEM;
    stream->label = label;
    r = start(key, encrypting, &stream->context);
    if (r < 0) {
        free_stream(stream);
        return r;
    }
    *ret_stream = stream;
    return 0;
}

static struct piece next_piece(struct stream *stream, bool last)
{
    memcpy(stream->nonce, stream->base, AEAD_NONCE_BYTES);
    for (size_t i = 0; i < 8; i++) {
        uint8_t byte = (uint8_t)(stream->chunk >> (8 * i));

        stream->nonce[4 + i] ^= byte;
        stream->position[i] = byte;
    }
    stream->position[8] = last;
    stream->chunk++;
    return (struct piece){.nonce = stream->nonce,
                          .label = stream->label,
                          .label_length = strlen(stream->label),
                          .more_label = stream->position,
                          .more_length = sizeof(stream->position)};
}

static int seal_chunks(struct stream *stream, int source_fd, int target_fd, uint64_t maximum,
                       struct sha256 *digest, uint64_t *ret_bytes)
{
    uint64_t total = 0;
    size_t length = 0;

    do {
        ssize_t got = file_read_at(source_fd, stream->plain, CHUNK_BYTES, total);
        struct piece piece;
        int r;

        if (got < 0)
            return (int)got;
        length = (size_t)got;
        if (length > maximum - total)
            return -EFBIG;
        total += length;
        if (digest) {
            r = sha256_update(digest, stream->plain, length);
            if (r < 0)
                return r;
        }
        piece = next_piece(stream, length < CHUNK_BYTES);
        r = encrypt(stream->context, &piece, stream->plain, length, stream->sealed);
        if (r < 0)
            return r;
        r = file_write(target_fd, stream->sealed, length + AEAD_TAG_BYTES);
        if (r < 0)
            return r;
    } while (length == CHUNK_BYTES);
    *ret_bytes = total;
    return 0;
}

int aead_seal_fd(const uint8_t key[static AEAD_KEY_BYTES], const char *label, int source_fd,
                 int target_fd, uint64_t maximum, struct sha256 *digest, uint64_t *ret_bytes)
{
    AUTO_STREAM struct stream *stream = NULL;
    uint8_t head[MAGIC_BYTES + AEAD_NONCE_BYTES];
    int r;

    r = new_stream(key, label, 1, &stream);
    if (r < 0)
        return r;
    r = random_bytes(stream->base, sizeof(stream->base));
    if (r < 0)
        return r;
    memcpy(head, MAGIC, MAGIC_BYTES);
    memcpy(head + MAGIC_BYTES, stream->base, AEAD_NONCE_BYTES);
    r = file_write(target_fd, head, sizeof(head));
    if (r < 0)
        return r;
    return seal_chunks(stream, source_fd, target_fd, maximum, digest, ret_bytes);
}

static int open_chunk(struct stream *stream, size_t length, int target_fd, struct sha256 *digest)
{
    struct piece piece = next_piece(stream, length < CHUNK_BYTES);
    int r;

    r = decrypt(stream->context, &piece, stream->sealed, length, stream->plain);
    if (r < 0)
        return r;
    if (digest) {
        r = sha256_update(digest, stream->plain, length);
        if (r < 0)
            return r;
    }
    return target_fd < 0 ? 0 : file_write(target_fd, stream->plain, length);
}

int aead_open_fd(const uint8_t key[static AEAD_KEY_BYTES], const char *label, int source_fd,
                 int target_fd, struct sha256 *digest, uint64_t *ret_bytes)
{
    AUTO_STREAM struct stream *stream = NULL;
    uint8_t head[MAGIC_BYTES + AEAD_NONCE_BYTES];
    uint64_t total = 0;
    ssize_t got;
    int r;

    r = new_stream(key, label, 0, &stream);
    if (r < 0)
        return r;
    got = file_read(source_fd, head, sizeof(head));
    if (got < 0)
        return (int)got;
    if (got != sizeof(head) || memcmp(head, MAGIC, MAGIC_BYTES) != 0)
        return -EBADMSG;
    memcpy(stream->base, head + MAGIC_BYTES, AEAD_NONCE_BYTES);
    do {
        got = file_read(source_fd, stream->sealed, sizeof(stream->sealed));
        if (got < 0)
            return (int)got;
        if (got < AEAD_TAG_BYTES)
            return -EBADMSG;
        r = open_chunk(stream, (size_t)got - AEAD_TAG_BYTES, target_fd, digest);
        if (r < 0)
            return r;
        total += (uint64_t)got - AEAD_TAG_BYTES;
    } while (got == (ssize_t)sizeof(stream->sealed));
    *ret_bytes = total;
    return 0;
}

uint64_t aead_sealed_size(uint64_t plaintext_bytes)
{
    uint64_t chunks = plaintext_bytes / CHUNK_BYTES + 1;

    return MAGIC_BYTES + AEAD_NONCE_BYTES + plaintext_bytes + chunks * AEAD_TAG_BYTES;
}
