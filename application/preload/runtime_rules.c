/* Patterns over paths and commands. */
#include "application/preload/runtime_rules.h"

#include <string.h>

bool runtime_rules_match(const char *pattern, size_t length, const char *text)
{
    size_t at = 0, star = length, retry = 0, position = 0;

    while (text[position] != '\0') {
        if (at < length && pattern[at] == '*') {
            star = at++;
            retry = position;
        } else if (at < length && pattern[at] == text[position]) {
            at++;
            position++;
        } else if (star < length) {
            at = star + 1;
            position = ++retry;
        } else {
            return false;
        }
    }
    while (at < length && pattern[at] == '*')
        at++;
    return at == length;
}

static bool begins(const char *rule, size_t length, const char *word)
{
    size_t wanted = strlen(word);

    return length >= wanted && memcmp(rule, word, wanted) == 0;
}

enum runtime_rule runtime_rules_judge(const char *rules, size_t length, const char *text)
{
    static const char allow[] = "allow:", deny[] = "deny:";

    while (length > 0) {
        const char *end = memchr(rules, ';', length);
        size_t rule = end != NULL ? (size_t)(end - rules) : length;
        bool allows = begins(rules, rule, allow), denies = begins(rules, rule, deny);
        size_t skip = allows ? sizeof allow - 1 : sizeof deny - 1;
        if ((allows || denies) && runtime_rules_match(rules + skip, rule - skip, text))
            return denies ? RUNTIME_RULE_DENY : RUNTIME_RULE_ALLOW;
        rule += end != NULL;
        rules += rule;
        length -= rule;
    }
    return RUNTIME_RULE_NONE;
}

static bool is_shell(const char *path)
{
    static const char *const shells[] = {"sh", "bash", "dash", "ash", "zsh", "ksh", "busybox"};
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;

    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (strcmp(name, shells[i]) == 0)
            return true;
    }
    return false;
}

const char *runtime_rules_shell_text(const char *path, char *const *argv)
{
    if (argv == NULL || argv[0] == NULL || !is_shell(path))
        return NULL;
    for (size_t i = 1; argv[i] != NULL; i++) {
        const char *word = argv[i];
        if (word[0] == '-' && word[1] != '-' && strchr(word, 'c') != NULL)
            return argv[i + 1];
    }
    return NULL;
}

bool runtime_rules_follow(char *text, size_t size, const char *path)
{
    size_t used = *path == '/' ? 0 : strlen(text);

    if (*path == '\0' || size < 2)
        return false;
    while (used > 0 && text[used - 1] == '/')
        used--;
    while (*path != '\0') {
        size_t length = strcspn(path, "/");
        if (length == 2 && path[0] == '.' && path[1] == '.') {
            while (used > 0 && text[--used] != '/')
                continue;
        } else if (length > 0 && !(length == 1 && path[0] == '.')) {
            if (length + 2 > size - used)
                return false;
            text[used++] = '/';
            memcpy(text + used, path, length);
            used += length;
        }
        path += length + (path[length] == '/');
    }
    if (used == 0)
        text[used++] = '/';
    text[used] = '\0';
    return true;
}

void runtime_rules_join(char *text, size_t size, const char *path, char *const *argv)
{
    size_t used = 0;

    /* argv[0] is what the program calls itself; what is started is path. */
    for (size_t i = 0; used + 2 < size; i++) {
        const char *word = i == 0 ? path : argv != NULL && argv[0] != NULL ? argv[i] : NULL;
        if (word == NULL)
            break;
        if (i > 0)
            text[used++] = ' ';
        size_t length = strlen(word);
        size_t fits = length < size - used - 1 ? length : size - used - 1;
        memcpy(text + used, word, fits);
        used += fits;
    }
    text[used] = '\0';
}
