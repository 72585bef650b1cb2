/* Results and their message. Owns: codes, words and the message's form. */
#include "storage/scan/storage_result.h"

#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <string.h>

/* ---- words ---- */

const char *storage_verdict_name(enum storage_verdict verdict)
{
    static const char *const names[] = {"clean", "infected",   "incomplete",
                                        "error", "superseded", "deleted"};

    return (size_t)verdict < ARRAY_LENGTH(names) ? names[verdict] : "unknown";
}

enum fss_code {
    CODE_FILE_SIZE = 101,
    CODE_FILE_COUNT = 102,
    CODE_RECURSION = 103,
    CODE_RATIO = 104,
    CODE_UNSUPPORTED = 105,
    CODE_BROKEN = 106,
    CODE_ENCRYPTED_ARCHIVE = 107,
    CODE_ENCRYPTED_OFFICE = 108,
    CODE_ENCRYPTED_PDF = 109,
    CODE_OTHER = 199,
};

const char *storage_code_message(unsigned code)
{
    switch ((enum fss_code)code) {
    case CODE_FILE_SIZE:
        return "a file in it is too large";
    case CODE_FILE_COUNT:
        return "it holds too many files";
    case CODE_RECURSION:
        return "it is nested too deep";
    case CODE_RATIO:
        return "it unpacks to too much";
    case CODE_UNSUPPORTED:
        return "a format that cannot be opened";
    case CODE_BROKEN:
        return "it is damaged";
    case CODE_ENCRYPTED_ARCHIVE:
        return "an encrypted archive";
    case CODE_ENCRYPTED_OFFICE:
        return "an encrypted document";
    case CODE_ENCRYPTED_PDF:
        return "an encrypted PDF";
    case CODE_OTHER:
        return "it could not be scanned to its end";
    }
    return "";
}

/* ---- from a scan ---- */

static unsigned code_of_encrypted(const void *first, size_t length)
{
    static const unsigned char compound[] = {0xD0, 0xCF, 0x11, 0xE0}; /* OLE */

    if (length >= 4 && memcmp(first, "%PDF", 4) == 0)
        return CODE_ENCRYPTED_PDF;
    if (length >= sizeof compound && memcmp(first, compound, sizeof compound) == 0)
        return CODE_ENCRYPTED_OFFICE;
    return CODE_ENCRYPTED_ARCHIVE;
}

static unsigned code_of(enum scan_reason reason, const void *first, size_t length)
{
    switch (reason) {
    case SCAN_REASON_FILE_SIZE:
        return CODE_FILE_SIZE;
    case SCAN_REASON_SCAN_SIZE:
        return CODE_RATIO;
    case SCAN_REASON_FILE_COUNT:
        return CODE_FILE_COUNT;
    case SCAN_REASON_RECURSION:
        return CODE_RECURSION;
    case SCAN_REASON_ENCRYPTED:
        return code_of_encrypted(first, length);
    case SCAN_REASON_UNSUPPORTED:
        return CODE_UNSUPPORTED;
    default:
        return CODE_OTHER;
    }
}

void storage_result_take_incomplete(struct storage_result *result, unsigned code,
                                    const char *reason, const char *problem)
{
    result->verdict = STORAGE_INCOMPLETE;
    /* Not 0: what was made for File Storage Security takes 0 without findings for harmless. */
    result->status = STORAGE_STATUS_UNSUCCESSFUL;
    result->code = code;
    (void)text_copy(result->reason, sizeof result->reason, reason);
    (void)text_copy(result->problem, sizeof result->problem, problem);
}

void storage_result_take_scan(struct storage_result *result, const struct scan_result *scan,
                              const void *first, size_t length)
{
    result->scan_ns = scan->scan_ns;
    (void)text_copy(result->signature, sizeof result->signature, scan->signature);
    switch (scan->verdict) {
    case SCAN_CLEAN:
        result->verdict = STORAGE_CLEAN;
        result->status = STORAGE_STATUS_SCANNED;
        return;
    case SCAN_INFECTED:
        result->verdict = STORAGE_INFECTED;
        result->status = STORAGE_STATUS_SCANNED;
        return;
    case SCAN_INCOMPLETE: {
        unsigned code = code_of(scan->reason, first, length);
        storage_result_take_incomplete(result, code, scan_reason_name(scan->reason),
                                       storage_code_message(code));
        return;
    }
    case SCAN_ERROR:
        break;
    }
    result->verdict = STORAGE_ERROR;
    result->status = scan->reason == SCAN_REASON_CRASHED || scan->reason == SCAN_REASON_INTERNAL
                         ? STORAGE_STATUS_SCANNER
                         : STORAGE_STATUS_UNSUCCESSFUL;
    (void)text_copy(result->reason, sizeof result->reason, scan_reason_name(scan->reason));
    (void)text_format(result->problem, sizeof result->problem, "the scan failed: %s",
                      scan_reason_name(scan->reason));
}

/* ---- the message ---- */

