/* yagura-console user: people, for when nobody can sign in, and for scripts that set a console up.
 */
#include "common/text/text.h"
#include "console/people/password.h"
#include "console/people/user_store.h"
#include "console/program/command.h"

#include <errno.h>
#include <stdio.h>

#define ORG 1LL

struct user_work {
    const char *name, *role, *hash, *action;
    json_t *groups; /* names */
    bool disabled;
};

/* With a new one-time password in hash. */
static int with_password(const struct console_settings *settings, console_store_work *work,
                         struct user_work *user)
{
    char password[PASSWORD_NEW_BYTES], hash[PASSWORD_HASH_BYTES];
    int r = password_new(password);
    if (r == 0)
        r = password_hash(password, hash);
    if (r < 0)
        return command_failed("cannot make a password", r);
    user->hash = hash;
    int code = command_write(settings, work, user, user->name);
    return code ? code : printf("%s\n", password) < 0;
}

static int find_any(struct sql *sql, const char *name, char ret_id[static UUID_TEXT_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r =
        sql_run(sql, "SELECT id FROM users WHERE org_id = $1 AND name = $2", &row, "nt", ORG, name);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    return 0;
}

static int reset_work(struct sql *sql, void *user)
{
    const struct user_work *work = user;
    char id[UUID_TEXT_BYTES];
    int r = find_any(sql, work->name, id);
    if (r == 0)
        r = user_set_password(sql, id, work->hash, true);
    return r < 0 ? r : command_audit(sql, "password_reset", work->name);
}

/* --- new users */

static int create_work(struct sql *sql, void *user)
{
    const struct user_work *work = user;
    char id[UUID_TEXT_BYTES];
    AUTO_FREE char *groups = NULL;
    int r = command_find_groups(sql, work->groups, &groups);
    const struct user_draft draft = {.name = work->name,
                                     .role = work->role,
                                     .groups = groups,
                                     .password_hash = work->hash,
                                     .must_change = true};
    if (r == 0)
        r = user_create(sql, &draft, id);
    return r < 0 ? r : command_audit(sql, "user_created", work->name);
}

static int take_option(void *user, int option, const char *value)
{
    struct user_work *work = user;
    if (option == 'g')
        return command_add_text(&work->groups, value);
    work->role = value;
    return role_permissions(value) ? 0 : -EINVAL;
}

static int create(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"role", required_argument, NULL, 'r'},
                                            {"group", required_argument, NULL, 'g'},
                                            {NULL, 0, NULL, 0}};
    struct user_work work = {.role = "reader"};
    char *const *words;
    int code = -1;
    if (command_options(argc, argv, 2, options, take_option, &work, &words) == 1 && words[0][0] &&
        strlen(words[0]) <= 128) {
        work.name = words[0];
        code = with_password(settings, create_work, &work);
    }
    json_decref(work.groups);
    return code;
}

/* --- changes */

/* Somebody must be left who can do everything. */
static int keep_an_administrator(struct sql *sql, const char *id)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT 1 FROM users WHERE org_id = $1 AND id <> $2 AND role = 'administrator'"
                    " AND disabled = 0 AND groups = '[]'",
                    &row, "nt", ORG, id);
    return r < 0 ? r : r == 1 ? 0 : -EBUSY;
}

static int disable_work(struct sql *sql, void *user)
{
    const struct user_work *work = user;
    char id[UUID_TEXT_BYTES];
    int r = find_any(sql, work->name, id);
    if (r == 0 && work->disabled)
        r = keep_an_administrator(sql, id);
    if (r == 0)
        r = sql_run(sql, "UPDATE users SET disabled = $1 WHERE id = $2", NULL, "nt",
                    (int64_t)work->disabled, id);
    if (r == 0 && work->disabled)
        r = sql_run(sql, "DELETE FROM sessions WHERE user_id = $1", NULL, "t", id);
    return r < 0
               ? r
               : command_audit(sql, work->disabled ? "user_disabled" : "user_enabled", work->name);
}

static int list_work(struct sql *sql, void *user UNUSED)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT name, role, disabled, totp, created_ms FROM users WHERE org_id = $1"
                    " ORDER BY name",
                    &row, "n", ORG);
    (void)printf("name\trole\tstate\tsecond factor\tcreated\n");
    for (; r == 1; r = sql_step(row)) {
        command_print_cell(sql_text(row, 0), false);
        command_print_cell(sql_text(row, 1), false);
        command_print_cell(sql_number(row, 2) ? "disabled" : "active", false);
        command_print_cell(sql_text(row, 3)[0] ? "yes" : "no", false);
        command_print_time(sql_number(row, 4), true);
    }
    return r;
}

int console_user(const struct console_settings *settings, int argc, char **argv)
{
    const char *what = argc >= 2 ? argv[1] : "";
    if (argc >= 3 && text_equal(what, "create"))
        return create(settings, argc, argv);
    if (argc == 2 && text_equal(what, "list"))
        return command_read(settings, list_work, NULL, "cannot read the users");
    if (argc != 3)
        return -1;
    struct user_work work = {.name = argv[2], .disabled = text_equal(what, "disable")};
    if (text_equal(what, "reset-password"))
        return with_password(settings, reset_work, &work);
    if (work.disabled || text_equal(what, "enable"))
        return command_write(settings, disable_work, &work, argv[2]);
    return -1;
}
