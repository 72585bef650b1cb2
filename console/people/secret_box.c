/* Owns secrets.key and the form of sealed texts. Must not know what is sealed. */
#include "console/people/secret_box.h"

#include "common/buffers/buffer.h"
#include "common/crypto/base64.h"
#include "common/crypto/random.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <openssl/crypto.h>

#define FILE_NAME    "secrets.key"
#define PREFIX       "s1."
#define TEXT_MAXIMUM 65536

static int make_key(const char *path, struct secret_box *box)
{
    int r = random_bytes(box->key, sizeof(box->key));
    return r < 0 ? r : file_replace(path, box->key, sizeof(box->key), 0600);
}

int secret_box_open(const char *directory, struct secret_box *ret_box)
{
    AUTO_FREE char *path = text_format_new("%s/%s", directory, FILE_NAME);
    struct buffer content = BUFFER_WITH_MAXIMUM(AEAD_KEY_BYTES + 1);
    if (!path)
        return -ENOMEM;
    int r = file_read_all(path, &content);
    if (r == -ENOENT)
        r = make_key(path, ret_box);
    else if (r == 0 && content.length != AEAD_KEY_BYTES)
        r = -EBADMSG;
    else if (r == 0)
        memcpy(ret_box->key, content.data, AEAD_KEY_BYTES);
    if (content.data)
        OPENSSL_cleanse(content.data, content.capacity);
    buffer_done(&content);
    return r == -EFBIG || r == -EMSGSIZE ? -EBADMSG : r;
}

void secret_box_done(struct secret_box *box)
{
    OPENSSL_cleanse(box, sizeof(*box));
}

bool secret_is_sealed(const char *text)
{
    return text_starts_with(text, PREFIX);
}

char *secret_seal(const struct secret_box *box, const char *purpose, const char *text)
{
    size_t length = strlen(text), sealed_length = length + AEAD_SEAL_BYTES;
    if (length == 0)
        return strdup("");
    AUTO_FREE uint8_t *sealed = malloc(sealed_length);
    char *result = malloc(strlen(PREFIX) + BASE64_TEXT_BYTES(sealed_length));
    if (!sealed || !result ||
        aead_seal(box->key, purpose, strlen(purpose), text, length, sealed) < 0) {
        free(result);
        return NULL;
    }
    memcpy(result, PREFIX, strlen(PREFIX));
    base64_url_encode(result + strlen(PREFIX), sealed, sealed_length);
    return result;
}

int secret_open(const struct secret_box *box, const char *purpose, const char *sealed,
                char **ret_text)
{
    if (!sealed[0])
        return (*ret_text = strdup("")) ? 0 : -ENOMEM;
    size_t text_length = strlen(sealed), length = 0;
    if (!secret_is_sealed(sealed) || text_length > TEXT_MAXIMUM)
        return -EKEYREJECTED;
    AUTO_FREE uint8_t *bytes = malloc(text_length);
    if (!bytes)
        return -ENOMEM;
    if (base64_url_decode(sealed + strlen(PREFIX), text_length - strlen(PREFIX), bytes, text_length,
                          &length) < 0 ||
        length < AEAD_SEAL_BYTES)
        return -EKEYREJECTED;
    char *text = calloc(1, length - AEAD_SEAL_BYTES + 1);
    if (!text)
        return -ENOMEM;
    if (aead_open(box->key, purpose, strlen(purpose), bytes, length, text) < 0) {
        free(text);
        return -EKEYREJECTED;
    }
    *ret_text = text;
    return 0;
}
