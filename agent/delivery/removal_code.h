/* Removal codes: the console's signed word that protected agents may be taken away, carried to the
 * host by people or by Parameter Store, so that it counts without a console in reach and without an
 * agent that runs. Its form stands in common/wire. */
#ifndef AGENT_DELIVERY_REMOVAL_CODE_H
#define AGENT_DELIVERY_REMOVAL_CODE_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdint.h>

/* How far the clocks of host and console may be apart. */
#define REMOVAL_CLOCK_MS (10LL * 60 * 1000)

enum removal_refusal {
    REMOVAL_GRANTED,
    REMOVAL_NO_CODE,
    REMOVAL_NO_CONSOLE,
    REMOVAL_FOREIGN,
    REMOVAL_OTHER_COMPUTER,
    REMOVAL_OTHER_GROUP,
    REMOVAL_EXPIRED,
    REMOVAL_EARLY,
    REMOVAL_STALE,
    REMOVAL_FAILED, /* out of memory, a disk that cannot be read */
};

struct removal_code {
    char id[40], scope[16], created_by[161];
    uint64_t expires_ms; /* realtime */
};

/* Judges by what the console told this host: the files below state_directory, which root alone can
 * read. ret_code is set when it is granted. From any thread, and from yaguractl. */
enum removal_refusal removal_code_judge(const char *state_directory, const char *text,
                                        size_t length, struct removal_code *ret_code) MUST_USE;

/* A stable word, and what a person is told; both live for ever. */
const char *removal_refusal_word(enum removal_refusal refusal);
const char *removal_refusal_text(enum removal_refusal refusal);

/* Detail of the event about its use: a JSON object. */
int removal_code_describe(const struct removal_code *code, struct buffer *detail) MUST_USE;

#endif
