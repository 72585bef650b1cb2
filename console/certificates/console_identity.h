/* What the console is: its certificate authority, its server certificate and the key that signs
 * policies and commands. Made at first start, kept in the data directory with mode 0600:
 *   authority.key authority.crt  server.key server.crt  signing.key signing.links
 * Read-only after loading, but for renewal of the server certificate: one thread does that. */
#ifndef CONSOLE_CERTIFICATES_CONSOLE_IDENTITY_H
#define CONSOLE_CERTIFICATES_CONSOLE_IDENTITY_H

#include "common/attributes.h"
#include "common/crypto/certificates.h"
#include "common/crypto/keys.h"
#include "console/certificates/signing_key.h"

#include <stdatomic.h>
#include <stdbool.h>

struct console_identity {
    struct certificate_authority authority;
    struct signing_key *signing; /* changes while the console runs */
    char *authority_pem;
    char pin[KEY_PIN_BYTES];              /* of the authority's key */
    atomic_int_fast64_t server_expires_s; /* renewal changes it */
};

/* Loads or makes it, and gives the server certificate to the listeners. names: what the server
 * certificate is for; another list than the certificate holds issues a new one, as does a third of
 * its life left. ret_made: the authority is new. ret_problem names the file that is wrong. */
int console_identity_open(const char *directory, const char *const *names,
                          struct console_identity *ret_identity, bool *ret_made,
                          char ret_problem[static 256]) MUST_USE;
/* Reads the server certificate again and renews it when due; new connections get it. */
int console_identity_reload(struct console_identity *identity, const char *directory,
                            const char *const *names, char ret_problem[static 256]) MUST_USE;
void console_identity_done(struct console_identity *identity);

#endif
