/* Owns: digests of bytes and files. Must not own: opening of files, what a digest means. The
 * algorithms are fetched once for the life of the process; OpenSSL's per-call fetch costs more than
 * hashing a small file. */
#include "common/crypto/hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>

#define READ_BYTES 65536

static EVP_MD *sha256_algorithm, *md5_algorithm;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void fetch_algorithms(void)
{
    sha256_algorithm = EVP_MD_fetch(NULL, "SHA256", NULL);
    /* A FIPS provider has no MD5; it only identifies files here, so the property is waived. */
    md5_algorithm = EVP_MD_fetch(NULL, "MD5", "-fips");
}

static EVP_MD *algorithm_sha256(void)
{
    (void)pthread_once(&fetched, fetch_algorithms);
    return sha256_algorithm;
}

static EVP_MD *algorithm_md5(void)
{
    (void)pthread_once(&fetched, fetch_algorithms);
    return md5_algorithm;
}

static void free_context(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
}
#define AUTO_CONTEXT CLEANUP(free_context)

static int start(EVP_MD *algorithm, EVP_MD_CTX **ret_context)
{
    EVP_MD_CTX *context;

    if (!algorithm)
        return -EOPNOTSUPP;
    context = EVP_MD_CTX_new();
    if (!context)
        return -ENOMEM;
    if (EVP_DigestInit_ex2(context, algorithm, NULL) != 1) {
        EVP_MD_CTX_free(context);
        return -ENOMEM;
    }
    *ret_context = context;
    return 0;
}

int hash_sha256(const void *bytes, size_t length, uint8_t ret_digest[static SHA256_BYTES])
{
    AUTO_CONTEXT EVP_MD_CTX *context = NULL;
    int r;

    r = start(algorithm_sha256(), &context);
    if (r < 0)
        return r;
    if (EVP_DigestUpdate(context, bytes, length) != 1 ||
        EVP_DigestFinal_ex(context, ret_digest, NULL) != 1)
        return -EIO;
    return 0;
}

static int digest_fd(EVP_MD *algorithm, int fd, uint64_t maximum, uint8_t *ret_digest)
{
    AUTO_CONTEXT EVP_MD_CTX *context = NULL;
    uint8_t block[READ_BYTES];
    uint64_t offset = 0;
    int r;

    r = start(algorithm, &context);
    if (r < 0)
        return r;
    for (;;) {
        ssize_t got = pread(fd, block, sizeof(block), (off_t)offset);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        if ((uint64_t)got > maximum - offset)
            return -EFBIG;
        offset += (uint64_t)got;
        if (EVP_DigestUpdate(context, block, (size_t)got) != 1)
            return -EIO;
    }
    return EVP_DigestFinal_ex(context, ret_digest, NULL) == 1 ? 0 : -EIO;
}

int hash_sha256_fd(int fd, uint64_t maximum, uint8_t ret_digest[static SHA256_BYTES])
{
    return digest_fd(algorithm_sha256(), fd, maximum, ret_digest);
}

int hash_md5_fd(int fd, uint64_t maximum, uint8_t ret_digest[static MD5_BYTES])
{
    return digest_fd(algorithm_md5(), fd, maximum, ret_digest);
}

/* struct sha256 is OpenSSL's context under our name, so that callers need no OpenSSL headers. */
int sha256_new(struct sha256 **ret_hash)
{
    return start(algorithm_sha256(), (EVP_MD_CTX **)ret_hash);
}

int sha256_update(struct sha256 *hash, const void *bytes, size_t length)
{
    return EVP_DigestUpdate((EVP_MD_CTX *)hash, bytes, length) == 1 ? 0 : -EIO;
}

int sha256_finish(struct sha256 *hash, uint8_t ret_digest[static SHA256_BYTES])
{
    return EVP_DigestFinal_ex((EVP_MD_CTX *)hash, ret_digest, NULL) == 1 ? 0 : -EIO;
}

struct sha256 *sha256_free(struct sha256 *hash)
{
    EVP_MD_CTX_free((EVP_MD_CTX *)hash);
    return NULL;
}
