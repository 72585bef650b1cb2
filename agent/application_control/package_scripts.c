/* Owns: the places and the names of package managers. Reads /proc alone. */
#include "agent/application_control/package_scripts.h"

#include "agent/prevention/process_facts.h"
#include "common/attributes.h"
#include "common/text/text.h"

#define GENERATIONS 8 /* dpkg, a script, debconf's front end, the script again */

static const char *const folders[] = {"/var/lib/dpkg/info/", "/var/lib/dpkg/tmp.ci/",
                                      "/var/cache/debconf/tmp.ci/"};
/* A process gives itself its name; but this one is root's, who may as well install a package. */
static const char *const managers[] = {"dpkg", "apt", "apt-get", "aptitude"};

static bool lies_there(const char *path)
{
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        if (text_starts_with(path, folders[i]))
            return true;
    return false;
}

static bool is_manager(const char *name)
{
    for (size_t i = 0; i < ARRAY_LENGTH(managers); i++)
        if (text_equal(name, managers[i]))
            return true;
    return false;
}

bool package_scripts_include(const struct open_question *question, const struct stat *status)
{
    if (question->user != 0 || status->st_uid != 0 ||
        (status->st_mode & (S_IWGRP | S_IWOTH)) != 0 || !lies_there(question->path))
        return false;
    pid_t pid = question->pid;
    for (int i = 0; i < GENERATIONS && pid > 1; i++) {
        char name[PROCESS_NAME_BYTES];
        pid = process_facts_parent(pid, name);
        if (is_manager(name))
            return true;
    }
    return false;
}
