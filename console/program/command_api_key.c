/* yagura-console api-key: keys of programs that use the REST API. */
#include "common/text/text.h"
#include "console/people/user_store.h"
#include "console/program/command_secret.h"

#include <errno.h>
#include <stdio.h>

#define ORG 1LL

struct key_more {
    const char *role;
    json_t *groups; /* names or ids */
};

static int create_key(struct sql *sql, struct command_secret *secret)
{
    const struct key_more *more = secret->more;
    AUTO_FREE char *groups = NULL;
    int r = command_find_groups(sql, more->groups, &groups);
    const struct key_draft draft = {.name = secret->name,
                                    .role = more->role,
                                    .groups = groups,
                                    .created_by = "console",
                                    .expires_ms = secret->expires_ms};
    return r < 0 ? r : key_create(sql, &draft, secret->id, secret->text);
}

static int take_option(void *user, int option, const char *value)
{
    struct key_more *more = user;
    if (option == 'G')
        return command_add_text(&more->groups, value);
    more->role = value;
    return role_permissions(value) ? 0 : -EINVAL;
}

static int list_work(struct sql *sql, void *user UNUSED)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT id, name, role, groups, expires_ms, revoked_ms FROM api_keys"
                    " WHERE org_id = $1 ORDER BY id DESC",
                    &row, "n", ORG);
    (void)printf("id\tname\trole\tgroups\texpires\trevoked\n");
    for (; r == 1; r = sql_step(row)) {
        for (int i = 0; i < 4; i++)
            command_print_cell(sql_text(row, i), false);
        command_print_time(sql_number(row, 4), false);
        command_print_time(sql_number(row, 5), true);
    }
    return r;
}

int console_api_key(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"days", required_argument, NULL, 'd'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"role", required_argument, NULL, 'r'},
                                            {"group", required_argument, NULL, 'G'},
                                            {NULL, 0, NULL, 0}};
    static const struct command_secret_kind kind = {.noun = "API key",
                                                    .created = "key_created",
                                                    .revoked = "key_revoked",
                                                    .days = 90,
                                                    .most_days = 730,
                                                    .options = options,
                                                    .take = take_option,
                                                    .create = create_key,
                                                    .list = list_work,
                                                    .revoke = key_revoke};
    struct key_more more = {.role = "reader"};
    if (argc < 2 || !text_equal(argv[1], "create"))
        return command_secret_manage(settings, &kind, argc, argv);
    int code = command_secret_create(settings, &kind, argc, argv, 2, &more);
    json_decref(more.groups);
    return code;
}