static const char *status_message(enum storage_status status)
{
    switch (status) {
    case STORAGE_STATUS_SCANNED:
        return "successful scan";
    case STORAGE_STATUS_UNSUCCESSFUL:
        return "unsuccessful scan";
    case STORAGE_STATUS_SCANNER:
        return "scanner error";
    case STORAGE_STATUS_UNCALLED:
        return "unsuccessful scanner invocation";
    }
    return "";
}

static double seconds(uint64_t ns)
{
    uint64_t ms = ns / NS_PER_MS; /* more digits would say what nobody knows */

    return (double)ms / 1000.0;
}

static void write_url(struct json_writer *writer, const struct storage_object *object)
{
    AUTO_BUFFER struct buffer url = BUFFER_WITH_MAXIMUM(S3_KEY_BYTES * 3 + 256);

    (void)buffer_append_format(&url, "https://%s.s3.%s.amazonaws.com/", object->bucket,
                               object->region);
    sigv4_append_encoded(&url, object->key, true);
    json_write_field_string(writer, "file_url", buffer_text(&url));
}

static void write_scanning_result(struct json_writer *writer, const struct storage_result *result)
{
    json_write_key(writer, "scanning_result");
    json_write_object_begin(writer);
    json_write_field_unsigned(writer, "TotalBytesOfFile", result->object.size);
    json_write_key(writer, "Findings");
    json_write_array_begin(writer);
    if (result->verdict == STORAGE_INFECTED) {
        json_write_object_begin(writer);
        json_write_field_string(writer, "malware", result->signature);
        json_write_field_string(writer, "type", "Virus");
        json_write_object_end(writer);
    }
    json_write_array_end(writer);
    json_write_field_string(writer, "Error", result->problem);
    json_write_key(writer, "Codes");
    json_write_array_begin(writer);
    if (result->code != 0)
        json_write_unsigned(writer, result->code);
    json_write_array_end(writer);
    json_write_object_end(writer);
}

/* What is beyond File Storage Security's message. */
static void write_ours(struct json_writer *writer, const struct storage_result *result,
                       const char *scanner)
{
    json_write_field_string(writer, "schema", STORAGE_RESULT_SCHEMA);
    json_write_field_string(writer, "verdict", storage_verdict_name(result->verdict));
    json_write_field_string(writer, "reason", result->reason);
    json_write_field_string(writer, "trigger", storage_trigger_name(result->object.trigger));
    json_write_field_string(writer, "version_id", result->object.version);
    json_write_field_string(writer, "sequencer", result->object.sequencer);
    json_write_field_string(writer, "sha256", result->sha256);
    json_write_field_string(writer, "signatures", result->signatures);
    json_write_field_string(writer, "engine_version", result->engine_version);
    json_write_field_string(writer, "sandbox", result->sandbox);
    json_write_field_string(writer, "scanner", scanner);
    json_write_field_unsigned(writer, "scan_ms", result->scan_ns / NS_PER_MS);
    json_write_field_bool(writer, "cached", result->cached);
    json_write_field_bool(writer, "tagged", result->tagged);
    json_write_field_string(writer, "tag_problem", result->tag_problem);
}

int storage_result_write(const struct storage_result *result, const char *scanner,
                         const char *message_id, struct buffer *json)
{
    const struct storage_object *object = &result->object;
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "type", "scan-result");
    json_write_key(&writer, "timestamp");
    json_write_real(&writer, seconds(clock_realtime_ns()));
    json_write_field_string(&writer, "sqs_message_id", message_id);
    json_write_field_string(&writer, "xamz_request_id", object->request_id);
    json_write_field_string(&writer, "bucket", object->bucket);
    json_write_field_string(&writer, "bucket_region", object->region);
    json_write_field_string(&writer, "file_name", object->key);
    json_write_key(&writer, "file_attributes");
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "etag", object->etag);
    json_write_object_end(&writer);
    write_url(&writer, object);
    json_write_key(&writer, "scan_start_timestamp");
    json_write_real(&writer, seconds(result->begin_ns));
    json_write_field_number(&writer, "scanner_status", result->status);
    json_write_field_string(&writer, "scanner_status_message", status_message(result->status));
    write_scanning_result(&writer, result);
    write_ours(&writer, result, scanner);
    json_write_object_end(&writer);
    return buffer_failed(json);
}

size_t storage_result_attributes(const struct storage_result *result,
                                 struct aws_pair attributes[static STORAGE_RESULT_ATTRIBUTES])
{
    size_t count = 0;

    attributes[count++] = (struct aws_pair){"type", "scan-result"};
    attributes[count++] = (struct aws_pair){"verdict", storage_verdict_name(result->verdict)};
    attributes[count++] = (struct aws_pair){"bucket", result->object.bucket};
    attributes[count++] =
        (struct aws_pair){"trigger", storage_trigger_name(result->object.trigger)};
    attributes[count++] = (struct aws_pair){"reason", result->reason};
    return count;
}
