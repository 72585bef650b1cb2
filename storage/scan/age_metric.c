#include "storage/scan/age_metric.h"

#include "common/json/json_writer.h"
#include "common/time/clock.h"

#include <poll.h>
#include <unistd.h>

#define MOST_LINE 1024 /* below PIPE_BUF: it is written whole */

int age_metric_write(const char *scanner, uint64_t age_ns, uint64_t now_ns, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_key(&writer, "_aws");
    json_write_object_begin(&writer);
    json_write_field_unsigned(&writer, "Timestamp", now_ns / NS_PER_MS);
    json_write_key(&writer, "CloudWatchMetrics");
    json_write_raw(&writer, "[{\"Namespace\":\"Yagura/Storage\",\"Dimensions\":[[\"Scanner\"]],"
                            "\"Metrics\":[{\"Name\":\"SignatureAge\",\"Unit\":\"Seconds\"}]}]");
    json_write_object_end(&writer);
    json_write_field_string(&writer, "Scanner", scanner);
    json_write_field_unsigned(&writer, "SignatureAge", age_ns / NS_PER_SECOND);
    json_write_object_end(&writer);
    return buffer_failed(json);
}

static void write_line(const struct buffer *line)
{
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT) != 0)
        (void)!write(STDERR_FILENO, line->data, line->length);
}

void age_metric_tell(const char *scanner, uint64_t age_ns)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(MOST_LINE);

    if (age_metric_write(scanner, age_ns, clock_realtime_ns(), &line) == 0 &&
        buffer_append_text(&line, "\n") == 0)
        write_line(&line);
}
