/* yagura-console rule: where new computers belong. */
#include "common/text/text.h"
#include "console/agents/activation_rules.h"
#include "console/program/command.h"

#include <errno.h>
#include <stdio.h>

#define ORG        1LL
#define CONDITIONS 6 /* of RULE_CONDITIONS; their options are 0 .. 5 */

struct rule_work {
    struct rule_draft draft;
    struct command_place place;
    json_t *conditions, *tags;
    char id[UUID_TEXT_BYTES];
};

static int create_work(struct sql *sql, void *user)
{
    struct rule_work *work = user;
    int r = command_place_find(sql, &work->place);
    work->draft.group_id = work->place.group_id;
    work->draft.policy_id = work->place.policy_id;
    if (r == 0)
        r = rule_create(sql, &work->draft, work->id);
    return r < 0 ? r : command_audit(sql, "rule_created", work->draft.name);
}

static int add_condition(struct rule_work *work, const char *condition, const char *entry)
{
    if (!rule_entry_is_valid(condition, entry))
        return -EINVAL;
    if (!work->conditions)
        work->conditions = json_object();
    json_t *list = json_object_get(work->conditions, condition);
    bool is_new = list == NULL;
    int r = command_add_text(&list, entry);
    if (is_new && r == 0 && json_object_set_new(work->conditions, condition, list) < 0)
        r = -ENOMEM;
    return r;
}

static int take_option(void *user, int option, const char *value)
{
    struct rule_work *work = user;
    if (option >= 0 && option < CONDITIONS)
        return add_condition(work, RULE_CONDITIONS[option], value);
    switch (option) {
    case 'g':
        work->place.group = value;
        return 0;
    case 'p':
        work->place.policy = value;
        return 0;
    case 'a':
        return value[0] && strlen(value) <= 64 ? command_add_text(&work->tags, value) : -EINVAL;
    case 'o':
        return command_parse_count(value, 1000000, &work->draft.position);
    default:
        return -EINVAL;
    }
}

static int create(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"cidr", required_argument, NULL, 0},
                                            {"account", required_argument, NULL, 1},
                                            {"region", required_argument, NULL, 2},
                                            {"hostname", required_argument, NULL, 3},
                                            {"token-tag", required_argument, NULL, 4},
                                            {"token", required_argument, NULL, 5},
                                            {"group", required_argument, NULL, 'g'},
                                            {"policy", required_argument, NULL, 'p'},
                                            {"add-tag", required_argument, NULL, 'a'},
                                            {"position", required_argument, NULL, 'o'},
                                            {NULL, 0, NULL, 0}};
    struct rule_work work = {.draft = {.created_by = "console"},
                             .place = {.group = "", .policy = ""}};
    char *const *words;
    int count = command_options(argc, argv, 2, options, take_option, &work, &words);
    AUTO_FREE char *tags = command_list_text(work.tags);
    AUTO_FREE char *conditions =
        work.conditions ? json_dumps(work.conditions, JSON_COMPACT) : strdup("{}");
    json_decref(work.tags);
    json_decref(work.conditions);
    if (count != 1 || !words[0][0] || strlen(words[0]) > 128 || !tags || !conditions ||
        strlen(tags) >= 1024)
        return -1;
    work.draft.name = words[0];
    work.draft.tags = tags;
    work.draft.conditions = conditions;
    return command_write(settings, create_work, &work, work.draft.name);
}

static int list_work(struct sql *sql, void *user UNUSED)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT activation_rules.position, activation_rules.name,"
                    " activation_rules.conditions, groups.name, policies.name,"
                    " activation_rules.tags FROM activation_rules"
                    " LEFT JOIN groups ON groups.id = activation_rules.group_id"
                    " LEFT JOIN policies ON policies.id = activation_rules.policy_id"
                    " WHERE activation_rules.org_id = $1"
                    " ORDER BY activation_rules.position, activation_rules.id",
                    &row, "n", ORG);
    (void)printf("position\tname\twhen\tgroup\tpolicy\ttags\n");
    for (; r == 1; r = sql_step(row)) {
        (void)printf("%lld\t", (long long)sql_number(row, 0));
        for (int i = 1; i <= 5; i++)
            command_print_cell(sql_text(row, i), i == 5);
    }
    return r;
}

static int delete_work(struct sql *sql, void *user)
{
    char name[129];
    int r = rule_delete(sql, user, name);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return command_audit(sql, "rule_deleted", name);
}

int console_rule(const struct console_settings *settings, int argc, char **argv)
{
    if (argc >= 3 && text_equal(argv[1], "create"))
        return create(settings, argc, argv);
    if (argc == 2 && text_equal(argv[1], "list"))
        return command_read(settings, list_work, NULL, "cannot read the rules");
    if (argc == 3 && text_equal(argv[1], "delete"))
        return command_write(settings, delete_work, argv[2], argv[2]);
    return -1;
}
