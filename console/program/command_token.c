/* yagura-console token: activation tokens. */
#include "common/text/text.h"
#include "console/program/command_secret.h"

#include <errno.h>
#include <stdio.h>

#define ORG      1LL
#define MOST_USE 1000000

struct token_more {
    int64_t uses; /* -1: without limit */
    json_t *tag_list, *cidr_list;
};

static int create_token(struct sql *sql, struct command_secret *secret)
{
    const struct token_more *more = secret->more;
    AUTO_FREE char *tags = command_list_text(more->tag_list);
    AUTO_FREE char *cidrs = command_list_text(more->cidr_list);
    const struct token_draft draft = {.name = secret->name,
                                      .group_id = secret->place.group_id,
                                      .policy_id = secret->place.policy_id,
                                      .tags = tags,
                                      .cidrs = cidrs,
                                      .expires_ms = secret->expires_ms,
                                      .uses = more->uses,
                                      .created_by = "console"};
    return tags && cidrs ? token_create(sql, &draft, secret->id, secret->text) : -ENOMEM;
}

static int take_option(void *user, int option, const char *value)
{
    struct token_more *more = user;
    switch (option) {
    case 'u':
        return command_parse_count(value, MOST_USE, &more->uses);
    case 't':
        return value[0] && strlen(value) <= 64 ? command_add_text(&more->tag_list, value) : -EINVAL;
    case 'c':
        return cidr_is_valid(value) ? command_add_text(&more->cidr_list, value) : -EINVAL;
    default:
        return -EINVAL;
    }
}

static int list_work(struct sql *sql, void *user UNUSED)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT tokens.id, tokens.name, tokens.uses, tokens.uses_left,"
                    " tokens.expires_ms, tokens.revoked_ms, groups.name FROM tokens"
                    " LEFT JOIN groups ON groups.id = tokens.group_id WHERE tokens.org_id = $1"
                    " ORDER BY tokens.id DESC",
                    &row, "n", ORG);
    (void)printf("id\tname\tuses\tleft\texpires\trevoked\tgroup\n");
    for (; r == 1; r = sql_step(row)) {
        command_print_cell(sql_text(row, 0), false);
        command_print_cell(sql_text(row, 1), false);
        (void)printf("%lld\t", (long long)sql_number(row, 2));
        if (sql_number(row, 3) < 0)
            (void)printf("-\t");
        else
            (void)printf("%lld\t", (long long)sql_number(row, 3));
        command_print_time(sql_number(row, 4), false);
        command_print_time(sql_number(row, 5), false);
        command_print_cell(sql_text(row, 6), true);
    }
    return r;
}

int console_token(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {COMMAND_SECRET_OPTIONS,
                                            {"uses", required_argument, NULL, 'u'},
                                            {"tag", required_argument, NULL, 't'},
                                            {"cidr", required_argument, NULL, 'c'},
                                            {NULL, 0, NULL, 0}};
    static const struct command_secret_kind kind = {.noun = "token",
                                                    .created = "token_created",
                                                    .revoked = "token_revoked",
                                                    .days = 7,
                                                    .most_days = 3650,
                                                    .options = options,
                                                    .take = take_option,
                                                    .create = create_token,
                                                    .list = list_work,
                                                    .revoke = token_revoke};
    struct token_more more = {.uses = -1};
    if (argc < 2 || !text_equal(argv[1], "create"))
        return command_secret_manage(settings, &kind, argc, argv);
    int code = command_secret_create(settings, &kind, argc, argv, 2, &more);
    json_decref(more.tag_list);
    json_decref(more.cidr_list);
    return code;
}
