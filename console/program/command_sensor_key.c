/* yagura-console sensor-key: keys of sensors that are not hosts. */
#include "common/text/text.h"
#include "console/program/command.h"
#include "console/sensors/sensor_store.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

#define DAY_MS 86400000LL
#define ORG    1LL

struct key_work {
    struct sensor_key_draft draft;
    const char *group, *policy;
    int64_t days;
    char id[UUID_TEXT_BYTES], key[SECRET_TEXT_BYTES];
};

static int create_work(struct sql *sql, void *user)
{
    struct key_work *work = user;
    char group_id[UUID_TEXT_BYTES] = "", policy_id[UUID_TEXT_BYTES] = "";
    struct sensor_key_draft draft = work->draft;
    int r = command_find(sql, COMMAND_FIND_GROUP, work->group, group_id, sizeof(group_id));
    if (r == 0)
        r = command_find(sql, COMMAND_FIND_POLICY, work->policy, policy_id, sizeof(policy_id));
    if (r < 0)
        return r;
    draft.group_id = group_id[0] ? group_id : NULL;
    draft.policy_id = policy_id[0] ? policy_id : NULL;
    r = sensor_key_create(sql, &draft, work->id, work->key);
    return r < 0 ? r : command_audit(sql, "sensor_key_created", draft.name);
}

static int take_option(struct key_work *work, int option, const char *value)
{
    switch (option) {
    case 'd':
        return command_parse_count(value, 3650, &work->days);
    case 'n':
        work->draft.name = value;
        return value[0] && strlen(value) <= 128 ? 0 : -EINVAL;
    case 'g':
        work->group = value;
        return 0;
    case 'p':
        work->policy = value;
        return 0;
    default:
        return -EINVAL;
    }
}

/* sensor-key create KIND [options] */
static int create(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"days", required_argument, NULL, 'd'},
                                            {"name", required_argument, NULL, 'n'},
                                            {"group", required_argument, NULL, 'g'},
                                            {"policy", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    struct key_work work = {.draft = {.name = "command line", .created_by = "console"},
                            .group = "",
                            .policy = "",
                            .days = 365};
    int option, r = 0;
    if (argc < 3 || !wire_is_sensor_kind(argv[2]))
        return -1;
    work.draft.kind = argv[2];
    optind = 3;
    while (r == 0 && (option = getopt_long(argc, argv, "", options, NULL)) != -1)
        r = take_option(&work, option, optarg);
    if (r < 0 || optind < argc)
        return -1;
    work.draft.expires_ms = console_store_now_ms() + work.days * DAY_MS;
    int code = command_write(settings, create_work, &work, "cannot make a sensor key");
    return code ? code : printf("%s\n", work.key) < 0;
}

static int list_work(struct sql *sql, void *user UNUSED)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT sensor_keys.id, sensor_keys.name, sensor_keys.kind,"
                    " sensor_keys.expires_ms, sensor_keys.revoked_ms, groups.name FROM sensor_keys"
                    " LEFT JOIN groups ON groups.id = sensor_keys.group_id"
                    " WHERE sensor_keys.org_id = $1 ORDER BY sensor_keys.id DESC",
                    &row, "n", ORG);
    (void)printf("id\tname\tkind\texpires\trevoked\tgroup\n");
    for (; r == 1; r = sql_step(row)) {
        command_print_cell(sql_text(row, 0), false);
        command_print_cell(sql_text(row, 1), false);
        command_print_cell(sql_text(row, 2), false);
        command_print_time(sql_number(row, 3), false);
        command_print_time(sql_number(row, 4), false);
        command_print_cell(sql_text(row, 5), true);
    }
    return r;
}

static int revoke_work(struct sql *sql, void *user)
{
    const char *id = user;
    int r = sensor_key_revoke(sql, id);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return command_audit(sql, "sensor_key_revoked", id);
}

int console_sensor_key(const struct console_settings *settings, int argc, char **argv)
{
    if (argc >= 2 && text_equal(argv[1], "create"))
        return create(settings, argc, argv);
    if (argc == 2 && text_equal(argv[1], "list"))
        return command_read(settings, list_work, NULL, "cannot read the sensor keys");
    if (argc == 3 && text_equal(argv[1], "revoke"))
        return command_write(settings, revoke_work, argv[2], argv[2]);
    return -1;
}
