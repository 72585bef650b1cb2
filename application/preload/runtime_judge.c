/* Decides and tells. State is what is read once from the environment, and the extension's area,
 * which changes while it is read: its sequences say so. */
#include "application/preload/runtime_judge.h"

#include "application/preload/relay_link.h"
#include "application/preload/request_values.h"
#include "application/preload/runtime_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How often something is read again that changed meanwhile. */
#define ATTEMPTS 4

/* What the environment says. POLICY: the area does. */
enum choice { CHOICE_UNREAD, CHOICE_OFF, CHOICE_REPORT, CHOICE_MITIGATE, CHOICE_POLICY };

struct rules {
    const char *text;
    size_t length;
};

static const char *const subject_names[] = {"Illegal File Access", "Remote Command Execution"};
static const char *const default_rules[] = {
    "deny:/etc/shadow;deny:/etc/gshadow;deny:/proc/*/mem;deny:/proc/*/environ",
    "deny:*/dev/tcp/*;deny:*bash -i*;deny:*/nc *;deny:*/ncat *;"
    "deny:*/socat *;deny:nc *;deny:ncat *;deny:socat *"};

/* Set once; two threads that race write the same. */
static const struct runtime_area *area;
static const char *own_rules[RUNTIME_SUBJECTS];
static bool never_blocks;
static enum choice current;

static bool is_word(const char *name, const char *word)
{
    const char *value = getenv(name);

    return value != NULL && strcmp(value, word) == 0;
}

static enum choice choice(void)
{
    static const char name[] = "YAGURA_APPLICATION_RUNTIME";

    if (current == CHOICE_UNREAD) {
        own_rules[RUNTIME_FILES] = getenv("YAGURA_APPLICATION_FILES");
        own_rules[RUNTIME_COMMANDS] = getenv("YAGURA_APPLICATION_COMMANDS");
        never_blocks = is_word("YAGURA_APPLICATION_MODE", "report");
        current = is_word("YAGURA_APPLICATION_MODE", "off") ? CHOICE_OFF
                  : is_word(name, "mitigate")               ? CHOICE_MITIGATE
                  : is_word(name, "report")                 ? CHOICE_REPORT
                  : is_word(name, "policy")                 ? CHOICE_POLICY
                                                            : CHOICE_OFF;
    }
    return current;
}

/* While the process has one thread. */
__attribute__((constructor)) static void begin(void)
{
    int before = errno;

    if (choice() != CHOICE_OFF)
        area = relay_link_map();
    errno = before;
}

static enum runtime_mode mode_of(enum runtime_subject subject)
{
    enum runtime_mode mode = RUNTIME_REPORT;

    if (choice() == CHOICE_OFF)
        return RUNTIME_OFF;
    if (choice() == CHOICE_MITIGATE)
        mode = RUNTIME_MITIGATE;
    if (choice() == CHOICE_POLICY && area != NULL) {
        uint32_t wanted = __atomic_load_n(&area->lists[subject].mode, __ATOMIC_RELAXED);
        mode = wanted <= RUNTIME_MITIGATE ? (enum runtime_mode)wanted : RUNTIME_REPORT;
    }
    return never_blocks && mode == RUNTIME_MITIGATE ? RUNTIME_REPORT : mode;
}

static struct rules rules_of(enum runtime_subject subject)
{
    struct rules rules = {own_rules[subject], 0};

    if (rules.text == NULL && area != NULL) {
        const struct runtime_list *list = &area->lists[subject];
        rules.length = __atomic_load_n(&list->length, __ATOMIC_RELAXED);
        if (rules.length > 0 && rules.length <= sizeof list->rules)
            return (struct rules){list->rules, rules.length};
    }
    if (rules.text == NULL)
        rules.text = default_rules[subject];
    rules.length = strlen(rules.text);
    return rules;
}

static enum runtime_rule judge_by_rules(enum runtime_subject subject, const char *text)
{
    enum runtime_rule rule = RUNTIME_RULE_NONE;

    for (int i = 0; i < ATTEMPTS; i++) {
        uint32_t before = area != NULL ? runtime_sequence(&area->sequence) : 0;
        struct rules rules = rules_of(subject);
        rule = runtime_rules_judge(rules.text, rules.length, text);
        if (area == NULL || runtime_is_whole(&area->sequence, before))
            break;
    }
    return rule;
}

/* The value is copied out, to be told. */
static bool find_value(const struct runtime_values *values, request_test test, const char *text,
                       char told[static RUNTIME_AREA_TEXT])
{
    struct request_text value;

    for (int i = 0; i < ATTEMPTS; i++) {
        uint32_t before = runtime_sequence(&values->sequence);
        size_t length = __atomic_load_n(&values->length, __ATOMIC_RELAXED);
        bool found = length <= sizeof values->records &&
                     request_values_find(values->records, length, test, text, &value);
        size_t shown = !found                             ? 0
                       : value.length < RUNTIME_AREA_TEXT ? value.length
                                                          : RUNTIME_AREA_TEXT - 1;
        memcpy(told, found ? value.data : "", shown);
        told[shown] = '\0';
        if (runtime_is_whole(&values->sequence, before))
            return found;
    }
    return false;
}

