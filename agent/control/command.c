/* Owns reading the command line by the table of commands, and what is made from that table. */
#include "agent/control/command.h"
#include "agent/control/messages.h"

#include "common/settings/suggestion.h"
#include "common/text/text.h"

#include <errno.h>
#include <getopt.h>

#define NAME_BYTES    64
#define FIRST_LONG    256 /* getopt's value of options that have no letter */
#define SUMMARY_WIDTH 20

const struct command *const *commands;

const struct command_option global_options[] = {
    {"socket", 's', "PATH", "FILE", "control socket of the agent"},
    {"config", 'c', "FILE", "FILE", "the agent's configuration (default /etc/yagura/agent.conf)"},
    {"json", 'j', NULL, NULL, "print JSON, one object a line"},
    {"help", 'h', NULL, NULL, "explain"},
    {"version", 'V', NULL, NULL, "print the version"},
    {NULL, 0, NULL, NULL, NULL},
};

int command_fail(const char *format, ...)
{
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(text, sizeof(text), say(format), arguments);
    va_end(arguments);
    (void)fprintf(stderr, "yaguractl: %s\n", text);
    return EXIT_ERROR;
}

/* The option at a position among the global ones and those of command; NULL beyond the end. */
static const struct command_option *option_at(const struct command *command, size_t position)
{
    const struct command_option *options = global_options;
    size_t index = 0;
    for (int table = 0; table < 2 && options != NULL; table++) {
        for (; options->name != NULL; options++, index++) {
            if (index == position)
                return options;
        }
        options = command != NULL ? command->options : NULL;
    }
    return NULL;
}

const char *command_option(const struct invocation *invocation, const char *name)
{
    const struct command_option *option;
    for (size_t i = 0; (option = option_at(invocation->command, i)) != NULL; i++) {
        if (text_equal(option->name, name))
            return invocation->given[i];
    }
    return NULL;
}

/* --- help ------------------------------------------------------------------------------------- */

static void print_options(const struct command_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        char left[NAME_BYTES], letter[8] = "    ";
        if (options->letter != 0)
            (void)text_format(letter, sizeof(letter), "-%c, ", options->letter);
        (void)text_format(left, sizeof(left), "%s--%s%s%s", letter, options->name,
                          options->argument != NULL ? " " : "",
                          options->argument != NULL ? options->argument : "");
        bool choice = options->choices != NULL && !text_equal(options->choices, "FILE");
        (void)printf("  %-*s  %s%s%s\n", SUMMARY_WIDTH + 4, left, say(options->meaning),
                     choice ? ": " : "", choice ? options->choices : "");
    }
}

static void print_command_help(const struct command *command)
{
    (void)printf("Usage: yaguractl %s%s%s%s\n%s.\n", command->name,
                 command->options != NULL ? " [OPTION...]" : "",
                 command->arguments[0] != '\0' ? " " : "", command->arguments,
                 say(command->summary));
    if (command->options != NULL)
        (void)printf("\n%s\n", say("Options:"));
    print_options(command->options);
    (void)printf("\n%s\n", say("Everywhere:"));
    print_options(global_options);
    if (command->more != NULL)
        (void)printf("\n%s", command->more);
}

/* Whether command's name is two words, and family the first of them. */
static bool is_of_family(const struct command *command, const char *family)
{
    size_t length = strlen(family);
    return strncmp(command->name, family, length) == 0 && command->name[length] == ' ';
}

/* Those of a family; NULL: all. */
static void print_commands(const char *family)
{
    (void)printf("%s\n", say("Commands:"));
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (family == NULL || is_of_family(commands[i], family))
            (void)printf("  %-*s  %s\n", SUMMARY_WIDTH, commands[i]->name,
                         say(commands[i]->summary));
    }
}

static void print_help(void)
{
    (void)printf("%s\n%s\n\n", say("Usage: yaguractl [OPTION...] COMMAND [ARGUMENT...]"),
                 say("Steers the running yagura-agent."));
    print_commands(NULL);
    (void)printf("\n%s\n", say("Options:"));
    print_options(global_options);
    (void)printf("\n%s\n", say("Exit: 0 all is well, 1 something was found, 2 error."));
    (void)printf("More: yaguractl COMMAND --help, and yaguractl(8).\n");
}

/* --- finding the command ---------------------------------------------------------------------- */

static const char *command_at(const void *user UNUSED, size_t index)
{
    return commands[index]->name;
}

static int unknown_command(const char *name)
{
    char shown[NAME_BYTES];
    size_t count = 0;
    while (commands[count] != NULL)
        count++;
    (void)text_escape(shown, sizeof(shown), name, strlen(name));
    const char *nearest = suggestion_nearest(name, count, command_at, NULL);
    if (nearest != NULL)
        (void)command_fail("there is no command \"%s\"; did you mean %s?", shown, nearest);
    else
        (void)command_fail("there is no command \"%s\"; yaguractl --help lists them", shown);
    return -EINVAL;
}

/* Whether name is the first of the two words of a command. */
static bool is_family(const char *name)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        if (is_of_family(commands[i], name))
            return true;
    }
    return false;
}

