/* yagura-console keys: the key that signs policies and commands. */
#include "common/text/text.h"
#include "console/certificates/signing_key.h"
#include "console/program/command.h"

#include <errno.h>
#include <stdio.h>

static int audit_work(struct sql *sql, void *user UNUSED)
{
    return command_audit(sql, "signing_key_change", "");
}

static int rotate(const struct console_settings *settings, struct signing_key *key, bool at_once)
{
    struct signing_key_facts facts;
    char file[256] = "";
    int code = command_write(settings, audit_work, NULL, "cannot write the audit log");
    if (code)
        return code;
    int r = signing_key_change(key, at_once ? 0 : SIGNING_DOCUMENT_MS, file);
    if (r < 0)
        return command_failed(file, r);
    signing_key_facts(key, &facts);
    (void)printf("%s\n", facts.id);
    (void)fprintf(stderr,
                  "A running console takes it within the hour, or at once on SIGHUP. Other nodes on"
                  " the same database need a copy of signing.key and signing.links.\n");
    return 0;
}

static int show(struct signing_key *key)
{
    struct signing_key_facts facts;
    signing_key_facts(key, &facts);
    return printf("%s\t%s\t%zu\n", facts.id, facts.text, facts.changes) < 0;
}

int console_keys(const struct console_settings *settings, int argc, char **argv)
{
    const char *data = console_settings_text(settings, CONSOLE_DATA);
    struct signing_key *key = NULL;
    char file[256] = "", path[4096];
    bool rotates = argc >= 2 && text_equal(argv[1], "rotate");
    bool at_once = rotates && argc == 3 && text_equal(argv[2], "--retire-now");
    if (!(rotates && (argc == 2 || at_once)) && !(argc == 2 && text_equal(argv[1], "show")))
        return -1;
    if (text_format(path, sizeof(path), "%s/signing.key", data) < 0 || access(path, R_OK) < 0)
        return command_failed(path, -errno);
    int r = signing_key_open(data, &key, file);
    if (r < 0)
        return command_failed(file, r);
    int code = rotates ? rotate(settings, key, at_once) : show(key);
    (void)signing_key_close(key);
    return code;
}
