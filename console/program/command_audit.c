/* yagura-console verify-audit. */
#include "console/people/audit.h"
#include "console/program/command.h"

#include <errno.h>
#include <stdio.h>

struct verify_work {
    int64_t count, wrong;
};

static int verify(struct sql *sql, void *user)
{
    struct verify_work *work = user;
    return audit_verify(sql, &work->count, &work->wrong);
}

int console_verify_audit(const struct console_settings *settings, int argc UNUSED,
                         char **argv UNUSED)
{
    struct verify_work work = {0};
    struct console_store *store = NULL;
    if (command_open_store(settings, &store) < 0)
        return 1;
    int r = console_store_read(store, verify, &work);
    (void)console_store_close(store);
    if (r == -EBADMSG && work.wrong == 0)
        (void)fprintf(stderr, "the end of the audit log is missing, after %lld entries\n",
                      (long long)work.count);
    else if (r == -EBADMSG)
        (void)fprintf(stderr, "the audit log was changed at entry %lld, after %lld good ones\n",
                      (long long)work.wrong, (long long)work.count);
    else if (r < 0)
        return command_failed("cannot read the audit log", r);
    else
        (void)printf("%lld entries, the chain is whole\n", (long long)work.count);
    return r < 0 ? 1 : 0;
}
