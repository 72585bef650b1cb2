#include "storage/scan/scanner_metric.h"

#include "common/json/json_writer.h"
#include "common/time/clock.h"

#include <poll.h>
#include <string.h>
#include <unistd.h>

#define MOST_LINE 1024 /* below PIPE_BUF: it is written whole */

/* "user,seccomp; missing: namespaces,tmpfs": 2. */
static uint64_t count_missing(const char *sandbox)
{
    const char *list = strstr(sandbox, "missing: ");
    uint64_t count = 0;

    for (; list != NULL; list = strchr(list + 1, ','))
        count++;
    return count;
}

int scanner_metric_write(const char *name, uint64_t age_ns, const char *sandbox, uint64_t now_ns,
                         struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_key(&writer, "_aws");
    json_write_object_begin(&writer);
    json_write_field_unsigned(&writer, "Timestamp", now_ns / NS_PER_MS);
    json_write_key(&writer, "CloudWatchMetrics");
    json_write_raw(&writer, "[{\"Namespace\":\"Yagura/Storage\",\"Dimensions\":[[\"Scanner\"]],"
                            "\"Metrics\":[{\"Name\":\"SignatureAge\",\"Unit\":\"Seconds\"},"
                            "{\"Name\":\"SandboxStepsMissing\",\"Unit\":\"Count\"}]}]");
    json_write_object_end(&writer);
    json_write_field_string(&writer, "Scanner", name);
    json_write_field_unsigned(&writer, "SignatureAge", age_ns / NS_PER_SECOND);
    json_write_field_unsigned(&writer, "SandboxStepsMissing", count_missing(sandbox));
    json_write_field_string(&writer, "Sandbox", sandbox);
    json_write_object_end(&writer);
    return buffer_failed(json);
}

static void write_line(const struct buffer *line)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0)
        (void)!write(STDERR_FILENO, line->data, line->length);
}

void scanner_metric_tell(const char *name, uint64_t age_ns, const char *sandbox)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(MOST_LINE);

    if (scanner_metric_write(name, age_ns, sandbox, clock_realtime_ns(), &line) == 0 &&
        buffer_append_text(&line, "\n") == 0)
        write_line(&line);
}
