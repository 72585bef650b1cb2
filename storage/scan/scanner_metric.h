/* The signatures' age and the confinement that the scanner reached, as metrics that CloudWatch
 * reads from the log: one line of JSON in its embedded metric format. Thread-safe: no state.
 * Source:
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
#ifndef STORAGE_SCAN_SCANNER_METRIC_H
#define STORAGE_SCAN_SCANNER_METRIC_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdint.h>

/* name: the value of the dimension Scanner; now_ns: realtime; sandbox: as scanner_sandbox_describe
 * writes it. No newline at its end. -ENOMEM, -EMSGSIZE. */
int scanner_metric_write(const char *name, uint64_t age_ns, const char *sandbox, uint64_t now_ns,
                         struct buffer *json) MUST_USE;
/* To standard error, where the log goes; what does not fit there is dropped, as of the log. */
void scanner_metric_tell(const char *name, uint64_t age_ns, const char *sandbox);

#endif
