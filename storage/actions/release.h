/* What a person does with quarantined objects: look at them, bring one back, delete one. Bringing
 * back releases its content: the actions leave it alone from then on. One thread. */
#ifndef STORAGE_ACTIONS_RELEASE_H
#define STORAGE_ACTIONS_RELEASE_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "storage/actions/quarantine_record.h"

#include <stdbool.h>
#include <stddef.h>

/* 32 hexadecimal digits. */
bool release_id_is_valid(const char *id);

/* All: 0, or -ENOENT (no such object in the quarantine), -EEXIST (the place is taken), -EBADMSG
 * (the record is none), -EIO; problem is a person's text. */
int release_read_record(struct aws_client *client, const char *bucket, const char *id,
                        struct quarantine_record *ret_record, char *problem,
                        size_t problem_size) MUST_USE;

struct release {
    const char *bucket; /* of the quarantine */
    const char *id;
    const char *to_bucket, *to_key; /* NULL = where it came from */
    bool overwrite;
};
int release_restore(struct aws_client *client, const struct release *release,
                    struct quarantine_record *ret_record, char *problem,
                    size_t problem_size) MUST_USE;
int release_delete(struct aws_client *client, const char *bucket, const char *id, char *problem,
                   size_t problem_size) MUST_USE;
/* Takes a release back: sha256 in hexadecimal. */
int release_forbid(struct aws_client *client, const char *bucket, const char *sha256, char *problem,
                   size_t problem_size) MUST_USE;

/* Each record, by id. each: 0, or the listing ends with its error. A record that cannot be read is
 * NULL with the problem. */
int release_list(struct aws_client *client, const char *bucket,
                 int (*each)(void *user, const char *id, const struct quarantine_record *record,
                             const char *problem),
                 void *user, char *problem, size_t problem_size) MUST_USE;

#endif
