/* rpm's database of installed packages, read only: which package a file belongs to, and the digest
 * the package brought it with. SQLite only (rpm >= 4.16: Amazon Linux 2023, RHEL 9, Fedora): its
 * table Packages has the headers, Basenames and Dirnames say where to look. The older Berkeley DB
 * and SUSE's ndb are not read, only noticed.
 *
 * It is opened for each question, since a reader that stayed would keep rpm from folding its log
 * into the database, and since rpm may replace the folder. Not thread-safe. */
#ifndef AGENT_INSPECTOR_RPM_DATABASE_H
#define AGENT_INSPECTOR_RPM_DATABASE_H

#include "agent/inspector/inspector_messages.h"
#include "agent/inspector/package_content.h"

#include <stdbool.h>

/* directory: "/var/lib/rpm" (without ?, # and %). INSPECTOR_NONE also when there is no such
 * database, and when a package owns the path but says nothing about its content; INSPECTOR_FAILED
 * when it is there and cannot be read. ret_package: "" unless the answer is UNCHANGED or CHANGED.
 */
enum inspector_answer rpm_database_check(const char *directory, const char *path,
                                         struct package_content *content,
                                         char ret_package[static PACKAGE_TEXT_BYTES]);

/* There is a database of rpm that is not read: a host's packages are not known. */
bool rpm_database_is_foreign(const char *directory);

#endif
