/* libclamav behind seven functions.
 *
 * Owns: the one engine of the process, its settings and its messages. Must not own: what answers
 * mean (verdict_mapping.c), which files are signatures (client/database_files.c), processes.
 *
 * The temporary directory is ".": each worker stands in its own (worker_sandbox.c). */
#include "scanner/engine.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/encrypted_document.h"
#include "scanner/read_monitor.h"
#include "scanner/verdict_mapping.h"

#include <clamav.h>
#include <errno.h>
#include <link.h>
#include <string.h>

/* As Debian's clamd: libclamav's own defaults let one PDF run for minutes (clamav issue 590). */
#define PCRE_MATCH_LIMIT     10000
#define PCRE_RECMATCH_LIMIT  5000
#define PCRE_MAX_FILESIZE    (25LL << 20)
#define MAX_EMBEDDED_PE      (10LL << 20)
#define MAX_HTML_NORMALIZE   (10LL << 20)
#define MAX_SCRIPT_NORMALIZE (5LL << 20)
#define DEFAULT_TIME_NS      (120 * NS_PER_SECOND)
#define BYTECODE_TIMEOUT_MS  60000

static struct {
    struct cl_engine *engine;
    struct cl_scan_options options;
    bool opens_rar;
    bool report_encrypted;
    uint64_t max_file_size;
    struct engine_load_report *report; /* while loading */
} state;

/* A scan's own notes, given to the callbacks. */
struct scan_notes {
    enum scan_reason left_out; /* the first such part's */
};

static void note_first(char *problem, size_t size, const char *text)
{
    if (problem[0] != '\0')
        return;
    (void)text_copy(problem, size, text);
    size_t length = strlen(problem);
    while (length > 0 && problem[length - 1] == '\n')
        problem[--length] = '\0';
}

/* "Can't load /path/file: reason": the only place where libclamav names the file it stumbled on. */
static void note_broken_file(struct engine_load_report *report, const char *text)
{
    static const char prefix[] = "Can't load ";
    const char *path = strstr(text, prefix);
    if (path == NULL)
        return;
    path += sizeof(prefix) - 1;
    const char *end = strstr(path, ": ");
    if (end == NULL || (size_t)(end - path) >= sizeof(report->broken_file))
        return;
    memcpy(report->broken_file, path, (size_t)(end - path));
    report->broken_file[end - path] = '\0';
}

/* "Problem parsing database at line 3" comes after what the problem is. */
static void note_line(char *problem, size_t size, const char *text)
{
    static const char words[] = "at line ";
    const char *at = strstr(text, words);
    size_t length = strlen(problem);

    if (at == NULL || length == 0 || strstr(problem, words) != NULL)
        return;
    at += sizeof(words) - 1;
    (void)text_format(problem + length, size - length, " (at line %.*s)",
                      (int)strspn(at, "0123456789"), at);
}

static void take_message(enum cl_msg severity, const char *full, const char *text, void *context)
{
    (void)full;
    (void)context;
    struct engine_load_report *report = state.report;
    /* Lines of asterisks frame advice about old databases and old libraries: not ours to repeat. */
    if (report == NULL || severity < CL_MSG_WARN || strstr(text, "***") != NULL)
        return;
    if (severity >= CL_MSG_ERROR)
        note_broken_file(report, text);
    else
        report->warnings++;
    note_first(report->problem, sizeof(report->problem), text);
    note_line(report->problem, sizeof(report->problem), text);
}

static int find_rar_library(struct dl_phdr_info *info, size_t size, void *found)
{
    (void)size;
    if (strstr(info->dlpi_name, "libclamunrar_iface") != NULL)
        *(bool *)found = true;
    return 0;
}

int engine_initialise(void)
{
    cl_set_clcb_msg(take_message);
    if (cl_init(CL_INIT_DEFAULT) != CL_SUCCESS)
        return -EIO;
    (void)dl_iterate_phdr(find_rar_library, &state.opens_rar);
    return 0;
}

bool engine_opens_rar(void)
{
    return state.opens_rar;
}

const char *engine_version(void)
{
    return cl_retver();
}

