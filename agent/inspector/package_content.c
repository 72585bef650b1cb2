/* Owns: when the file is read. Must not own: the descriptor, what a digest means. */
#include "agent/inspector/package_content.h"

#include "common/text/text.h"

const char *package_content_md5(struct package_content *content)
{
    uint8_t digest[MD5_BYTES];

    if (content->md5[0] == '\0') {
        if (hash_md5_fd(content->fd, UINT64_MAX, digest) < 0)
            return NULL;
        text_hex(content->md5, digest, sizeof(digest));
    }
    return content->md5;
}

const char *package_content_sha256(struct package_content *content)
{
    uint8_t digest[SHA256_BYTES];

    if (content->sha256[0] == '\0') {
        if (hash_sha256_fd(content->fd, UINT64_MAX, digest) < 0)
            return NULL;
        text_hex(content->sha256, digest, sizeof(digest));
    }
    return content->sha256;
}
