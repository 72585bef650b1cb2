/* Layouts of the scanner's messages.
 *
 * Owns: encoding and strict decoding. Must not own: sockets, or who may send what when (that is the
 * dispatch tables of the peers). Notes and verdicts are fixed structs, because one is sent for each
 * file; the rest are packed fields. */
#include "scanner/client/scanner_message.h"

#include "common/text/text.h"

#include <errno.h>
#include <string.h>

static const struct {
    uint32_t bit;
    const char *name;
} sandbox_names[] = {
    {SCANNER_SANDBOX_USER, "user"},       {SCANNER_SANDBOX_NAMESPACES, "namespaces"},
    {SCANNER_SANDBOX_TMPFS, "tmpfs"},     {SCANNER_SANDBOX_LANDLOCK, "landlock"},
    {SCANNER_SANDBOX_SECCOMP, "seccomp"},
};

static size_t append(char *text, size_t size, size_t used, const char *separator, const char *name)
{
    int length = text_format(text + used, size - used, "%s%s", separator, name);
    return length < 0 ? used : used + (size_t)length;
}

void scanner_sandbox_describe(uint32_t bits, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < ARRAY_LENGTH(sandbox_names); i++) {
        if ((bits & sandbox_names[i].bit) != 0)
            used = append(text, size, used, used > 0 ? "," : "", sandbox_names[i].name);
    }
    if ((bits & SCANNER_SANDBOX_SANITIZER) != 0)
        used = append(text, size, used, "", "(sanitizer build)");
    const char *separator = used > 0 ? "; missing: " : "missing: ";
    for (size_t i = 0; i < ARRAY_LENGTH(sandbox_names); i++) {
        if ((bits & sandbox_names[i].bit) != 0)
            continue;
        used = append(text, size, used, separator, sandbox_names[i].name);
        separator = ",";
    }
}

enum configuration_flag {
    FLAG_SKIP_BROKEN = 1U << 0,
    FLAG_SECCOMP_DEBUG = 1U << 1,
    FLAG_HEURISTICS = 1U << 2,
    FLAG_REPORT_ENCRYPTED = 1U << 3,
    FLAG_DETECT_MACROS = 1U << 4,
    FLAG_DETECT_BROKEN = 1U << 5,
    FLAG_UNWANTED_APPLICATIONS = 1U << 6,
    FLAG_VERIFY_SIGNED = 1U << 7,
    FLAG_ACCEPT_UNCONFINED = 1U << 8,
    FLAG_ALL = (1U << 9) - 1,
};

static uint32_t flags_of(const struct scanner_configuration *configuration)
{
    const struct scanner_limits *limits = &configuration->limits;
    return (configuration->skip_broken ? FLAG_SKIP_BROKEN : 0U) |
           (configuration->seccomp_debug ? FLAG_SECCOMP_DEBUG : 0U) |
           (configuration->verify_signed ? FLAG_VERIFY_SIGNED : 0U) |
           (configuration->accept_unconfined ? FLAG_ACCEPT_UNCONFINED : 0U) |
           (limits->heuristics ? FLAG_HEURISTICS : 0U) |
           (limits->report_encrypted ? FLAG_REPORT_ENCRYPTED : 0U) |
           (limits->detect_macros ? FLAG_DETECT_MACROS : 0U) |
           (limits->detect_broken ? FLAG_DETECT_BROKEN : 0U) |
           (limits->unwanted_applications ? FLAG_UNWANTED_APPLICATIONS : 0U);
}

static void apply_flags(struct scanner_configuration *configuration, uint32_t flags)
{
    struct scanner_limits *limits = &configuration->limits;
    configuration->skip_broken = (flags & FLAG_SKIP_BROKEN) != 0;
    configuration->seccomp_debug = (flags & FLAG_SECCOMP_DEBUG) != 0;
    configuration->verify_signed = (flags & FLAG_VERIFY_SIGNED) != 0;
    configuration->accept_unconfined = (flags & FLAG_ACCEPT_UNCONFINED) != 0;
    limits->heuristics = (flags & FLAG_HEURISTICS) != 0;
    limits->report_encrypted = (flags & FLAG_REPORT_ENCRYPTED) != 0;
    limits->detect_macros = (flags & FLAG_DETECT_MACROS) != 0;
    limits->detect_broken = (flags & FLAG_DETECT_BROKEN) != 0;
    limits->unwanted_applications = (flags & FLAG_UNWANTED_APPLICATIONS) != 0;
}

void scanner_configuration_write(const struct scanner_configuration *configuration,
                                 struct message_writer *writer)
{
    const struct scanner_limits *limits = &configuration->limits;
    message_write_text(writer, configuration->user);
    message_write_text(writer, configuration->directory);
    message_write_u64(writer, configuration->temporary_bytes);
    message_write_u32(writer, configuration->slots);
    message_write_u32(writer, flags_of(configuration));
    message_write_u64(writer, limits->max_file_size);
    message_write_u64(writer, limits->max_scan_size);
    message_write_u64(writer, limits->max_files);
    message_write_u64(writer, limits->max_recursion);
    message_write_u64(writer, limits->max_time_ns);
    message_write_u32(writer, (uint32_t)configuration->database_count);
    for (size_t i = 0; i < configuration->database_count; i++)
        message_write_text(writer, configuration->databases[i]);
}

/* Copies the next text behind the ones already stored. */
static const char *store_text(struct message_reader *reader,
                              struct scanner_configuration *configuration, size_t *used)
{
    if (*used >= sizeof(configuration->text)) {
        reader->failed = true;
        return "";
    }
    char *text = configuration->text + *used;
    message_read_text(reader, text, sizeof(configuration->text) - *used);
    *used += strlen(text) + 1;
    return text;
}