static int print_family_help(const char *family)
{
    (void)printf("Usage: yaguractl [OPTION...] %s COMMAND [ARGUMENT...]\n\n", family);
    print_commands(family);
    (void)printf("\nMore: yaguractl %s COMMAND --help, and yaguractl(8).\n", family);
    return 1;
}

/* Finds the command that words begin with; ret_words: how many of them name it. 1: help was asked
 * for and printed. */
static int find_command(char **words, int count, const struct command **ret_command, int *ret_words)
{
    char name[NAME_BYTES];
    for (int used = MIN(count, 2); used > 0; used--) {
        (void)text_format(name, sizeof(name), used == 2 ? "%s %s" : "%s", words[0],
                          used == 2 ? words[1] : "");
        for (size_t i = 0; commands[i] != NULL; i++) {
            if (text_equal(commands[i]->name, name)) {
                *ret_command = commands[i];
                *ret_words = used;
                return 0;
            }
        }
    }
    if (!is_family(words[0]))
        return unknown_command(words[0]);
    if (count > 1 && (text_equal(words[1], "--help") || text_equal(words[1], "-h")))
        return print_family_help(words[0]);
    if (count > 1) {
        (void)text_format(name, sizeof(name), "%s %s", words[0], words[1]);
        return unknown_command(name);
    }
    (void)command_fail("%s needs another word; yaguractl %s --help lists them", words[0], words[0]);
    return -EINVAL;
}

/* --- options ---------------------------------------------------------------------------------- */

struct getopt_tables {
    struct option longs[COMMAND_OPTIONS + 1];
    char letters[2 + 2 * COMMAND_OPTIONS + 1];
};

static void fill_tables(const struct command *command, struct getopt_tables *tables)
{
    const struct command_option *option;
    size_t used = 0;
    *tables = (struct getopt_tables){0};
    tables->letters[used++] = command == NULL ? '+' : ':'; /* global ones: stop at the command */
    if (command == NULL)
        tables->letters[used++] = ':';
    for (size_t i = 0; (option = option_at(command, i)) != NULL; i++) {
        tables->longs[i] = (struct option){
            .name = option->name,
            .has_arg = option->argument != NULL ? required_argument : no_argument,
            .val = FIRST_LONG + (int)i,
        };
        if (option->letter != 0) {
            tables->letters[used++] = option->letter;
            if (option->argument != NULL)
                tables->letters[used++] = ':';
        }
    }
}

static size_t position_of(const struct command *command, int value)
{
    const struct command_option *option;
    if (value >= FIRST_LONG)
        return (size_t)(value - FIRST_LONG);
    size_t i = 0;
    while ((option = option_at(command, i)) != NULL && option->letter != value)
        i++;
    return i;
}

static const char *long_name_at(const void *user, size_t index)
{
    return option_at(user, index)->name;
}

static int wrong_option(const struct command *command, int value, const char *word)
{
    char shown[NAME_BYTES], name[NAME_BYTES];
    (void)text_escape(shown, sizeof(shown), word, strlen(word));
    if (value == ':') {
        (void)command_fail("%s needs a value", shown);
        return -EINVAL;
    }
    size_t count = 0;
    while (option_at(command, count) != NULL)
        count++;
    (void)text_format(name, sizeof(name), "%.*s", (int)strcspn(word + strspn(word, "-"), "="),
                      word + strspn(word, "-"));
    const char *nearest = suggestion_nearest(name, count, long_name_at, command);
    if (nearest != NULL && text_starts_with(word, "--"))
        (void)command_fail("there is no option %s; did you mean --%s?", shown, nearest);
    else
        (void)command_fail("there is no option %s here; see yaguractl %s%s--help", shown,
                           command != NULL ? command->name : "", command != NULL ? " " : "");
    return -EINVAL;
}

/* Reads options from argv (argv[0] is skipped) up to the first other word (command NULL) or all of
 * them. The rest begins at optind. */
static int read_options(int argc, char **argv, const struct command *command,
                        struct invocation *invocation)
{
    struct getopt_tables tables;
    fill_tables(command, &tables);
    opterr = 0;
    optind = 0; /* begin anew: glibc's way */
    for (;;) {
        int value = getopt_long(argc, argv, tables.letters, tables.longs, NULL);
        if (value == -1)
            return 0;
        if (value == '?' || value == ':')
            return wrong_option(command, value, argv[optind > 1 ? optind - 1 : 1]);
        invocation->given[position_of(command, value)] = optarg != NULL ? optarg : "";
    }
}

static int check_count(const struct command *command, size_t count)
{
    if (count >= command->least && count <= command->most)
        return 0;
    if (count < command->least)
        (void)command_fail("%s needs %s; see yaguractl %s --help", command->name,
                           command->arguments, command->name);
    else
        (void)command_fail("%s takes %s; see yaguractl %s --help", command->name,
                           command->most == 0 ? "no arguments" : "fewer arguments", command->name);
    return -EINVAL;
}

