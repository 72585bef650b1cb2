/* The signatures' age as a metric that CloudWatch reads from the log: one line of JSON in its
 * embedded metric format. Thread-safe: no state.
 * Source:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
#ifndef STORAGE_SCAN_AGE_METRIC_H
#define STORAGE_SCAN_AGE_METRIC_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdint.h>

/* scanner: the value of the dimension Scanner; now_ns: realtime. No newline at its end. -ENOMEM,
 * -EMSGSIZE. */
int age_metric_write(const char *scanner, uint64_t age_ns, uint64_t now_ns,
                     struct buffer *json) MUST_USE;
/* To standard error, where the log goes; what does not fit there is dropped, as of the log. */
void age_metric_tell(const char *scanner, uint64_t age_ns);

#endif
