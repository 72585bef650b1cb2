/* Where product mode deliberately differs from the rule set: rules that make no sense behind API
 * Gateway are left out, rules that ordinary text sets off need a second signal, and some rules of
 * the next paranoia level, which ordinary text does not set off, are added. */
#ifndef APPLICATION_DETECTION_DISPOSITIONS_H
#define APPLICATION_DETECTION_DISPOSITIONS_H

#include "application/events/span.h"

#include <stddef.h>
#include <stdint.h>

enum disposition {
    DISPOSITION_AS_IS,
    DISPOSITION_LEFT_OUT,
    DISPOSITION_SECOND_SIGNAL,     /* alone it does not reach the threshold */
    DISPOSITION_NOT_IN_PROSE,      /* a match in text for people needs a second signal */
    DISPOSITION_WEAK_NOT_IN_PROSE, /* and elsewhere too; in such text it counts nothing */
    DISPOSITION_HALF_IN_PROSE,     /* two of them together do reach it there */
    DISPOSITION_REQUEST_LINE,      /* only with the rest of a request line */
    DISPOSITION_PATH,              /* only in what is a path */
    DISPOSITION_NOT_UTF8,          /* only where the text is no UTF-8 */
    DISPOSITION_NOT_A_PICTURE,     /* an image in Base64 needs a second signal */
    DISPOSITION_NOT_PLAIN_WORDS,   /* letters and blanks alone need a second signal */
};

struct disposition_entry {
    uint32_t first_rule;
    uint32_t last_rule;
    enum disposition disposition;
    const char *reason;
};

/* Of rules of the lowest paranoia level; later entries win. */
const struct disposition_entry *disposition_entries(size_t *ret_count);
/* Rules of the next level that are used; its others are left out. */
const struct disposition_entry *disposition_additions(size_t *ret_count);
enum disposition disposition_of(uint32_t rule, unsigned paranoia);
const char *disposition_name(enum disposition disposition);
/* What a match counts: 0 to score. */
unsigned disposition_score(enum disposition disposition, unsigned score, struct span text,
                           size_t offset);

/* The paranoia level that product mode runs. */
#define DISPOSITION_PARANOIA 2

#endif
