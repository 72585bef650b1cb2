/* What a scan found, as lines for people or JSON; the same for the agent's and the standalone scan.
 */
#ifndef AGENT_CONTROL_SCAN_OUTPUT_H
#define AGENT_CONTROL_SCAN_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct scan_output {
    bool json;
    bool has_totals; /* the end was told */
};

/* A control_line for "result", "progress" and "totals"; user is a struct scan_output. */
int scan_output_line(void *user, const char *key, const json_t *value, const char *text);
/* After the last line. */
void scan_output_end(struct scan_output *output, int exit_code);

#endif
