/* Where product mode deliberately differs from the rule set: rules that make no sense behind API
 * Gateway are left out, and rules that ordinary text sets off need a second signal. */
#ifndef APPLICATION_DETECTION_DISPOSITIONS_H
#define APPLICATION_DETECTION_DISPOSITIONS_H

#include <stddef.h>
#include <stdint.h>

enum disposition { DISPOSITION_AS_IS, DISPOSITION_LEFT_OUT, DISPOSITION_SECOND_SIGNAL };

struct disposition_entry {
    uint32_t first_rule;
    uint32_t last_rule;
    enum disposition disposition;
    const char *reason;
};

/* Later entries win. */
const struct disposition_entry *disposition_entries(size_t *ret_count);
enum disposition disposition_of(uint32_t rule);

/* What a rule that needs a second signal adds: alone it stays below the threshold. */
#define SECOND_SIGNAL_SCORE 2

#endif
