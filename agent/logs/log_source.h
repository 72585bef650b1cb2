/* One log file, followed by its name through rotation: renamed and made anew, or copied and
 * emptied. What was rotated is read to its end as long as it is there uncompressed. Opens files and
 * looks at their first bytes to know them again; reads no line. One thread. */
#ifndef AGENT_LOGS_LOG_SOURCE_H
#define AGENT_LOGS_LOG_SOURCE_H

#include "common/attributes.h"
#include "common/crypto/hash.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stdint.h>

/* Which file it is, whatever it is called: device, inode, and its beginning. */
struct log_file_id {
    uint64_t device, inode;
    uint32_t length; /* bytes of the beginning, 256 at most */
    uint8_t digest[SHA256_BYTES];
};

struct log_generation {
    struct log_file_id id;
    int fd;
    uint64_t offset; /* read so far */
    uint64_t size;
    uint64_t rotated_ns; /* monotonic: no more the file of that name since then; 0: it is */
};

enum log_notice {
    LOG_NOTICE_NONE,
    LOG_NOTICE_LOST,    /* what was not read yet is gone: rotated and compressed, or removed */
    LOG_NOTICE_EMPTIED, /* the file was emptied, and no copy of it was kept */
};

struct log_source {
    char *path;
    const char *name;                                         /* of the file, inside path */
    struct log_generation generations[LIMIT_LOG_GENERATIONS]; /* oldest first */
    size_t count;
    bool known;         /* it has a position: a file that appears is read from its beginning */
    bool changed;       /* its position is not stored yet */
    unsigned failures;  /* of reading it at its present place, one after the other */
    uint64_t failed_at; /* the last of them, in the order of all sources' failures; 0: never */
    struct {
        uint64_t bytes; /* that are not told yet */
        uint64_t told_ns;
        int error;
    } skipped;
    uint64_t narrow; /* bytes to be read in small pieces yet: something in them is not read well */
};

int log_source_init(struct log_source *source, const char *path) MUST_USE;
void log_source_done(struct log_source *source);

/* Begins where position (log_source_position's) says; NULL: a file that is there now is read from
 * its end on. */
int log_source_begin(struct log_source *source, const char *position, uint64_t now_ns,
                     enum log_notice *ret_notice) MUST_USE;
/* Sees growth and rotation. -errno when the file cannot be looked at; not being there is no
 * error. */
int log_source_look(struct log_source *source, uint64_t now_ns,
                    enum log_notice *ret_notice) MUST_USE;
/* The next one to be read; NULL: nothing is left. ret_final: it ends, even within a line. */
struct log_generation *log_source_next(struct log_source *source, uint64_t now_ns, bool *ret_final);
void log_source_advance(struct log_source *source, struct log_generation *generation,
                        uint64_t offset, bool final);
uint64_t log_source_lag(const struct log_source *source);

/* As text, for log_source_begin. NULL: out of memory. */
char *log_source_position(const struct log_source *source);

#endif
