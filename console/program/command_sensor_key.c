/* yagura-console sensor-key: keys of sensors that are not hosts. */
#include "common/text/text.h"
#include "console/program/command_secret.h"
#include "console/sensors/sensor_store.h"

#include <stdio.h>

#define ORG 1LL

static int create_key(struct sql *sql, struct command_secret *secret)
{
    const struct sensor_key_draft draft = {.name = secret->name,
                                           .kind = secret->more,
                                           .group_id = secret->place.group_id,
                                           .policy_id = secret->place.policy_id,
                                           .expires_ms = secret->expires_ms,
                                           .created_by = "console"};
    return sensor_key_create(sql, &draft, secret->id, secret->text);
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

int console_sensor_key(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {COMMAND_SECRET_OPTIONS, {NULL, 0, NULL, 0}};
    static const struct command_secret_kind kind = {.noun = "sensor key",
                                                    .created = "sensor_key_created",
                                                    .revoked = "sensor_key_revoked",
                                                    .days = 365,
                                                    .most_days = 3650,
                                                    .options = options,
                                                    .create = create_key,
                                                    .list = list_work,
                                                    .revoke = sensor_key_revoke};
    if (argc >= 2 && text_equal(argv[1], "create"))
        return argc >= 3 && wire_is_sensor_kind(argv[2])
                   ? command_secret_create(settings, &kind, argc, argv, 3, argv[2])
                   : -1;
    return command_secret_manage(settings, &kind, argc, argv);
}
