/* The key that signs policies and commands, and its succession: every key but the first is
 * announced in a document that the one before signed, which goes out with all that is signed. Kept
 * in the data directory: signing.key, signing.links (JSON array, oldest first). Thread-safe. */
#ifndef CONSOLE_CERTIFICATES_SIGNING_KEY_H
#define CONSOLE_CERTIFICATES_SIGNING_KEY_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/keys.h"

#include <stdbool.h>
#include <stdint.h>

/* A policy is signed for so long; afterwards no document of the key before is good any more. */
#define SIGNING_DOCUMENT_MS (30LL * 24 * 3600 * 1000)

struct signing_key;

struct signing_key_facts {
    char id[KEY_ID_BYTES], text[KEY_PUBLIC_TEXT_BYTES];
    size_t changes; /* how many keys came before */
};

/* Made when there is none; a change that a crash interrupted is finished. ret_problem names the
 * file that is wrong, 256 bytes. */
int signing_key_open(const char *directory, struct signing_key **ret_key,
                     char ret_problem[static 256]) MUST_USE;
struct signing_key *signing_key_close(struct signing_key *key);
/* Reads the files again. 1 when the key is another now. */
int signing_key_reload(struct signing_key *key, char ret_problem[static 256]) MUST_USE;
/* A new key, announced by the present one, which stays good for documents for retire_ms more.
 * -E2BIG never: hosts that slept through the last WIRE_SUCCESSORS_MAXIMUM changes must activate
 * anew. */
int signing_key_change(struct signing_key *key, int64_t retire_ms,
                       char ret_problem[static 256]) MUST_USE;
void signing_key_facts(struct signing_key *key, struct signing_key_facts *ret_facts);

/* The signed form of a document, see wire_signed_encode. */
int signing_key_sign(struct signing_key *key, const char *document, struct buffer *body) MUST_USE;

#endif
