/* Signature files that agents fetch from the console: kept in the data folder by their SHA-256,
 * told to agents in their signed set, given in pieces. An older file never takes the place of a
 * newer one. Thread-safe. */
#ifndef CONSOLE_SIGNATURES_MIRROR_H
#define CONSOLE_SIGNATURES_MIRROR_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "console/signatures/signature_judge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct console_store;
struct mirror_memory;

#define MIRROR_FOLDER "mirror" /* below the data folder */

struct mirror {
    struct console_store *store;
    const char *directory;        /* DATA/mirror */
    struct signature_judge judge; /* without a program, files are taken unjudged: agents judge */
};

struct mirror_outcome {
    const char *name; /* of the file */
    int result; /* 1 taken, 0 it is there already, -ESTALE older than what is there, -EBADMSG no
                   signature file, -EINVAL refused, -ECANCELED ended before, -errno */
    uint64_t version;
    const char *problem; /* in the latter cases; "" */
};

/* Takes in what is new in a folder: .cvd, .cld (its owner vouches for it) and, when
 * unsigned_too, lists in ClamAV's formats. source: "import", "freshclam" or "url". Calls told for
 * each file that is a signature's by its name, but not for one that the memory has as refused.
 * Looks at ending between files, and while others' signatures are checked: true ends it early.
 * ret_taken: how many were taken. < 0: the folder cannot be read, or something but their content
 * kept files out (no room, the database): the others were taken in, and another look may bring the
 * rest. */
struct mirror_take {
    const char *folder, *source, *actor;
    bool unsigned_too;
    void (*told)(void *user, const struct mirror_outcome *outcome); /* NULL: nobody */
    bool (*ending)(void *user);                                     /* NULL: never */
    struct mirror_memory *memory; /* of this folder, NULL: every file is read */
    void *user;
};
int mirror_take(const struct mirror *mirror, const struct mirror_take *take,
                size_t *ret_taken) MUST_USE;
/* Removes files that are offered no more, once nobody can be fetching them: after a day; and what
 * a crash, or a killed command, left behind: after an hour. */
void mirror_sweep(const struct mirror *mirror);

/* length bytes from offset of the file with this digest. -ENOENT, -errno, -EIO: it ends before. */
int mirror_read(const char *directory, const char *sha256, uint64_t offset, size_t length,
                struct buffer *piece) MUST_USE;

#endif
