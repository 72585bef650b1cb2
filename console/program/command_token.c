/* yagura-console token: activation tokens. */
#include "common/text/text.h"
#include "console/agents/tokens.h"
#include "console/program/command.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#define DAY_MS   86400000LL
#define ORG      1LL
#define MOST_USE 1000000

struct token_work {
    struct token_draft draft;
    const char *group, *policy;
    json_t *tags, *cidrs;
    int64_t days;
    char id[UUID_TEXT_BYTES], token[SECRET_TEXT_BYTES];
};

static int create_work(struct sql *sql, void *user)
{
    struct token_work *work = user;
    char group_id[UUID_TEXT_BYTES] = "", policy_id[UUID_TEXT_BYTES] = "";
    struct token_draft draft = work->draft;
    int r = command_find(sql, COMMAND_FIND_GROUP, work->group, group_id, sizeof(group_id));
    if (r == 0)
        r = command_find(sql, COMMAND_FIND_POLICY, work->policy, policy_id, sizeof(policy_id));
    if (r < 0)
        return r;
    draft.group_id = group_id[0] ? group_id : NULL;
    draft.policy_id = policy_id[0] ? policy_id : NULL;
    r = token_create(sql, &draft, work->id, work->token);
    return r < 0 ? r : command_audit(sql, "token_created", draft.name);
}

/* 0, or -EINVAL for a wrong value. */
static int take_option(struct token_work *work, int option, const char *value)
{
    switch (option) {
    case 'd':
        return command_parse_count(value, 3650, &work->days);
    case 'u':
        return command_parse_count(value, MOST_USE, &work->draft.uses);
    case 'n':
        work->draft.name = value;
        return value[0] && strlen(value) <= 128 ? 0 : -EINVAL;
    case 'g':
        work->group = value;
        return 0;
    case 'p':
        work->policy = value;
        return 0;
    case 't':
        return value[0] && strlen(value) <= 64 ? command_add_text(&work->tags, value) : -EINVAL;
    case 'c':
        return cidr_is_valid(value) ? command_add_text(&work->cidrs, value) : -EINVAL;
    default:
        return -EINVAL;
    }
}

static int create(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {
        {"days", required_argument, NULL, 'd'},   {"uses", required_argument, NULL, 'u'},
        {"name", required_argument, NULL, 'n'},   {"group", required_argument, NULL, 'g'},
        {"policy", required_argument, NULL, 'p'}, {"tag", required_argument, NULL, 't'},
        {"cidr", required_argument, NULL, 'c'},   {NULL, 0, NULL, 0}};
    struct token_work work = {
        .draft = {.name = "command line", .uses = -1, .created_by = "console"},
        .group = "",
        .policy = "",
        .days = 7};
    int option, r = 0;
    optind = 2;
    while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        r = take_option(&work, option, optarg);
    AUTO_FREE char *tags = command_list_text(work.tags);
    AUTO_FREE char *cidrs = command_list_text(work.cidrs);
    json_decref(work.tags);
    json_decref(work.cidrs);
    if (r < 0 || optind < argc || !tags || !cidrs)
        return -1;
    work.draft.tags = tags;
    work.draft.cidrs = cidrs;
    work.draft.expires_ms = console_store_now_ms() + work.days * DAY_MS;
    int code = command_write(settings, create_work, &work, "cannot make a token");
    return code ? code : printf("%s\n", work.token) < 0;
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

static int revoke_work(struct sql *sql, void *user)
{
    const char *id = user;
    int r = token_revoke(sql, id);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return command_audit(sql, "token_revoked", id);
}

int console_token(const struct console_settings *settings, int argc, char **argv)
{
    if (argc >= 2 && text_equal(argv[1], "create"))
        return create(settings, argc, argv);
    if (argc == 2 && text_equal(argv[1], "list"))
        return command_read(settings, list_work, NULL, "cannot read the tokens");
    if (argc == 3 && text_equal(argv[1], "revoke"))
        return command_write(settings, revoke_work, argv[2], argv[2]);
    return -1;
}
