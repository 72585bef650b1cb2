/* What a process lacks for now, and will have again: it says nothing about the file, the policy or
 * the peer at hand, which is tried again. Everything in the tree may use this header. */
#ifndef COMMON_SHORTAGE_H
#define COMMON_SHORTAGE_H

#include <errno.h>
#include <stdbool.h>

/* error: 0 or -errno. Descriptors, of ours or of the host, or memory. */
static inline bool is_shortage(int error)
{
    return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

#endif
