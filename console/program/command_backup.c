/* yagura-console backup, restore. */
#include "common/text/text.h"
#include "console/backup/backup.h"
#include "console/program/command.h"

#include <errno.h>
#include <stdio.h>

static int fail(const char *problem)
{
    (void)fprintf(stderr, "yagura-console: %s\n", problem);
    return 1;
}

static int audit_work(struct sql *sql, void *user)
{
    return command_audit(sql, "backup_made", user);
}

static void print_facts(const struct backup_facts *facts)
{
    (void)printf("computers\t%lld\nevents\t%lld\nmade\t", (long long)facts->computers,
                 (long long)facts->events);
    command_print_time(facts->made_ms, true);
}

int console_backup(const struct console_settings *settings, int argc, char **argv)
{
    char database[4096], problem[512];
    struct backup_facts facts;
    if (argc != 2 || argv[1][0] == '\0' || argv[1][0] == '-')
        return -1;
    int r = console_database(settings, database);
    if (r < 0)
        return command_failed("database", r);
    int code = command_write(settings, audit_work, argv[1], "cannot write the audit log");
    if (code)
        return code;
    if (backup_make(console_settings_text(settings, CONSOLE_DATA), database, argv[1], &facts,
                    problem) < 0)
        return fail(problem);
    print_facts(&facts);
    return 0;
}

int console_restore(const struct console_settings *settings, int argc, char **argv)
{
    const char *data = console_settings_text(settings, CONSOLE_DATA);
    char database[4096], problem[512];
    struct backup_facts facts;
    AUTO_CLOSE int lock = -1;
    bool force = argc == 3 && text_equal(argv[2], "--force");
    if ((argc != 2 && !force) || argv[1][0] == '\0' || argv[1][0] == '-')
        return -1;
    int r = console_database(settings, database);
    if (r < 0)
        return command_failed("database", r);
    if (backup_check(argv[1], &facts, problem) < 0)
        return fail(problem);
    if (command_lock(data, &lock) < 0)
        return 1;
    if (backup_restore(argv[1], &facts, data, database, force, problem) < 0)
        return fail(problem);
    print_facts(&facts);
    return 0;
}