/* What libclamav leaves out of this part without saying so. */
static enum scan_reason silently_left_out(const char *type, size_t size, uint32_t level)
{
    if (!state.opens_rar && text_starts_with(type, "CL_TYPE_RAR"))
        return SCAN_REASON_UNSUPPORTED;
    if (level > 0 && size >= state.max_file_size) /* a zip member that was cut at the limit */
        return SCAN_REASON_FILE_SIZE;
    if (size > MAX_HTML_NORMALIZE && text_starts_with(type, "CL_TYPE_HTML"))
        return SCAN_REASON_LIMIT;
    return SCAN_REASON_NONE;
}

/* Called for the file and each file inside it, with the type that libclamav found. */
static cl_error_t see_part(int fd, const char *type, const char **ancestors, size_t parent_size,
                           const char *name, size_t size, const char *buffer, uint32_t level,
                           uint32_t attributes, void *context)
{
    (void)fd, (void)ancestors, (void)parent_size, (void)attributes;
    struct scan_notes *notes = context;
    if (notes == NULL || notes->left_out != SCAN_REASON_NONE || type == NULL)
        return CL_CLEAN;
    notes->left_out = silently_left_out(type, size, level);
    if (notes->left_out == SCAN_REASON_NONE && state.report_encrypted &&
        encrypted_document_is(type, name, buffer, size))
        notes->left_out = SCAN_REASON_ENCRYPTED;
    return CL_CLEAN;
}

static long long clamp_number(uint64_t value, uint64_t most)
{
    return (long long)MIN(value, most);
}

static int apply_limits(struct cl_engine *engine, const struct scanner_limits *limits)
{
    uint64_t time_ns = limits->max_time_ns > 0 ? limits->max_time_ns : DEFAULT_TIME_NS;
    long long time_ms = clamp_number(time_ns / NS_PER_MS, UINT32_MAX);
    const struct {
        enum cl_engine_field field;
        long long value;
    } numbers[] = {
        {CL_ENGINE_MAX_FILESIZE, clamp_number(limits->max_file_size, INT64_MAX)},
        {CL_ENGINE_MAX_SCANSIZE, clamp_number(limits->max_scan_size, INT64_MAX)},
        {CL_ENGINE_MAX_FILES, clamp_number(limits->max_files, UINT32_MAX)},
        {CL_ENGINE_MAX_RECURSION, clamp_number(limits->max_recursion, 100)},
        {CL_ENGINE_MAX_SCANTIME, time_ms},
        {CL_ENGINE_BYTECODE_TIMEOUT, MIN(time_ms, BYTECODE_TIMEOUT_MS)},
        {CL_ENGINE_PCRE_MATCH_LIMIT, PCRE_MATCH_LIMIT},
        {CL_ENGINE_PCRE_RECMATCH_LIMIT, PCRE_RECMATCH_LIMIT},
        {CL_ENGINE_PCRE_MAX_FILESIZE, PCRE_MAX_FILESIZE},
        {CL_ENGINE_MAX_EMBEDDEDPE, MAX_EMBEDDED_PE},
        {CL_ENGINE_MAX_HTMLNORMALIZE, MAX_HTML_NORMALIZE},
        {CL_ENGINE_MAX_SCRIPTNORMALIZE, MAX_SCRIPT_NORMALIZE},
        {CL_ENGINE_DISABLE_CACHE, 1},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        if (cl_engine_set_num(engine, numbers[i].field, numbers[i].value) != CL_SUCCESS)
            return -EINVAL;
    }
    return cl_engine_set_str(engine, CL_ENGINE_TMPDIR, ".") == CL_SUCCESS ? 0 : -ENOMEM;
}

static void choose_options(const struct scanner_limits *limits)
{
    struct cl_scan_options *options = &state.options;
    *options = (struct cl_scan_options){.parse = ~0U};
    options->general = CL_SCAN_GENERAL_UNPRIVILEGED;
    if (limits->heuristics)
        options->general |= CL_SCAN_GENERAL_HEURISTICS;
    options->heuristic = CL_SCAN_HEURISTIC_EXCEEDS_MAX;
    if (limits->report_encrypted)
        options->heuristic |= CL_SCAN_HEURISTIC_ENCRYPTED_ARCHIVE | CL_SCAN_HEURISTIC_ENCRYPTED_DOC;
    if (limits->detect_macros)
        options->heuristic |= CL_SCAN_HEURISTIC_MACROS;
    if (limits->detect_broken)
        options->heuristic |= CL_SCAN_HEURISTIC_BROKEN;
}