int scanner_configuration_read(const struct message *message,
                               struct scanner_configuration *ret_configuration)
{
    struct scanner_configuration *configuration = ret_configuration;
    struct scanner_limits *limits = &configuration->limits;
    struct message_reader reader = message_reader_of(message);
    size_t used = 0;
    configuration->user = store_text(&reader, configuration, &used);
    configuration->directory = store_text(&reader, configuration, &used);
    configuration->temporary_bytes = message_read_u64(&reader);
    configuration->slots = message_read_u32(&reader);
    uint32_t flags = message_read_u32(&reader);
    limits->max_file_size = message_read_u64(&reader);
    limits->max_scan_size = message_read_u64(&reader);
    limits->max_files = message_read_u64(&reader);
    limits->max_recursion = message_read_u64(&reader);
    limits->max_time_ns = message_read_u64(&reader);
    configuration->database_count = message_read_u32(&reader);
    if ((flags & ~(uint32_t)FLAG_ALL) != 0 || configuration->slots == 0 ||
        configuration->slots > 4 * LIMIT_SCANNER_WORKERS ||
        configuration->database_count > LIMIT_DATABASE_PATHS)
        return -EBADMSG;
    apply_flags(configuration, flags);
    for (size_t i = 0; i < configuration->database_count; i++)
        configuration->databases[i] = store_text(&reader, configuration, &used);
    return message_reader_end(&reader);
}

void scanner_loaded_write(const struct scanner_loaded *loaded, struct message_writer *writer)
{
    message_write_u64(writer, loaded->generation);
    message_write_u64(writer, loaded->signatures);
    message_write_u64(writer, loaded->database_time_ns);
    message_write_u32(writer, loaded->sandbox);
    message_write_text(writer, loaded->engine_version);
    message_write_text(writer, loaded->user);
    message_write_text(writer, loaded->problem);
}

int scanner_loaded_read(const struct message *message, struct scanner_loaded *ret_loaded)
{
    struct message_reader reader = message_reader_of(message);
    struct scanner_loaded *loaded = ret_loaded;
    loaded->generation = message_read_u64(&reader);
    loaded->signatures = message_read_u64(&reader);
    loaded->database_time_ns = message_read_u64(&reader);
    loaded->sandbox = message_read_u32(&reader);
    message_read_text(&reader, loaded->engine_version, sizeof(loaded->engine_version));
    message_read_text(&reader, loaded->user, sizeof(loaded->user));
    message_read_text(&reader, loaded->problem, sizeof(loaded->problem));
    if ((loaded->sandbox & ~(uint32_t)SCANNER_SANDBOX_ALL_BITS) != 0)
        return -EBADMSG;
    return message_reader_end(&reader);
}

void scanner_refused_write(const struct scanner_refused *refused, struct message_writer *writer)
{
    message_write_u32(writer, (uint32_t)refused->refusal);
    message_write_text(writer, refused->problem);
}

int scanner_refused_read(const struct message *message, struct scanner_refused *ret_refused)
{
    struct message_reader reader = message_reader_of(message);
    uint32_t refusal = message_read_u32(&reader);
    message_read_text(&reader, ret_refused->problem, sizeof(ret_refused->problem));
    if (refusal > SCANNER_REFUSAL_INTERNAL)
        return -EBADMSG;
    ret_refused->refusal = (enum scanner_refusal)refusal;
    return message_reader_end(&reader);
}

static int read_fixed(const struct message *message, void *target, size_t size)
{
    if (message->length != size)
        return -EBADMSG;
    memcpy(target, message->payload, size);
    return 0;
}

int scanner_worker_note_read(const struct message *message, struct scanner_worker_note *ret_note)
{
    int result = read_fixed(message, ret_note, sizeof(*ret_note));
    return result == 0 && ret_note->reserve > 1 ? -EBADMSG : result;
}

int scanner_job_note_read(const struct message *message, struct scanner_job_note *ret_note)
{
    return read_fixed(message, ret_note, sizeof(*ret_note));
}

int scanner_ready_note_read(const struct message *message, struct scanner_ready_note *ret_note)
{
    int result = read_fixed(message, ret_note, sizeof(*ret_note));
    if (result == 0 && (ret_note->sandbox & ~(uint32_t)SCANNER_SANDBOX_ALL_BITS) != 0)
        return -EBADMSG;
    return result;
}

size_t scanner_verdict_length(const struct scanner_verdict *verdict)
{
    return offsetof(struct scanner_verdict, signature) + verdict->signature_length;
}

static bool printable(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    }
    return true;
}

static bool verdict_possible(const struct scanner_verdict *verdict)
{
    bool found = verdict->verdict == SCAN_INFECTED;
    bool whole = found || verdict->verdict == SCAN_CLEAN;
    return verdict->verdict <= SCAN_ERROR && verdict->reason <= SCAN_REASON_INTERNAL &&
           verdict->grown <= 1 && found == (verdict->signature_length > 0) &&
           whole == (verdict->reason == SCAN_REASON_NONE);
}

int scanner_verdict_read(const struct message *message, struct scanner_verdict *ret_verdict)
{
    size_t fixed = offsetof(struct scanner_verdict, signature);
    if (message->length < fixed)
        return -EBADMSG;
    memcpy(ret_verdict, message->payload, fixed);
    size_t length = ret_verdict->signature_length;
    if (length >= sizeof(ret_verdict->signature) || message->length != fixed + length ||
        !verdict_possible(ret_verdict))
        return -EBADMSG;
    memcpy(ret_verdict->signature, message->payload + fixed, length);
    ret_verdict->signature[length] = '\0';
    return printable(ret_verdict->signature, length) ? 0 : -EBADMSG;
}
