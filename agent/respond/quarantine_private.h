/* Shared by the files that make up quarantine.h. Not for others. */
#ifndef AGENT_RESPOND_QUARANTINE_PRIVATE_H
#define AGENT_RESPOND_QUARANTINE_PRIVATE_H

#include "agent/respond/digest_set.h"
#include "agent/respond/holding.h"
#include "agent/respond/quarantine.h"
#include "common/crypto/aead.h"

#include <pthread.h>

struct quarantine {
    struct store *store;
    int directory_fd; /* STATE/quarantine */
    uint8_t key[AEAD_KEY_BYTES];
    char host[HOLDING_HOST_BYTES];

    pthread_mutex_t operation; /* one restore, delete or export at a time */
    pthread_mutex_t files; /* a sealed file is written from the store, or removed with its row */
    pthread_mutex_t mutex; /* guards what follows */
    uint64_t used_bytes, reserved_bytes, maximum_bytes;
    bool drop_oldest;
    struct digest_set allowed;
};

#define SEALED_NAME_BYTES (UUID_TEXT_BYTES + 8)
#define SEALED_SUFFIX     ".sealed"

/* "<id>.sealed" */
void quarantine_file_name(char name[static SEALED_NAME_BYTES], const char *id);
/* Opens the sealed file of id and reads its facts; ret_fd stands at the content. */
int quarantine_open_sealed(struct quarantine *quarantine, const char *id, int *ret_fd,
                           struct quarantine_facts *ret_facts) MUST_USE;
/* Removes id's row, with an event, and then its file. -ENOENT when there is no row. */
struct detection_note;
int quarantine_remove(struct quarantine *quarantine, const char *kind, enum event_severity severity,
                      const struct quarantine_facts *facts,
                      const struct detection_note *note) MUST_USE;

#endif
