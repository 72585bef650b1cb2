/* yagura-inspect: judges recorded events, one a line on standard input, one line of JSON each. */
#include "application/detection/inspection.h"
#include "application/events/event_line.h"
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <stdio.h>

static const char usage[] =
    "Usage: yagura-inspect [--rules TABLE] [--policy FILE] [--crs-exact] [--paranoia N]\n"
    "                      [--budget MICROSECONDS] <EVENTS\n"
    "       yagura-inspect --rules TABLE --differences\n"
    "Judges events, one JSON object a line (the event, or an object with \"event\" and \"id\").\n";

struct inspect_options {
    struct inspection_options inspection;
    const char *policy_path;
    uint64_t budget_us;
    bool differences;
};

static int parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret_number)
{
    if (text != NULL && text_parse_u64(text, ret_number) == 0 && *ret_number >= least &&
        *ret_number <= most)
        return 0;
    (void)fprintf(stderr, "yagura-inspect: %s is not a number from %llu to %llu\n",
                  text == NULL ? "nothing" : text, (unsigned long long)least,
                  (unsigned long long)most);
    return -EINVAL;
}

static int parse_arguments(int count, char **arguments, struct inspect_options *options)
{
    for (int i = 1; i < count; i++) {
        const char *next = i + 1 < count ? arguments[i + 1] : NULL;
        uint64_t number = 0;
        if (text_equal(arguments[i], "--crs-exact")) {
            options->inspection.exact = true;
            continue;
        }
        if (text_equal(arguments[i], "--differences")) {
            options->differences = true;
            continue;
        }
        if (text_equal(arguments[i], "--rules") && next != NULL) {
            options->inspection.table_path = next;
        } else if (text_equal(arguments[i], "--policy") && next != NULL) {
            options->policy_path = next;
        } else if (text_equal(arguments[i], "--paranoia")) {
            if (parse_number(next, 1, 4, &number) < 0)
                return -EINVAL;
            options->inspection.paranoia = (unsigned)number;
        } else if (text_equal(arguments[i], "--budget")) {
            if (parse_number(next, 0, UINT32_MAX, &options->budget_us) < 0)
                return -EINVAL;
        } else {
            (void)fputs(usage, stderr);
            return -EINVAL;
        }
        i++;
    }
    return 0;
}

static void write_span(struct json_writer *writer, const char *key, struct span text)
{
    json_write_key(writer, key);
    json_write_string_length(writer, text.length == 0 ? "" : text.data, text.length);
}

static void write_finding(struct json_writer *writer, const struct inspection_finding *finding)
{
    json_write_object_begin(writer);
    json_write_field_unsigned(writer, "rule", finding->rule);
    json_write_field_string(writer, "protection", inspection_protection_name(finding->protection));
    json_write_field_unsigned(writer, "score", finding->score);
    write_span(writer, "message", finding->message);
    write_span(writer, "matched", finding->matched);
    write_span(writer, "excerpt", finding->excerpt);
    json_write_object_end(writer);
}

static int write_result(struct span id, const struct inspection_result *result)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LIMIT_EVENT_DETAIL_BYTES * 8);
    struct json_writer writer;
    json_writer_init(&writer, &line);
    json_write_object_begin(&writer);
    write_span(&writer, "id", id);
    json_write_field_bool(&writer, "http", result->is_http);
    json_write_field_string(&writer, "action", inspection_action_name(result->action));
    json_write_field_unsigned(&writer, "score", result->score);
    json_write_field_bool(&writer, "complete", !result->budget_exhausted);
    json_write_key(&writer, "findings");
    json_write_array_begin(&writer);
    for (size_t i = 0; i < result->finding_count; i++)
        write_finding(&writer, &result->findings[i]);
    json_write_array_end(&writer);
    json_write_object_end(&writer);
    if (buffer_failed(&line) < 0)
        return buffer_failed(&line);
    return puts(buffer_text(&line)) == EOF ? -EIO : 0;
}

/* Where product mode deliberately differs from the rule set. */
static int list_differences(const struct inspection *inspection)
{
    struct inspection_difference difference;
    for (size_t i = 0; inspection_difference_get(inspection, i, &difference); i++) {
        if (printf("%6u-%-6u %3zu  %-32s %s\n", difference.first_rule, difference.last_rule,
                   difference.rules, difference.what, difference.reason) < 0)
            return -EIO;
    }
    return 0;
}

static int judge_lines(struct inspection *inspection, uint64_t budget_us)
{
    AUTO_FREE char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    int r = 0;
    while (r == 0 && (length = getline(&line, &capacity, stdin)) > 0) {
        struct span id = SPAN_NONE;
        struct span event = event_line_read((struct span){line, (size_t)length}, &id);
        struct inspection_result result;
        (void)inspection_judge(inspection, event.data, event.length, budget_us, &result);
        r = write_result(id, &result);
    }
    return r;
}

int main(int count, char **arguments)
{
    struct inspect_options options = {.inspection = {.table_fd = -1}};
    AUTO_BUFFER struct buffer policy = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct inspection *inspection = NULL;
    struct inspection_error error = {""};
    int r = parse_arguments(count, arguments, &options);
    if (r < 0)
        return 2;
    if (options.policy_path != NULL) {
        r = file_read_all(options.policy_path, &policy);
        options.inspection.policy = buffer_text(&policy);
        (void)text_copy(error.text, sizeof(error.text), "cannot read the policy");
    }
    if (r == 0)
        r = inspection_open(&options.inspection, &inspection, &error);
    if (r < 0) {
        (void)fprintf(stderr, "yagura-inspect: %s (%s)\n", error.text, strerrorname_np(-r));
        return 1;
    }
    r = options.differences ? list_differences(inspection)
                            : judge_lines(inspection, options.budget_us);
    inspection_free(inspection);
    return r < 0 || fflush(stdout) == EOF ? 1 : 0;
}
