/* yagura-console migrate: from the built-in SQLite to PostgreSQL. */
#include "common/text/text.h"
#include "console/program/command.h"
#include "console/store/database_copy.h"

#include <errno.h>
#include <stdio.h>

#define ATTEMPTS 3

static void show_table(void *user UNUSED, const char *table, int64_t rows)
{
    (void)printf("%s\t%lld\n", table, (long long)rows);
}

static int copy(const char *path, const char *url, char problem[static 512])
{
    AUTO_SQL struct sql *from = NULL;
    AUTO_SQL struct sql *to = NULL;
    int r = sql_open_sqlite(path, false, &from, problem);
    if (r == 0 && problem[0])
        r = -EBADMSG; /* it was corrupt and is moved aside: there is nothing to migrate */
    if (r == 0)
        r = sql_open_postgres(url, false, &to, problem);
    if (r < 0)
        return r;
    const struct database_copy whole = {
        .from = from, .to = to, .catalogue = from, .copied = show_table};
    r = -EAGAIN;
    for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS; i++)
        r = database_copy(&whole, problem);
    return r;
}

int console_migrate(const struct console_settings *settings, int argc, char **argv)
{
    const char *data = console_settings_text(settings, CONSOLE_DATA);
    char path[4096], problem[512] = "";
    AUTO_CLOSE int lock = -1;
    if (argc != 2 || !sql_is_postgres_url(argv[1]))
        return -1;
    int r = text_format(path, sizeof(path), "%s/console.db", data);
    if (r >= 0 && access(path, R_OK | W_OK) < 0)
        r = -errno;
    if (r < 0)
        return command_failed(path, r);
    if (command_lock(data, &lock) < 0)
        return 1;
    r = copy(path, argv[1], problem);
    if (r < 0) {
        (void)fprintf(stderr, "yagura-console: nothing was migrated: %s\n",
                      problem[0] ? problem : strerrordesc_np(-r));
        return 1;
    }
    (void)fprintf(stderr,
                  "All rows are there. Set database to that URL in the settings, start the console,"
                  " and keep %s until you are content.\n",
                  path);
    return 0;
}