int command_parse(int argc, char **argv, struct invocation *ret_invocation)
{
    *ret_invocation = (struct invocation){0};
    int words = 0;
    int r = read_options(argc, argv, NULL, ret_invocation);
    if (r < 0)
        return r;
    if (command_has(ret_invocation, "version")) {
        (void)puts("yaguractl " YAGURA_VERSION);
        return 1;
    }
    bool word = optind == argc - 1 && text_equal(argv[optind], "help");
    if (optind == argc || word) {
        print_help();
        return word || command_has(ret_invocation, "help") ? 1 : -EINVAL;
    }
    int first = optind;
    r = find_command(argv + first, argc - first, &ret_invocation->command, &words);
    if (r != 0)
        return r;
    /* getopt skips one word as the program's name: the last word of the command's name is it. */
    int skipped = first + words - 1;
    r = read_options(argc - skipped, argv + skipped, ret_invocation->command, ret_invocation);
    if (r < 0)
        return r;
    if (command_has(ret_invocation, "help")) {
        print_command_help(ret_invocation->command);
        return 1;
    }
    ret_invocation->arguments = argv + skipped + optind;
    ret_invocation->argument_count = (size_t)(argc - skipped - optind);
    ret_invocation->json = command_has(ret_invocation, "json");
    return check_count(ret_invocation->command, ret_invocation->argument_count);
}

/* --- completion ------------------------------------------------------------------------------- */

static void print_words(const struct command_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        (void)printf(" --%s", options->name);
        if (options->letter != 0)
            (void)printf(" -%c", options->letter);
    }
}

/* What may follow an option, as a case of the shell. */
static void print_option_cases(const struct command_option *options)
{
    for (; options != NULL && options->name != NULL; options++) {
        if (options->argument == NULL)
            continue;
        (void)printf("        --%s", options->name);
        if (options->letter != 0)
            (void)printf("|-%c", options->letter);
        if (options->choices == NULL) {
            (void)printf(") return ;;\n");
        } else if (text_equal(options->choices, "FILE")) {
            (void)printf(") COMPREPLY=($(compgen -f -- \"$word\")); return ;;\n");
        } else {
            (void)printf(") COMPREPLY=($(compgen -W '");
            for (const char *at = options->choices; *at != '\0'; at++)
                (void)putchar(*at == '|' ? ' ' : *at);
            (void)printf("' -- \"$word\")); return ;;\n");
        }
    }
}

static void print_command_words(void)
{
    const char *last = "";
    for (size_t i = 0; commands[i] != NULL; i++) {
        size_t size = strcspn(commands[i]->name, " ");
        if (strncmp(commands[i]->name, last, size) != 0 || last[size] != ' ')
            (void)printf(" %.*s", (int)size, commands[i]->name);
        last = commands[i]->name;
    }
}

static void print_family_cases(void)
{
    for (size_t i = 0; commands[i] != NULL; i++) {
        const char *space = strchr(commands[i]->name, ' ');
        if (space == NULL)
            continue;
        size_t size = (size_t)(space - commands[i]->name) + 1;
        if (i > 0 && strncmp(commands[i - 1]->name, commands[i]->name, size) == 0)
            continue;
        (void)printf("        %.*s) words='", (int)size - 1, commands[i]->name);
        for (size_t j = i; commands[j] != NULL; j++) {
            if (strncmp(commands[j]->name, commands[i]->name, size) == 0)
                (void)printf("%s%s", j > i ? " " : "", commands[j]->name + size);
        }
        (void)printf("' ;;\n");
    }
}

int command_print_completion(const struct invocation *invocation UNUSED)
{
    (void)printf("# bash completion of yaguractl; made by yaguractl completion\n"
                 "_yaguractl() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
                 "    local first='' second='' words='' i\n"
                 "    COMPREPLY=()\n"
                 "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                 "        case ${COMP_WORDS[i]} in\n"
                 "        -s|-c|--socket|--config) ((i++)) ;;\n"
                 "        -*) ;;\n"
                 "        *) if [[ -z $first ]]; then first=${COMP_WORDS[i]}; "
                 "elif [[ -z $second ]]; then second=${COMP_WORDS[i]}; fi ;;\n"
                 "        esac\n"
                 "    done\n"
                 "    case $before in\n");
    print_option_cases(global_options);
    (void)printf("    esac\n    case \"$first $second\" in\n");
    for (size_t i = 0; commands[i] != NULL; i++) {
        const struct command *command = commands[i];
        bool two_words = strchr(command->name, ' ') != NULL;
        (void)printf("    \"%s\"%s)\n        case $before in\n", command->name,
                     two_words ? "" : "\\ *");
        print_option_cases(command->options);
        (void)printf("        esac\n        words='");
        print_words(command->options);
        print_words(global_options);
        (void)printf("' ;;\n");
    }
    (void)printf("    *)\n        case $first in\n        '') words='");
    print_command_words();
    print_words(global_options);
    (void)printf("' ;;\n");
    print_family_cases();
    (void)printf("        esac ;;\n"
                 "    esac\n"
                 "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
                 "    [[ $word == -* || -z $first ]] || "
                 "COMPREPLY+=($(compgen -f -- \"$word\"))\n"
                 "}\n"
                 "complete -o filenames -F _yaguractl yaguractl\n");
    return EXIT_CLEAN;
}