static int load_error(int code, struct engine_load_report *report)
{
    note_first(report->problem, sizeof(report->problem), cl_strerror((cl_error_t)code));
    switch (code) {
    case CL_EMEM:
        return -ENOMEM;
    case CL_EMALFDB:
    case CL_ECVD:
    case CL_EVERIFY:
    case CL_EUNPACK:
    case CL_EPARSE:
        report->malformed = true;
        return -EBADMSG;
    default:
        report->malformed = report->broken_file[0] != '\0';
        return report->malformed ? -EBADMSG : -EIO;
    }
}

static int load_databases(struct cl_engine *engine, const char *const *databases, size_t count,
                          unsigned flags, struct engine_load_report *report)
{
    unsigned loaded = 0;
    for (size_t i = 0; i < count; i++) {
        cl_error_t code = cl_load(databases[i], engine, &loaded, flags);
        if (code != CL_SUCCESS)
            return load_error(code, report);
    }
    report->signatures = loaded;
    if (loaded == 0)
        return -ENOENT;
    cl_error_t code = cl_engine_compile(engine);
    if (code != CL_SUCCESS)
        return load_error(code, report);
    int failed = CL_SUCCESS;
    long long built = cl_engine_get_num(engine, CL_ENGINE_DB_TIME, &failed);
    if (failed == CL_SUCCESS && built > 0)
        report->database_time_ns = (uint64_t)built * NS_PER_SECOND;
    return 0;
}

int engine_load(const struct scanner_limits *limits, const char *const *databases, size_t count,
                struct engine_load_report *ret_report)
{
    *ret_report = (struct engine_load_report){0};
    state.engine = cl_engine_new();
    if (state.engine == NULL)
        return -ENOMEM;
    int result = apply_limits(state.engine, limits);
    if (result < 0)
        return result;
    choose_options(limits);
    state.report_encrypted = limits->report_encrypted;
    state.max_file_size = limits->max_file_size > 0 ? limits->max_file_size : UINT64_MAX;
    cl_engine_set_clcb_file_inspection(state.engine, see_part);
    unsigned flags = CL_DB_STDOPT | (limits->unwanted_applications ? CL_DB_PUA : 0U);
    state.report = ret_report;
    result = load_databases(state.engine, databases, count, flags, ret_report);
    state.report = NULL;
    return result;
}

int engine_verify(const char *path, struct engine_load_report *ret_report)
{
    *ret_report = (struct engine_load_report){0};
    state.report = ret_report;
    cl_error_t code = cl_cvdverify(path);
    state.report = NULL;
    if (code == CL_SUCCESS)
        return 0;
    ret_report->malformed = true;
    note_first(ret_report->problem, sizeof(ret_report->problem), cl_strerror(code));
    (void)text_copy(ret_report->broken_file, sizeof(ret_report->broken_file), path);
    return -EBADMSG;
}

void engine_unload(void)
{
    if (state.engine != NULL)
        (void)cl_engine_free(state.engine);
    state.engine = NULL;
}

void engine_scan(int fd, struct scan_result *ret_result)
{
    struct scan_notes notes = {0};
    struct libclamav_answer answer = {0}; /* libclamav may leave signature as it is */
    unsigned long scanned = 0;
    uint64_t start = clock_monotonic_ns();
    read_monitor_watch(fd);
    answer.code = cl_scandesc_callback(fd, NULL, &answer.signature, &scanned, state.engine,
                                       &state.options, &notes);
    answer.read_failed = read_monitor_failed();
    answer.shrank = read_monitor_shrank();
    answer.left_out = notes.left_out;
    read_monitor_watch(-1);
    verdict_map(&answer, ret_result);
    ret_result->scan_ns = clock_monotonic_ns() - start;
}
