/* The EC2 instance identity an unknown machine sends. The first line of the input is the signature,
 * the rest the document. The pinned certificate's key exists nowhere any more, so nothing passes.
 */
#include "common/files/file.h"
#include "common/text/text.h"
#include "console/agents/instance_identity.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char PINNED[] = "-----BEGIN CERTIFICATE-----\n"
                             "MIIDAzCCAeugAwIBAgIUew8LD9OT0sk1SOjksEoCxbo5YdIwDQYJKoZIhvcNAQEL\n"
                             "BQAwETEPMA0GA1UEAwwGcGlubmVkMB4XDTI2MTEyMjA0NDU1MloXDTQ2MTExNzA0\n"
                             "NDU1MlowETEPMA0GA1UEAwwGcGlubmVkMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n"
                             "MIIBCgKCAQEA7jWHy/klfpKoy+4bpnv2oqxQT8r+UqfgYpAG29T9+okeZMG/VwfQ\n"
                             "MxX2vpzEKGEAiwp+aE0y9DEjsdA34xPSTPkEFKMxC1u2Gs4GbNTLJd7SxkE/TS3a\n"
                             "YsV1tjnB6XWJfcfJ1hoebPlQdQDBc1VZvbVgCWNtJ0XiLF3WIO2Cvzis5B1dhLsP\n"
                             "qb9gq0mfMjHyS63Ay8qx9TulRFip+QzN3t2dvO06/U6xseTCtKFrgFuFnxTaH5GY\n"
                             "B5n2I+UzW3k+NpNm2wmkNzCpcpJQrBG90N7WVayZAd0kPs+UbPZiOOKaRRPqNUp9\n"
                             "W04W5feTf7s8jPHJr3nAZi/f7rNYaWt1wwIDAQABo1MwUTAdBgNVHQ4EFgQUOskS\n"
                             "D+ysU4elTiEBm7q5BdN8s3QwHwYDVR0jBBgwFoAUOskSD+ysU4elTiEBm7q5BdN8\n"
                             "s3QwDwYDVR0TAQH/BAUwAwEB/zANBgkqhkiG9w0BAQsFAAOCAQEASx27NkRBj1/U\n"
                             "QfWrSSbRgihlxyndtHX7kgpA+RFJymDUC+rufdQ7LPogiXZh7WRpYXgIlCyjrx7f\n"
                             "bYdAe3TSzUtGW9/IVHVVXaGTDa1PDGB7aR+1xw+BNJF8lS8g362d+z+Dp35VNrC3\n"
                             "aIAP7VbsFInTpRvGiLtRZaOysFfOZcSaozkbUc83J0df/EKas+DTwVDbcVxQ2Uzi\n"
                             "uIinMnqcH3OLOv43LXMapSZyRS2dZN0Gu2r7IONRq1IDXr2pDibKdI/zjBf/nLep\n"
                             "x73cyQxgQmVtaWNNuABLIkO0Dp6vORbdhh6dFpwN0PcU1G4aErM+fzWEieeZBQQy\n"
                             "HCPSLw4VOA==\n"
                             "-----END CERTIFICATE-----\n";

static struct instance_certificates *pin(void)
{
    char folder[] = "/tmp/yagura-identity-fuzz-XXXXXX", path[64], problem[256];
    struct instance_certificates *pinned = NULL;
    if (!mkdtemp(folder))
        abort();
    (void)text_format(path, sizeof(path), "%s/eu-west-1.pem", folder);
    if (file_replace(path, PINNED, strlen(PINNED), 0600) < 0 ||
        instance_certificates_load(folder, &pinned, problem) < 0)
        abort();
    (void)unlink(path);
    (void)rmdir(folder);
    return pinned;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct instance_certificates *pinned;
    struct instance_identity identity;
    const char *reason = NULL;
    if (!pinned)
        pinned = pin();
    char *text = text_new(data, size);
    if (!text)
        return 0;
    size_t line = strcspn(text, "\n");
    const char *document = text[line] ? text + line + 1 : "";
    text[line] = '\0';
    if (instance_identity_verify(pinned, document, text, &identity, &reason) == 0 || !reason)
        abort();
    free(text);
    return 0;
}
