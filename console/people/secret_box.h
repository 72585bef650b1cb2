/* Secrets the console must know again (second factors, keys of destinations), sealed before they
 * are stored: AES-256-GCM with the key in secrets.key of the data folder, so that a copy of the
 * database alone gives nothing away. Thread-safe once opened. */
#ifndef CONSOLE_PEOPLE_SECRET_BOX_H
#define CONSOLE_PEOPLE_SECRET_BOX_H

#include "common/attributes.h"
#include "common/crypto/aead.h"
#include "console/store/sql.h"

#include <stdbool.h>

struct secret_box {
    uint8_t key[AEAD_KEY_BYTES];
};

/* Loads or makes the key. -EBADMSG when the file is not one. */
int secret_box_open(const char *directory, struct secret_box *ret_box) MUST_USE;
void secret_box_done(struct secret_box *box);

/* "s1." + base64url. purpose binds it to its place: opened under another it is refused. "" stays
 * "". Freed by the caller (wipe the opened one); NULL: out of memory. */
char *secret_seal(const struct secret_box *box, const char *purpose, const char *text);
/* -EKEYREJECTED when it was sealed with another key, or for another purpose. */
int secret_open(const struct secret_box *box, const char *purpose, const char *sealed,
                char **ret_text) MUST_USE;
bool secret_is_sealed(const char *text);

#endif