static bool of_request(request_test test, const char *text, char told[static RUNTIME_AREA_TEXT])
{
    if (area == NULL || __atomic_load_n(&area->correlates, __ATOMIC_RELAXED) == 0)
        return false;
    size_t slots = area->slots < RUNTIME_AREA_SLOTS ? area->slots : RUNTIME_AREA_SLOTS;
    for (size_t i = 0; i < slots; i++) {
        if (find_value(&area->requests[i], test, text, told))
            return true;
    }
    return false;
}

static size_t append(char *line, size_t used, size_t size, const char *text)
{
    size_t length = strlen(text);
    size_t fits = length < size - used ? length : size - used;

    memcpy(line + used, text, fits);
    return used + fits;
}

/* Bytes that JSON or a terminal would take amiss become '?'. */
static size_t append_plain(char *line, size_t used, size_t size, const char *text)
{
    for (; *text != '\0' && used < size; text++)
        line[used++] = *text >= ' ' && *text < 127 && *text != '"' && *text != '\\' ? *text : '?';
    return used;
}

/* One line, one write, to the function's log: where the extension does not listen. */
static void write_line(const struct runtime_finding *finding)
{
    char line[2 * RUNTIME_AREA_TEXT];
    size_t room = sizeof line - 4, used = 0;
    bool blocked = finding->blocked != 0;

    used = append(line, used, room, "{\"module\":\"application\",\"kind\":\"");
    used = append(line, used, room, blocked ? "runtime_blocked" : "runtime_reported");
    used = append(line, used, room, blocked ? "\",\"severity\":3" : "\",\"severity\":2");
    used = append(line, used, room, ",\"subject\":\"");
    used = append(line, used, room, subject_names[finding->subject]);
    used = append(line, used, room, "\",\"detail\":{\"what\":\"");
    used = append_plain(line, used, room, finding->what);
    used += append(line + used, 0, 4, "\"}}\n");
    (void)!write(STDERR_FILENO, line, used);
}

/* True when it is to be refused; errno is then EACCES, and before otherwise. */
static bool settle(struct runtime_finding *finding, const char *what, int before)
{
    size_t length = strlen(what);
    size_t shown = length < sizeof finding->what ? length : sizeof finding->what - 1;

    memcpy(finding->what, what, shown);
    memset(finding->what + shown, 0, sizeof finding->what - shown);
    finding->blocked = mode_of((enum runtime_subject)finding->subject) == RUNTIME_MITIGATE;
    if (!relay_link_tell(finding))
        write_line(finding);
    errno = finding->blocked ? EACCES : before;
    return finding->blocked;
}

/* The folder that a relative path begins in. */
static bool folder_of(int directory, char *text, size_t size)
{
    static const char descriptors[] = "/proc/self/fd/";
    char link[sizeof descriptors + 12];
    char digits[12];
    size_t used = sizeof descriptors - 1, count = 0;

    if (directory == AT_FDCWD)
        return syscall(SYS_getcwd, text, size) > 0 && text[0] == '/';
    if (directory < 0)
        return false;
    memcpy(link, descriptors, sizeof descriptors);
    do
        digits[count++] = (char)('0' + directory % 10);
    while ((directory /= 10) > 0);
    while (count > 0)
        link[used++] = digits[--count];
    link[used] = '\0';
    long length = syscall(SYS_readlinkat, AT_FDCWD, link, text, size - 1);
    if (length <= 0 || text[0] != '/')
        return false;
    text[length] = '\0';
    return true;
}

/* As it is written, and as what it leads to: "/etc/./shadow" is no other file. What is denied as
 * either is denied; what is allowed as what it leads to may come out of a request. */
bool runtime_judge_refuses_file(int directory, const char *path)
{
    struct runtime_finding finding = {.subject = RUNTIME_FILES};
    char text[2 * PATH_MAX];
    int before = errno;

    if (mode_of(RUNTIME_FILES) == RUNTIME_OFF || path == NULL)
        return false;
    enum runtime_rule rule = judge_by_rules(RUNTIME_FILES, path);
    if (rule == RUNTIME_RULE_DENY)
        return settle(&finding, path, before);
    bool known = (path[0] == '/' || folder_of(directory, text, PATH_MAX)) &&
                 runtime_rules_follow(text, sizeof text, path);
    errno = before;
    enum runtime_rule followed = known ? judge_by_rules(RUNTIME_FILES, text) : RUNTIME_RULE_NONE;
    if (followed == RUNTIME_RULE_DENY)
        return settle(&finding, text, before);
    if ((known ? followed : rule) == RUNTIME_RULE_ALLOW)
        return false;
    if (of_request(request_value_leads, known ? text : path, finding.value))
        return settle(&finding, known ? text : path, before);
    return false;
}

bool runtime_judge_refuses_command(const char *path, char *const *argv)
{
    struct runtime_finding finding = {.subject = RUNTIME_COMMANDS};
    char text[RUNTIME_AREA_TEXT];
    int before = errno;

    if (mode_of(RUNTIME_COMMANDS) == RUNTIME_OFF || path == NULL)
        return false;
    runtime_rules_join(text, sizeof text, path, argv);
    enum runtime_rule rule = judge_by_rules(RUNTIME_COMMANDS, text);
    if (rule == RUNTIME_RULE_DENY)
        return settle(&finding, text, before);
    const char *shell = argv == NULL ? path : runtime_rules_shell_text(path, argv);
    if (rule == RUNTIME_RULE_NONE && shell != NULL &&
        of_request(request_value_commands, shell, finding.value))
        return settle(&finding, text, before);
    return false;
}
