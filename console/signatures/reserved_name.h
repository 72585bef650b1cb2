/* Names of signatures that the console alone gives: an agent does at once, without a brake, what
 * "Yagura.Denied.NAME" says, so nobody else's signature may be named so. The text is not parsed: a
 * name is taken for one wherever a field of ClamAV's formats may begin. */
#ifndef CONSOLE_SIGNATURES_RESERVED_NAME_H
#define CONSOLE_SIGNATURES_RESERVED_NAME_H

#include <stdbool.h>
#include <stddef.h>

/* Of one text, which may come in pieces. */
struct reserved_name {
    size_t line; /* where it stands now; of the name, once it was found */
    size_t matched;
    bool apart; /* this field is none */
};
#define RESERVED_NAME_INIT \
    {                      \
        .line = 1          \
    }

/* Whether there is one in what has come so far. */
bool reserved_name_find(struct reserved_name *reserved, const char *piece, size_t length);
/* For people, after it was found. */
void reserved_name_tell(const struct reserved_name *reserved, char *ret_problem, size_t size);

#endif
