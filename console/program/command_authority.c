/* yagura-console pin. */
#include "common/text/text.h"
#include "console/certificates/console_identity.h"
#include "console/program/command.h"

#include <stdio.h>

int console_pin(const struct console_settings *settings, int argc UNUSED, char **argv UNUSED)
{
    char path[4096], pin[KEY_PIN_BYTES];
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int r = text_format(path, sizeof(path), "%s/authority.crt",
                        console_settings_text(settings, CONSOLE_DATA));
    if (r >= 0)
        r = certificate_load(path, &certificate);
    if (r == 0)
        r = key_pin(X509_get0_pubkey(certificate), pin);
    if (r < 0)
        return command_failed(path, r);
    return printf("%s\n", pin) < 0;
}
