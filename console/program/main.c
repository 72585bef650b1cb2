/* yagura-console: the fleet's console. This file chooses the subcommand; serve.c is the server. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "console/program/console.h"

#include <getopt.h>
#include <signal.h>

#define DEFAULT_SETTINGS YAGURA_CONSOLE_SETTINGS

static int print_completion(const struct console_settings *settings, int argc, char **argv);

static const struct {
    const char *name;
    int (*run)(const struct console_settings *settings, int argc, char **argv);
    const char *usage;
    const char *words; /* what may stand after the name, for bash; NULL: nothing may */
} COMMANDS[] = {
    {"serve", console_serve, "serve                           run the console (the default)", NULL},
    {"pin", console_pin, "pin                             print the pin of the console's authority",
     NULL},
    {"token", console_token,
     "token create [--days N] [--uses N] [--name TEXT] [--group NAME] [--policy NAME]\n"
     "               [--tag TEXT]... [--cidr NETWORK]...\n"
     "                                  make an activation token and print it\n"
     "  token list | token revoke ID",
     "create list revoke --days --uses --name --group --policy --tag --cidr"},
    {"rule", console_rule,
     "rule create NAME [--cidr NETWORK]... [--account ID]... [--region NAME]...\n"
     "              [--hostname PATTERN]... [--token-tag TEXT]... [--token ID]...\n"
     "              [--group NAME] [--policy NAME] [--add-tag TEXT]... [--position N]\n"
     "                                  place new computers; the first rule that matches decides\n"
     "  rule list | rule delete NAME",
     "create list delete --cidr --account --region --hostname --token-tag --token --group --policy"
     " --add-tag --position"},
    {"user", console_user,
     "user create [--role ROLE] [--group NAME]... NAME\n"
     "                                  make a user and print the one-time password\n"
     "  user reset-password NAME        give a user a new one-time password\n"
     "  user list | user disable NAME | user enable NAME",
     "create list reset-password disable enable --role --group"},
    {"sensor-key", console_sensor_key,
     "sensor-key create storage|application [--days N] [--name TEXT] [--group NAME]\n"
     "                    [--policy NAME]\n"
     "                                  make a key for file storage or functions and print it\n"
     "  sensor-key list | sensor-key revoke ID",
     "create list revoke storage application --days --name --group --policy"},
    {"api-key", console_api_key,
     "api-key create [--role ROLE] [--group NAME]... [--days N] [--name TEXT]\n"
     "                                  make a key for the REST API and print it\n"
     "  api-key list | api-key revoke ID",
     "create list revoke --role --group --days --name"},
    {"signatures", console_signatures,
     "signatures import FOLDER [--unsigned]\n"
     "                                  take signature files for agents that fetch them here\n"
     "  signatures put NAME TYPE FILE [--group NAME]\n"
     "                                  make or change a list: allow, deny, hdb, hsb, ndb, ldb, fp,\n"
     "                                  sfp, ign2, yara\n"
     "  signatures list | signatures delete NAME",
     "import put list delete --unsigned --group"},
    {"keys", console_keys,
     "keys rotate [--retire-now]      sign with a new key, which agents follow\n"
     "  keys show                       print its id, itself, and how many came before",
     "rotate show --retire-now"},
    {"removal-code", console_removal_code,
     "removal-code --computer NAME | --group NAME | --all [--hours N]\n"
     "                                  make a code that lets protected agents be removed",
     "--computer --group --all --hours"},
    {"backup", console_backup,
     "backup FOLDER                   copy database and keys; the console may run", ""},
    {"restore", console_restore,
     "restore FOLDER [--force]        put a backup back; the console must not run", "--force"},
    {"migrate", console_migrate,
     "migrate postgresql://...        copy the SQLite database into an empty PostgreSQL one",
     "postgresql://"},
    {"verify-audit", console_verify_audit,
     "verify-audit                    check the audit log's chain", NULL},
    {"completion", print_completion,
     "completion                      print bash's completion of these commands", NULL},
};

