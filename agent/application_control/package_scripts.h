/* Scripts that a package manager runs while it installs: no package lists them among its files. */
#ifndef AGENT_APPLICATION_CONTROL_PACKAGE_SCRIPTS_H
#define AGENT_APPLICATION_CONTROL_PACKAGE_SCRIPTS_H

#include "agent/prevention/open_judge.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Whether the file lies where dpkg keeps a package's scripts, only root can have put it there, and
 * root runs it below a package manager. rpm hands its scripts to a shell, which is no question. */
bool package_scripts_include(const struct open_question *question, const struct stat *status);

#endif
