/* Owns a folder in which the files in question stand for the scanner. Must not look into them. */
#include "console/signatures/signature_judge.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/signatures/hash_list.h"
#include "console/signatures/reserved_name.h"
#include "console/signatures/signature_list.h"
#include "scanner/client/load_check.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES 4096
#define BASE_NAME  "yagura-base.hdb"
#define TIMEOUT_NS (120 * NS_PER_SECOND) /* full-size signatures take a quarter of a minute */

/* Lists of exceptions alone are no engine: this one matches nothing that there is. */
static const char BASE[] = "00000000000000000000000000000000:1:Yagura.Check.Base\n";

/* A scanner with full-size signatures takes 1.4 GB. */
static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

static void remove_folder(char *folder)
{
    char *slash = strrchr(folder, '/');
    AUTO_CLOSE int parent = -1;

    if (!slash)
        return;
    *slash = '\0';
    if (file_open_directory(folder, true, &parent) == 0)
        (void)!file_remove_tree(parent, slash + 1);
}

static void hide_folder(char *problem, const char *folder)
{
    size_t length = strlen(folder);

    for (char *at; (at = strstr(problem, folder)) != NULL;) {
        const char *rest = at + length + (at[length] == '/' ? 1 : 0);
        memmove(at, rest, strlen(rest) + 1);
    }
}

int signature_judge_files(const struct signature_judge *judge, const char *folder,
                          char ret_problem[static SIGNATURE_PROBLEM_BYTES])
{
    const struct load_check check = {.program = judge->program,
                                     .database = folder,
                                     .temporary_directory = judge->scratch_directory,
                                     .timeout_ns = TIMEOUT_NS};
    char base[PATH_BYTES];
    ret_problem[0] = '\0';
    int r = text_format(base, sizeof(base), "%s/" BASE_NAME, folder);
    if (r > 0)
        r = file_replace(base, BASE, sizeof(BASE) - 1, 0600);
    if (r < 0)
        return r;
    if (access(judge->program, X_OK) < 0)
        return -ENOENT;
    if (pthread_mutex_trylock(&one_at_a_time) != 0)
        return -EAGAIN;
    r = load_check(&check, NULL, ret_problem);
    (void)pthread_mutex_unlock(&one_at_a_time);
    hide_folder(ret_problem, folder);
    return r;
}

static int write_list(const char *folder, const char *type, const char *text)
{
    char path[PATH_BYTES];
    int r = text_format(path, sizeof(path), "%s/list.%s", folder, type);
    return r < 0 ? r : file_replace(path, text, strlen(text), 0600);
}

/* Lines that are not empty; of YARA, rules cannot be told apart without a parser. */
static size_t count_lines(const char *text)
{
    size_t count = 0;

    while (*text) {
        size_t length = strcspn(text, "\n");
        count += length > strspn(text, " \t\r") && text[0] != '#';
        text += length + (text[length] == '\n');
    }
    return count;
}

int signature_judge_text(const struct signature_judge *judge, const char *type, const char *text,
                         size_t *ret_entries, char ret_problem[static SIGNATURE_PROBLEM_BYTES])
{
    struct reserved_name reserved = RESERVED_NAME_INIT;
    char folder[PATH_BYTES], path[PATH_BYTES];
    struct hash_list_problem problem;

    ret_problem[0] = '\0';
    if (signature_is_hash_type(type)) {
        int r = hash_list_read(text, LIMIT_SIGNATURE_HASHES, NULL, NULL, ret_entries, &problem);
        (void)text_copy(ret_problem, SIGNATURE_PROBLEM_BYTES, problem.text);
        return r < 0 ? -EINVAL : 0;
    }
    *ret_entries = count_lines(text);
    if (*ret_entries == 0) {
        (void)text_copy(ret_problem, SIGNATURE_PROBLEM_BYTES, "the list is empty");
        return -EINVAL;
    }
    if (reserved_name_find(&reserved, text, strlen(text))) {
        reserved_name_tell(&reserved, ret_problem, SIGNATURE_PROBLEM_BYTES);
        return -EINVAL;
    }
    int r = text_format(folder, sizeof(folder), "%s/signatures-XXXXXX", judge->scratch_directory);
    if (r < 0)
        return r;
    if (!mkdtemp(folder))
        return -errno;
    (void)text_copy(path, sizeof(path), folder);
    r = write_list(folder, type, text);
    if (r == 0)
        r = signature_judge_files(judge, folder, ret_problem);
    remove_folder(path);
    return r;
}
