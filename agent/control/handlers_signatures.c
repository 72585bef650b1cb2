/* signatures: {"reload":false} <- {"engine":{...}}, {"file":{"path","size","time"}} for each file
 * of signatures; with reload they are loaded anew, which goes on after the answer. */
#include "agent/control/handlers_private.h"

#include "agent/policy/agent_config.h"
#include "agent/scan/scan_pipeline.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/database_files.h"

#define LINE_BYTES (LIMIT_PATH_BYTES * 8 + 1024)

static void send_engine(struct control_request *request, const struct scanner_status *scanner)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "engine");
    json_write_object_begin(&json);
    json_write_field_string(&json, "version", scanner->engine_version);
    json_write_field_hex(&json, "generation", scanner->generation);
    json_write_field_unsigned(&json, "signatures", scanner->signatures);
    json_write_field_string(&json, "problem", scanner->problem);
    json_write_object_end(&json);
    json_write_object_end(&json);
    (void)control_request_send(request, buffer_text(&line));
}

static void send_file(struct control_request *request, const struct database_file *file)
{
    AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(LINE_BYTES);
    struct json_writer json;
    char time[CLOCK_TEXT_BYTES];
    AUTO_FREE char *shown = text_escape_new(file->path, strlen(file->path));
    clock_format(time, file->identity.mtime_ns);
    json_writer_init(&json, &line);
    json_write_object_begin(&json);
    json_write_key(&json, "file");
    json_write_object_begin(&json);
    json_write_field_string(&json, "path", shown != NULL ? shown : "");
    json_write_field_unsigned(&json, "size", file->identity.size);
    json_write_field_string(&json, "time", time);
    json_write_field_unsigned(&json, "time_ns", file->identity.mtime_ns);
    json_write_object_end(&json);
    json_write_object_end(&json);
    (void)control_request_send(request, buffer_text(&line));
}

static void work_signatures(struct control_handlers *handlers, struct control_request *request,
                            const json_t *arguments UNUSED)
{
    const char *const *folders =
        (const char *const *)handlers->context.config->database_directories;
    struct database_files files = {0};
    const char *failed = NULL;
    size_t count = 0;
    while (folders[count] != NULL)
        count++;
    int r = database_files_list(folders, count, &files, &failed);
    if (r < 0) {
        AUTO_FREE char *shown = failed != NULL ? text_escape_new(failed, strlen(failed)) : NULL;
        control_request_fail(request, 2, "%s cannot be read: %s",
                             shown != NULL ? shown : "the signatures", log_error_text(r));
        return;
    }
    struct scan_pipeline_status status;
    scan_pipeline_status(handlers->context.pipeline, &status);
    send_engine(request, &status.scanner);
    for (size_t i = 0; i < files.count; i++)
        send_file(request, &files.files[i]);
    database_files_done(&files);
    control_request_done(request, 0);
}

void handle_signatures(void *user, struct control_request *request, const json_t *arguments)
{
    struct control_handlers *handlers = user;
    bool reload = false;
    if (argument_bool(arguments, "reload", &reload) == 0 && reload) {
        int r = scan_pipeline_reload_signatures(handlers->context.pipeline);
        if (r < 0) {
            control_request_fail(request, 2, "the signatures cannot be loaded anew: %s",
                                 log_error_text(r));
            return;
        }
    }
    control_run_task(handlers, request, arguments, work_signatures);
}
