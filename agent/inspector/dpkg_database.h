/* dpkg's database, read only: which package a file belongs to, and the MD5 the package brought it
 * with. Sources: dpkg's info/PACKAGE.list and .md5sums, diversions (three lines each: from, to,
 * package), and the Conffiles fields of status. /bin, /sbin and /lib* are taken for their places
 * below /usr (merged /usr). The index is made again when dpkg has worked. Not thread-safe. */
#ifndef AGENT_INSPECTOR_DPKG_DATABASE_H
#define AGENT_INSPECTOR_DPKG_DATABASE_H

#include "agent/inspector/inspector_messages.h"
#include "agent/inspector/package_content.h"

struct dpkg_database;

/* directory: "/var/lib/dpkg". Nothing is read yet. */
int dpkg_database_new(const char *directory, struct dpkg_database **ret_database) MUST_USE;
struct dpkg_database *dpkg_database_free(struct dpkg_database *database);

/* INSPECTOR_NONE also when there is no such database. The content is read only when a package may
 * own the path. */
enum inspector_answer dpkg_database_check(struct dpkg_database *database, const char *path,
                                          struct package_content *content,
                                          char ret_package[static PACKAGE_TEXT_BYTES]);

#endif