/* Files and folders are offered everywhere: settings, backups. */
static int print_completion(const struct console_settings *settings UNUSED, int argc UNUSED,
                            char **argv UNUSED)
{
    (void)printf("_yagura_console() {\n"
                 "    local at=1 words='--config --help --version'\n"
                 "    [[ $COMP_CWORD -gt 2 && ${COMP_WORDS[1]} == --config ]] && at=3\n"
                 "    if [[ $COMP_CWORD -eq $at ]]; then\n"
                 "        words+='");
    for (size_t i = 0; i < ARRAY_LENGTH(COMMANDS); i++)
        (void)printf(" %s", COMMANDS[i].name);
    (void)printf("'\n    else\n        case ${COMP_WORDS[$at]} in\n");
    for (size_t i = 0; i < ARRAY_LENGTH(COMMANDS); i++)
        (void)printf("        %s) words='%s' ;;\n", COMMANDS[i].name,
                     COMMANDS[i].words ? COMMANDS[i].words : "");
    return printf("        esac\n    fi\n"
                  "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$2\"; "
                  "[[ -n $2 && $2 != -* ]] && compgen -f -- \"$2\")\n"
                  "}\ncomplete -o filenames -F _yagura_console yagura-console\n") < 0;
}

static int print_usage(FILE *stream, int code)
{
    (void)fprintf(stream, "usage: yagura-console [--config FILE] [COMMAND]\n\n");
    for (size_t i = 0; i < ARRAY_LENGTH(COMMANDS); i++)
        (void)fprintf(stream, "  %s\n", COMMANDS[i].usage);
    (void)fprintf(stream, "\nWithout --config, %s is read when it is there.\n", DEFAULT_SETTINGS);
    return code;
}

/* The exit code. */
static int run_command(const struct console_settings *settings, int argc, char **argv)
{
    const char *name = argc > 0 ? argv[0] : "serve";
    for (size_t i = 0; i < ARRAY_LENGTH(COMMANDS); i++) {
        if (!text_equal(COMMANDS[i].name, name))
            continue;
        int code =
            argc > 1 && !COMMANDS[i].words ? -1 : COMMANDS[i].run(settings, MAX(argc, 1), argv);
        if (code < 0)
            (void)fprintf(stderr, "usage:\n  %s\n", COMMANDS[i].usage);
        return code < 0 ? 2 : code;
    }
    AUTO_FREE char *shown = text_escape_new(name, strlen(name));
    (void)fprintf(stderr, "yagura-console: there is no command \"%s\": see yagura-console --help\n",
                  shown ? shown : "");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"help", no_argument, NULL, 'h'},
                                            {"version", no_argument, NULL, 'v'},
                                            {NULL, 0, NULL, 0}};
    const char *path = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option == 'h')
            return print_usage(stdout, 0);
        if (option == 'v')
            return printf("yagura-console %s\n", YAGURA_VERSION) < 0;
        if (option != 'c')
            return print_usage(stderr, 2);
        path = optarg;
    }
    if (!path && access(DEFAULT_SETTINGS, F_OK) == 0)
        path = DEFAULT_SETTINGS;

    log_open("yagura-console", LOG_LEVEL_INFO);
    (void)signal(SIGPIPE, SIG_IGN);
    struct console_settings settings;
    struct settings_error error;
    if (console_settings_load(path, &settings, &error) < 0) {
        log_error("settings_refused", "problem", error.text, NULL);
        return 1;
    }
    static const char *const levels[] = {"error", "warning", "info", "debug"};
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++)
        if (text_equal(levels[i], console_settings_text(&settings, CONSOLE_LOG_LEVEL)))
            log_set_level((enum log_level)i);

    int code = run_command(&settings, argc - optind, argv + optind);
    console_settings_done(&settings);
    return code;
}
