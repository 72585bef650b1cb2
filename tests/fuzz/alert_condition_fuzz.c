/* Conditions of alert rules and filters of destinations: any text is refused or read whole, and
 * what was read can be compared with an event. */
#include "console/alerts/alert_rules.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    struct alert_condition condition;
    struct event_match match;
    struct event_facts event = {3, "malware", "malware_found",
                                "11111111-1111-4111-8111-111111111111", text};
    if (alert_condition_parse(text, &condition) == 0)
        (void)event_matches(&condition.match, &event);
    if (event_match_parse(text, &match) == 0)
        (void)event_matches(&match, &event);
    free(text);
    return 0;
}
