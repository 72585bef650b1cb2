/* Asks yagura-inspector, an unprivileged child, whether a file belongs to an installed package and
 * still has the content the package brought. One question at a time; used by the deciding thread.
 */
#ifndef AGENT_RESPOND_PACKAGE_OWNER_H
#define AGENT_RESPOND_PACKAGE_OWNER_H

#include "common/attributes.h"

#include <stdbool.h>

struct package_owner;

enum package_answer {
    PACKAGE_NONE,      /* of no package, or its package says nothing about its content */
    PACKAGE_UNCHANGED, /* of a package, and as the package brought it */
    PACKAGE_CHANGED,   /* of a package, but with another content */
    PACKAGE_UNKNOWN,   /* the inspector cannot be asked, or cannot read the databases */
};

#define PACKAGE_NAME_BYTES 256

/* program NULL: every answer is PACKAGE_NONE. The child is started by the first question. */
int package_owner_new(const char *program, struct package_owner **ret_owner) MUST_USE;
struct package_owner *package_owner_free(struct package_owner *owner);
/* path: raw bytes, absolute; fd: its content, read from offset 0. Takes up to 10 s, then the child
 * is killed and the answer PACKAGE_UNKNOWN. ret_package: "" unless owned. */
enum package_answer package_owner_ask(struct package_owner *owner, const char *path, int fd,
                                      char ret_package[static PACKAGE_NAME_BYTES]);
/* What the last answer said about the databases. Any thread. */
enum package_databases { PACKAGES_NOT_ASKED, PACKAGES_READABLE, PACKAGES_UNREADABLE };
enum package_databases package_owner_databases(const struct package_owner *owner);

/* The child that is asked, for other questions of the same thread; NULL: there is none. */
struct inspector_client;
struct inspector_client *package_owner_inspector(const struct package_owner *owner);

#endif
