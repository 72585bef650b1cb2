/* yagura-console signatures: the mirror's files and people's lists, by hand. A console that runs
 * sees the change within seconds. */
#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/program/command.h"
#include "console/signatures/mirror.h"
#include "console/signatures/mirror_entry.h"
#include "console/signatures/signature_list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct import {
    bool unsigned_too;
    size_t refused;
};

static int take_import_option(void *user, int option, const char *value UNUSED)
{
    struct import *import = user;
    import->unsigned_too = option == 'u';
    return 0;
}

static void print_outcome(void *user, const struct mirror_outcome *outcome)
{
    struct import *import = user;
    command_print_cell(outcome->name, false);
    if (outcome->result >= 0)
        (void)printf("%s\t", outcome->result == 1 ? "taken" : "there already");
    else
        (void)printf("%s\t", outcome->result == -ESTALE ? "older" : "refused");
    (void)printf("%llu\t", (unsigned long long)outcome->version);
    command_print_cell(outcome->result < 0 ? outcome->problem : "", true);
    import->refused += outcome->result < 0 && outcome->result != -ESTALE;
}

static int import_folder(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"unsigned", no_argument, NULL, 'u'},
                                            {NULL, 0, NULL, 0}};
    const char *data = console_settings_text(settings, CONSOLE_DATA);
    AUTO_FREE char *directory = text_format_new("%s/" MIRROR_FOLDER, data);
    struct import import = {.refused = 0};
    struct console_store *store = NULL;
    char *const *words;
    size_t taken = 0;

    int count = command_options(argc, argv, 2, options, take_import_option, &import, &words);
    if (count != 1)
        return -1;
    if (!directory)
        return command_failed(data, -ENOMEM);
    if (command_open_store(settings, &store) < 0)
        return 1;
    const struct mirror mirror = {.store = store,
                                  .directory = directory,
                                  .judge = {console_settings_text(settings, CONSOLE_SCANNER),
                                            directory}};
    const struct mirror_take take = {.folder = words[0],
                                     .source = "import",
                                     .actor = "console",
                                     .unsigned_too = import.unsigned_too,
                                     .told = print_outcome,
                                     .user = &import};
    int r = mirror_take(&mirror, &take, &taken);
    (void)console_store_close(store);
    if (r < 0)
        return command_failed(words[0], r);
    return import.refused > 0 ? 1 : 0;
}

static int print_files(struct sql *sql, void *user UNUSED)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    AUTO_STATEMENT struct sql_statement *list = NULL;
    int r = sql_run(sql,
                    "SELECT name, version, size, built_ms, added_ms, source FROM signature_files"
                    " ORDER BY name",
                    &row, "");
    (void)printf("file\tversion\tbytes\tbuilt\tadded\tsource\n");
    for (; r == 1; r = sql_step(row)) {
        command_print_cell(sql_text(row, 0), false);
        (void)printf("%lld\t%lld\t", (long long)sql_number(row, 1), (long long)sql_number(row, 2));
        command_print_time(sql_number(row, 3), false);
        command_print_time(sql_number(row, 4), false);
        command_print_cell(sql_text(row, 5), true);
    }
    if (r == 0)
        r = sql_run(sql,
                    "SELECT lists.name, lists.type, lists.entries, groups.name, lists.revision,"
                    " lists.changed_ms FROM signature_lists AS lists"
                    " LEFT JOIN groups ON groups.id = lists.group_id ORDER BY lists.name",
                    &list, "");
    (void)printf("list\ttype\tentries\tgroup\trevision\tchanged\n");
    for (; r == 1; r = sql_step(list)) {
        command_print_cell(sql_text(list, 0), false);
        command_print_cell(sql_text(list, 1), false);
        (void)printf("%lld\t", (long long)sql_number(list, 2));
        command_print_cell(sql_text(list, 3), false);
        (void)printf("%lld\t", (long long)sql_number(list, 4));
        command_print_time(sql_number(list, 5), true);
    }
    return r;
}

/* --- lists */

struct put {
    const char *group;
    struct signature_list list;
};

static int take_put_option(void *user, int option UNUSED, const char *value)
{
    ((struct put *)user)->group = value;
    return 0;
}

static int put_list(struct sql *sql, void *user)
{
    struct put *put = user;
    struct signature_list_row row;
    char group_id[UUID_TEXT_BYTES];
    int64_t revision;
    int r = signature_list_find(sql, put->list.name, &row);
    r = r < 0 ? r : command_find_group(sql, put->group, group_id);
    if (r < 0)
        return r;
    put->list.group_id = group_id[0] ? group_id : NULL;
    r = signature_list_put(sql, &put->list, &row, &revision);
    return r < 0 ? r : command_audit(sql, "signatures_changed", put->list.name);
}

/* signatures put NAME TYPE FILE */
static int put_file(const struct console_settings *settings, int argc, char **argv)
{
    static const struct option options[] = {{"group", required_argument, NULL, 'g'},
                                            {NULL, 0, NULL, 0}};
    AUTO_FREE char *scratch = text_format_new("%s/" MIRROR_FOLDER, /* which a console sweeps */
                                              console_settings_text(settings, CONSOLE_DATA));
    const struct signature_judge judge = {console_settings_text(settings, CONSOLE_SCANNER),
                                          scratch};
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SIGNATURE_LIST_BYTES);
    struct put put = {.group = ""};
    char problem[SIGNATURE_PROBLEM_BYTES];
    char *const *words;
    size_t entries = 0;

    int count = command_options(argc, argv, 2, options, take_put_option, &put, &words);
    if (count != 3 || !signature_is_list_name(words[0]) || !signature_is_type(words[1]))
        return -1;
    if (!scratch ||
        access(scratch, W_OK) < 0) { /* never made here: it would not be the console's */
        (void)fprintf(stderr,
                      "yagura-console: %s: %s; start the console once, and run this as its user\n",
                      scratch ? scratch : words[2], strerrordesc_np(scratch ? errno : ENOMEM));
        return 1;
    }
    int r = file_read_all(words[2], &text);
    if (r < 0)
        return command_failed(words[2], r);
    if (strlen(buffer_text(&text)) != text.length)
        return command_failed(words[2], -EILSEQ);
    r = signature_judge_text(&judge, words[1], buffer_text(&text), &entries, problem);
    if (r < 0) {
        (void)fprintf(stderr, "yagura-console: %s: %s\n", words[2],
                      problem[0] ? problem : strerrordesc_np(-r));
        return 1;
    }
    put.list = (struct signature_list){.name = words[0],
                                       .type = words[1],
                                       .text = buffer_text(&text),
                                       .author = "console",
                                       .entries = (int64_t)entries};
    return command_write(settings, put_list, &put, words[0]);
}

static int delete_one(struct sql *sql, void *user)
{
    struct signature_list_row row;
    int r = signature_list_find(sql, user, &row);
    if (r == 0)
        r = signature_list_delete(sql, user, &row);
    if (r == 0)
        return command_audit(sql, "signatures_deleted", user);
    if (r == -ENOENT)
        r = mirror_entry_delete(sql, user);
    return r < 0 ? r : command_audit(sql, "mirror_file_deleted", user);
}

int console_signatures(const struct console_settings *settings, int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (text_equal(verb, "import"))
        return import_folder(settings, argc, argv);
    if (text_equal(verb, "put"))
        return put_file(settings, argc, argv);
    if (text_equal(verb, "list") && argc == 2)
        return command_read(settings, print_files, NULL, "signatures");
    if (text_equal(verb, "delete") && argc == 3)
        return command_write(settings, delete_one, argv[2], argv[2]);
    return -1;
}
