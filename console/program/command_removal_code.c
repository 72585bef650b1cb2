/* yagura-console removal-code: a code by which protected agents may be removed. Whoever can run
 * this has the signing key anyway. */
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire.h"
#include "console/agents/removal_codes.h"
#include "console/people/audit.h"
#include "console/program/command.h"

#include <errno.h>
#include <stdio.h>

#define ORG          1LL
#define HOUR_SECONDS 3600

struct code_making {
    struct signing_key *key;
    const char *scope; /* NULL: not chosen yet */
    const char *name;  /* of a computer or group, as given */
    int64_t hours;
    struct made_removal_code code;
};

static int choose(struct code_making *making, const char *scope, const char *name)
{
    if (making->scope || !text_is_utf8(name))
        return -EINVAL;
    making->scope = scope;
    making->name = name;
    return 0;
}

static int take_option(void *user, int option, const char *value)
{
    struct code_making *making = user;
    switch (option) {
    case 'c':
        return choose(making, WIRE_REMOVAL_COMPUTER, value);
    case 'g':
        return choose(making, WIRE_REMOVAL_GROUP, value);
    case 'a':
        return choose(making, WIRE_REMOVAL_ALL, "");
    case 'h':
        return command_parse_count(value, LIMIT_REMOVAL_CODE_SECONDS / HOUR_SECONDS,
                                   &making->hours);
    default:
        return -EINVAL;
    }
}

/* By id, or by a host name that only one has. The id of a computer that was deleted here is taken
 * as it is: its host may still be protected. */
static int find_computer(struct sql *sql, const char *name, char ret_id[static UUID_TEXT_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (wire_is_uuid(name))
        return text_copy(ret_id, UUID_TEXT_BYTES, name) < 0 ? -EINVAL : 0;
    int r = sql_run(sql, "SELECT id FROM computers WHERE org_id = $1 AND hostname = $2", &row, "nt",
                    ORG, name);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    r = sql_step(row);
    return r == 1 ? -ENOTUNIQ : r;
}

static int find_subject(struct sql *sql, const struct code_making *making,
                        char ret_id[static UUID_TEXT_BYTES])
{
    ret_id[0] = '\0';
    if (text_equal(making->scope, WIRE_REMOVAL_COMPUTER))
        return find_computer(sql, making->name, ret_id);
    if (text_equal(making->scope, WIRE_REMOVAL_GROUP))
        return making->name[0] ? command_find_group(sql, making->name, ret_id) : -ENOENT;
    return 0;
}

static int make_code(struct sql *sql, void *user)
{
    struct code_making *making = user;
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(4096);
    char subject[UUID_TEXT_BYTES], actor[64];
    int r = find_subject(sql, making, subject);
    (void)text_format(actor, sizeof(actor), "console:uid=%u", getuid());
    const struct removal_draft draft = {.scope = making->scope,
                                        .subject = subject,
                                        .created_by = actor,
                                        .seconds = making->hours * HOUR_SECONDS};
    buffer_done(&making->code.text); /* the work may be done twice */
    if (r == 0)
        r = removal_codes_make(making->key, &draft, &making->code);
    if (r == 0)
        r = removal_codes_describe(&draft, &making->code, &detail);
    const struct audit_entry entry = {actor, "", "removal_code_created", making->name,
                                      buffer_text(&detail)};
    return r < 0 ? r : audit_append(sql, &entry);
}

int console_removal_code(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"computer", required_argument, NULL, 'c'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"all", no_argument, NULL, 'a'},
                                            {"hours", required_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct code_making making = {.hours = 24};
    const char *data = console_settings_text(settings, CONSOLE_DATA);
    char file[256] = "", path[4096];
    char *const *words;
    if (command_options(argc, argv, 1, options, take_option, &making, &words) != 0 || !making.scope)
        return -1;
    /* Opening would make a key where there is none. */
    if (text_format(path, sizeof(path), "%s/signing.key", data) < 0 || access(path, R_OK) < 0)
        return command_failed(path, -errno);
    int r = signing_key_open(data, &making.key, file);
    if (r < 0)
        return command_failed(file, r);
    int code = command_write(settings, make_code, &making, "cannot make a removal code");
    (void)signing_key_close(making.key);
    if (code == 0)
        code = printf("%s\n", buffer_text(&making.code.text)) < 0;
    buffer_done(&making.code.text);
    return code;
}
