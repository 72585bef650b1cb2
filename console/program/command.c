/* Owns what the subcommands share: the store, the audit log's entry, tables on standard output. */
#include "console/program/command.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "console/people/audit.h"
#include "console/program/data_lock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#define ORG 1LL

int command_failed(const char *what, int error)
{
    (void)fprintf(stderr, "yagura-console: %s: %s\n", what, strerrordesc_np(-error));
    return 1;
}

int command_open_store(const struct console_settings *settings, struct console_store **ret_store)
{
    char place[4096], notice[512] = "";
    int r = console_database(settings, place);
    bool remote = r == 0 && sql_is_postgres_url(place);
    if (r == 0 && !remote && access(place, R_OK | W_OK) < 0)
        r = -errno;
    if (r == 0)
        r = console_store_open(place, ret_store, notice);
    if (r < 0)
        (void)fprintf(stderr,
                      "yagura-console: %s: %s%s%s; start the console once, and run this as its"
                      " user\n",
                      remote ? "database" : place, strerrordesc_np(-r), notice[0] ? ": " : "",
                      notice);
    else if (notice[0])
        (void)fprintf(stderr, "yagura-console: %s\n", notice);
    return r < 0 ? r : 0;
}

/* What an error of a piece of work means to whoever typed the command. */
static int refused(const char *what, int error)
{
    const char *why = error == -ENOENT     ? "there is no such group, policy, name or id"
                      : error == -EEXIST   ? "this name is taken"
                      : error == -EBUSY    ? "no administrator would be left"
                      : error == -ENOTUNIQ ? "several have this name: give the id"
                      : error == -EDQUOT || error == -EXFULL
                          ? "there are too many; remove some first"
                          : NULL;
    if (!why)
        return command_failed(what, error);
    (void)fprintf(stderr, "yagura-console: %s: %s\n", what, why);
    return 1;
}

static int run(const struct console_settings *settings, bool write, console_store_work *work,
               void *user, const char *what)
{
    struct console_store *store = NULL;
    if (command_open_store(settings, &store) < 0)
        return 1;
    int r = write ? console_store_write(store, work, user) : console_store_read(store, work, user);
    (void)console_store_close(store);
    return r < 0 ? refused(what, r) : 0;
}

int command_write(const struct console_settings *settings, console_store_work *work, void *user,
                  const char *what)
{
    return run(settings, true, work, user, what);
}

int command_read(const struct console_settings *settings, console_store_work *work, void *user,
                 const char *what)
{
    return run(settings, false, work, user, what);
}

int command_lock(const char *data, int *ret_fd)
{
    int r = file_make_directories(data, 0700);
    if (r == 0)
        r = data_lock_take(data, ret_fd);
    if (r == -EBUSY)
        (void)fprintf(stderr, "yagura-console: a console runs on %s; stop it first\n", data);
    else if (r == -EPERM || r == -EACCES)
        (void)fprintf(stderr, "yagura-console: %s: %s; run this as the console's user\n", data,
                      strerrordesc_np(-r));
    else if (r < 0)
        (void)command_failed(data, r);
    return r;
}

int command_audit(struct sql *sql, const char *action, const char *subject)
{
    char actor[64];
    (void)text_format(actor, sizeof(actor), "console:uid=%u", getuid());
    struct audit_entry entry = {actor, "", action, subject, ""};
    return audit_append(sql, &entry);
}

/* value NULL: the option has none. */
static void refuse_option(const struct option *option, const char *value)
{
    if (!value) {
        (void)fprintf(stderr, "yagura-console: --%s does not go with what stands before it\n",
                      option->name);
        return;
    }
    AUTO_FREE char *shown = text_escape_new(value, strlen(value));
    (void)fprintf(stderr, "yagura-console: --%s does not take \"%s\"\n", option->name,
                  shown ? shown : "");
}

int command_options(int argc, char **argv, int first, const struct option *options,
                    int (*take)(void *user, int option, const char *value), void *user,
                    char *const **ret_words)
{
    char **list = argv + first - 1;
    int count = argc - first + 1, index = 0, option;
    list[0] = (char *)"yagura-console"; /* for getopt's own messages */
    optind = 0;                         /* begins anew, and lets options follow other words */
    while ((option = getopt_long(count, list, "", options, &index)) != -1) {
        if (option == '?')
            return -EINVAL;
        if (take(user, option, optarg) < 0) {
            refuse_option(&options[index], optarg);
            return -EINVAL;
        }
    }
    *ret_words = list + optind;
    return count - optind;
}

int command_parse_count(const char *text, int64_t most, int64_t *ret_count)
{
    uint64_t count;
    if (text_parse_u64(text, &count) < 0 || count == 0 || count > (uint64_t)most)
        return -EINVAL;
    *ret_count = (int64_t)count;
    return 0;
}

int command_add_text(json_t **list, const char *text)
{
    if (!*list)
        *list = json_array();
    return *list && json_array_append_new(*list, json_string(text)) == 0 ? 0 : -ENOMEM;
}

char *command_list_text(const json_t *list)
{
    return list ? json_dumps(list, JSON_COMPACT) : strdup("[]");
}

static int find(struct sql *sql, const char *text, const char *name,
                char ret_id[static UUID_TEXT_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    ret_id[0] = '\0';
    if (!name[0])
        return 0;
    int r = sql_run(sql, text, &row, "ntt", ORG, name, name);
    if (r == 1)
        (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

int command_find_group(struct sql *sql, const char *name, char ret_id[static UUID_TEXT_BYTES])
{
    return find(sql, "SELECT id FROM groups WHERE org_id = $1 AND (id = $2 OR name = $3)", name,
                ret_id);
}

int command_find_groups(struct sql *sql, const json_t *names, char **ret_ids)
{
    json_t *ids = NULL;
    char id[UUID_TEXT_BYTES];
    int r = 0;
    for (size_t i = 0; r == 0 && i < json_array_size(names); i++) {
        r = command_find_group(sql, json_string_value(json_array_get(names, i)), id);
        if (r == 0)
            r = id[0] ? command_add_text(&ids, id) : -ENOENT;
    }
    *ret_ids = r == 0 ? command_list_text(ids) : NULL;
    json_decref(ids);
    return r < 0 ? r : *ret_ids ? 0 : -ENOMEM;
}

int command_place_find(struct sql *sql, struct command_place *place)
{
    int r = command_find_group(sql, place->group, place->group_text);
    if (r == 0)
        r = find(sql, "SELECT id FROM policies WHERE org_id = $1 AND (id = $2 OR name = $3)",
                 place->policy, place->policy_text);
    place->group_id = place->group_text[0] ? place->group_text : NULL;
    place->policy_id = place->policy_text[0] ? place->policy_text : NULL;
    return r;
}

void command_print_cell(const char *text, bool last)
{
    AUTO_FREE char *shown = text_escape_new(text, strlen(text));
    (void)printf("%s%c", !shown ? "?" : shown[0] ? shown : "-", last ? '\n' : '\t');
}

void command_print_time(int64_t time_ms, bool last)
{
    char text[32] = "";
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm parts;
    if (time_ms > 0 && gmtime_r(&seconds, &parts))
        (void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
    command_print_cell(text, last);
}
