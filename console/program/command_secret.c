/* Owns what the subcommands for tokens and keys have in common. Must not know their tables.
 */
#include "console/program/command_secret.h"

#include "common/text/text.h"

#include <errno.h>
#include <stdio.h>

#define DAY_MS 86400000LL

struct making {
    const struct command_secret_kind *kind;
    struct command_secret *secret;
};

static int create_work(struct sql *sql, void *user)
{
    const struct making *making = user;
    struct command_secret *secret = making->secret;
    int r = command_place_find(sql, &secret->place);
    if (r == 0)
        r = making->kind->create(sql, secret);
    return r < 0 ? r : command_audit(sql, making->kind->created, secret->name);
}

static int take_option(void *user, int option, const char *value)
{
    const struct making *making = user;
    struct command_secret *secret = making->secret;
    switch (option) {
    case 'd':
        return command_parse_count(value, making->kind->most_days, &secret->days);
    case 'n':
        secret->name = value;
        return value[0] && strlen(value) <= 128 && text_is_utf8(value) ? 0 : -EINVAL;
    case 'g':
        secret->place.group = value;
        return text_is_utf8(value) ? 0 : -EINVAL;
    case 'p':
        secret->place.policy = value;
        return text_is_utf8(value) ? 0 : -EINVAL;
    default:
        return making->kind->take ? making->kind->take(secret->more, option, value) : -EINVAL;
    }
}

int command_secret_create(const struct console_settings *settings,
                          const struct command_secret_kind *kind, int argc, char **argv, int first,
                          void *more)
{
    struct command_secret secret = {.name = "command line",
                                    .place = {.group = "", .policy = ""},
                                    .days = kind->days,
                                    .more = more};
    struct making making = {kind, &secret};
    char what[64];
    char *const *words;
    if (command_options(argc, argv, first, kind->options, take_option, &making, &words) != 0)
        return -1;
    secret.expires_ms = console_store_now_ms() + secret.days * DAY_MS;
    (void)text_format(what, sizeof(what), "cannot make a %s", kind->noun);
    int code = command_write(settings, create_work, &making, what);
    return code ? code : printf("%s\n", secret.text) < 0;
}

struct revoking {
    const struct command_secret_kind *kind;
    const char *id;
};

static int revoke_work(struct sql *sql, void *user)
{
    const struct revoking *revoking = user;
    int r = revoking->kind->revoke(sql, revoking->id);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return command_audit(sql, revoking->kind->revoked, revoking->id);
}

int command_secret_manage(const struct console_settings *settings,
                          const struct command_secret_kind *kind, int argc, char **argv)
{
    char what[128];
    if (argc == 2 && text_equal(argv[1], "list")) {
        (void)text_format(what, sizeof(what), "cannot read each %s", kind->noun);
        return command_read(settings, kind->list, NULL, what);
    }
    if (argc == 3 && text_equal(argv[1], "revoke") && text_is_utf8(argv[2])) {
        struct revoking revoking = {kind, argv[2]};
        (void)text_format(what, sizeof(what), "cannot revoke the %s", kind->noun);
        return command_write(settings, revoke_work, &revoking, what);
    }
    return -1;
}
