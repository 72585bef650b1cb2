#include "common/http_client/trust_store.h"

#include "common/text/text.h"

#include <limits.h>
#include <unistd.h>

static const char *const places[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Enterprise Linux, Amazon Linux */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* the same, since they dropped the link */
    "/var/lib/ca-certificates/ca-bundle.pem",            /* SUSE */
    "/etc/ssl/cert.pem",
};

static bool is_there(const char *path, const char *root)
{
    char whole[PATH_MAX];

    return text_format(whole, sizeof whole, "%s%s", root, path) > 0 && access(whole, R_OK) == 0;
}

const char *trust_store_find(const char *preferred, const char *root)
{
    if (preferred != NULL && is_there(preferred, root))
        return preferred;
    for (size_t i = 0; i < ARRAY_LENGTH(places); i++)
        if (is_there(places[i], root))
            return places[i];
    return NULL;
}
