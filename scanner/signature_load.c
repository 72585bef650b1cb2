/* From the configured folders to a compiled engine.
 *
 * Owns: which folders and files are given to libclamav, and the sentence that says what was wrong
 * and what to do. Must not own: libclamav itself (engine.c). */
#include "scanner/signature_load.h"

#include "common/text/text.h"
#include "common/time/clock.h"
#include "scanner/client/database_files.h"
#include "scanner/engine.h"
#include "scanner/generation.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_BROKEN_FILES 16
#define STAGING_BYTES     32

struct attempt {
    const struct scanner_configuration *configuration;
    struct database_files files;
    size_t broken[MOST_BROKEN_FILES]; /* indexes into files */
    size_t broken_count;
    const char *sources[LIMIT_DATABASE_PATHS]; /* what libclamav is given */
    size_t source_count;
    char staging[LIMIT_DATABASE_PATHS][STAGING_BYTES];
    struct engine_load_report report;
};

static void release_attempt(struct attempt *attempt)
{
    database_files_done(&attempt->files);
}

static int fail(struct signature_load_report *report, enum scanner_refusal refusal, int error,
                const char *problem)
{
    report->refusal = refusal;
    (void)text_copy(report->problem, sizeof(report->problem), problem);
    return error;
}

static int list_files(struct attempt *attempt, struct signature_load_report *report)
{
    const char *failed = "";
    int result =
        database_files_list(attempt->configuration->databases,
                            attempt->configuration->database_count, &attempt->files, &failed);
    if (result < 0) {
        char problem[512];
        (void)text_format(problem, sizeof(problem), "cannot list signatures in %s: %s", failed,
                          strerrordesc_np(-result));
        return fail(report, SCANNER_REFUSAL_NO_SIGNATURES, result, problem);
    }
    for (size_t i = 0; i < attempt->files.count; i++)
        if (!database_path_is_policy_list(attempt->files.files[i].path))
            return 0;
    char problem[512];
    (void)text_format(problem, sizeof(problem),
                      attempt->configuration->database_count > 1
                          ? "no signature files in %s and the other folders; run freshclam or put "
                            "signatures there"
                          : "no signature files in %s; run freshclam or put signatures there",
                      attempt->configuration->database_count > 0
                          ? attempt->configuration->databases[0]
                          : "(no folder is configured)");
    return fail(report, SCANNER_REFUSAL_NO_SIGNATURES, -ENOENT, problem);
}

static bool is_broken(const struct attempt *attempt, size_t file)
{
    for (size_t i = 0; i < attempt->broken_count; i++) {
        if (attempt->broken[i] == file)
            return true;
    }
    return false;
}

static size_t count_files(const struct attempt *attempt, size_t source, size_t *ret_broken)
{
    size_t whole = 0;
    *ret_broken = 0;
    for (size_t i = 0; i < attempt->files.count; i++) {
        if (attempt->files.files[i].source != source)
            continue;
        if (is_broken(attempt, i))
            (*ret_broken)++;
        else
            whole++;
    }
    return whole;
}

/* A folder of links to the source's files that are not broken. */
static int stage(struct attempt *attempt, int staging_fd, size_t source)
{
    char *folder = attempt->staging[source];
    (void)text_format(folder, STAGING_BYTES, "signatures-%zu-%zu", source, attempt->broken_count);
    if (mkdirat(staging_fd, folder, 0700) < 0)
        return -errno;
    for (size_t i = 0; i < attempt->files.count; i++) {
        const struct database_file *file = &attempt->files.files[i];
        if (file->source != source || is_broken(attempt, i))
            continue;
        char link[STAGING_BYTES + NAME_MAX + 2];
        if (text_format(link, sizeof(link), "%s%s", folder, strrchr(file->path, '/')) < 0)
            return -ENAMETOOLONG;
        if (symlinkat(file->path, staging_fd, link) < 0)
            return -errno;
    }
    return 0;
}

static int choose_sources(struct attempt *attempt, int staging_fd)
{
    attempt->source_count = 0;
    for (size_t i = 0; i < attempt->configuration->database_count; i++) {
        size_t broken;
        if (count_files(attempt, i, &broken) == 0)
            continue; /* libclamav fails on an empty folder */
        const char *source = attempt->configuration->databases[i];
        if (broken > 0) {
            int result = stage(attempt, staging_fd, i);
            if (result < 0)
                return result;
            source = attempt->staging[i];
        }
        attempt->sources[attempt->source_count++] = source;
    }
    return attempt->source_count > 0 ? 0 : -ENOENT;
}

/* libclamav names the file as we gave it: through the folder, or through our link. */
static bool remember_broken(struct attempt *attempt)
{
    const char *slash = strrchr(attempt->report.broken_file, '/');
    if (slash == NULL || attempt->broken_count == MOST_BROKEN_FILES)
        return false;
    for (size_t i = 0; i < attempt->files.count; i++) {
        const struct database_file *file = &attempt->files.files[i];
        bool staged = text_starts_with(attempt->report.broken_file, "signatures-") &&
                      text_equal(strrchr(file->path, '/'), slash);
        if ((staged || text_equal(file->path, attempt->report.broken_file)) &&
            !is_broken(attempt, i)) {
            attempt->broken[attempt->broken_count++] = i;
            return true;
        }
    }
    return false;
}

static void describe_failure(struct attempt *attempt, int error,
                             struct signature_load_report *report)
{
    const struct engine_load_report *engine = &attempt->report;
    char problem[512];
    if (engine->broken_file[0] != '\0') {
        (void)text_format(problem, sizeof(problem),
                          "cannot load signatures from %s: %s; replace or remove that file",
                          engine->broken_file, engine->problem);
        (void)fail(report, SCANNER_REFUSAL_BROKEN, error, problem);
    } else if (error == -ENOENT) {
        (void)text_format(problem, sizeof(problem), "the signature files hold no signature%s%s",
                          engine->problem[0] != '\0' ? ": " : "", engine->problem);
        (void)fail(report, SCANNER_REFUSAL_NO_SIGNATURES, error, problem);
    } else {
        (void)text_format(problem, sizeof(problem), "cannot load signatures: %s",
                          engine->problem[0] != '\0' ? engine->problem : strerrordesc_np(-error));
        (void)fail(report, engine->malformed ? SCANNER_REFUSAL_BROKEN : SCANNER_REFUSAL_INTERNAL,
                   error, problem);
    }
}

static void describe_success(const struct attempt *attempt, struct signature_load_report *report)
{
    const struct engine_load_report *engine = &attempt->report;
    if (attempt->broken_count > 0)
        (void)text_format(report->problem, sizeof(report->problem),
                          "%zu broken signature file(s) left out, first %s; replace or remove it",
                          attempt->broken_count, attempt->files.files[attempt->broken[0]].path);
    else if (engine->problem[0] != '\0')
        (void)text_format(report->problem, sizeof(report->problem),
                          "%u warning(s) while loading signatures, first: %s",
                          engine->warnings > 0 ? engine->warnings : 1, engine->problem);
    report->signatures = engine->signatures;
    report->database_time_ns = engine->database_time_ns;
    for (size_t i = 0; engine->database_time_ns == 0 && i < attempt->files.count; i++)
        if (!database_path_is_policy_list(attempt->files.files[i].path))
            report->database_time_ns =
                MAX(report->database_time_ns, attempt->files.files[i].identity.mtime_ns);
}

/* A list that people wrote, perhaps for another libclamav, never costs the signatures beside it. */
static bool may_skip(const struct attempt *attempt)
{
    return attempt->configuration->skip_broken ||
           database_path_is_policy_list(attempt->report.broken_file);
}

static int load_skipping(struct attempt *attempt, int staging_fd)
{
    for (;;) {
        int result = choose_sources(attempt, staging_fd);
        if (result < 0)
            return result;
        result = engine_load(&attempt->configuration->limits, attempt->sources,
                             attempt->source_count, &attempt->report);
        if (result == 0)
            return 0;
        if (result != -EBADMSG || !may_skip(attempt) || !remember_broken(attempt))
            return result;
        engine_unload();
    }
}

static bool is_signed(const char *path)
{
    return text_ends_with(path, ".cvd") || text_ends_with(path, ".cld");
}

/* Signed files are looked at, and left out. */
static int verify_signed(struct attempt *attempt)
{
    for (size_t i = 0; i < attempt->files.count; i++) {
        const char *path = attempt->files.files[i].path;
        if (!is_signed(path))
            continue;
        if (attempt->broken_count == MOST_BROKEN_FILES)
            return -E2BIG;
        int result = engine_verify(path, &attempt->report);
        if (result < 0)
            return result;
        attempt->broken[attempt->broken_count++] = i;
    }
    return 0;
}

int signature_load(const struct scanner_configuration *configuration, int staging_fd,
                   struct signature_load_report *ret_report)
{
    *ret_report = (struct signature_load_report){0};
    CLEANUP(release_attempt) struct attempt attempt = {.configuration = configuration};
    int result = list_files(&attempt, ret_report);
    if (result < 0)
        return result;
    /* Before loading: a file that changes meanwhile makes the client load again. */
    result = generation_compute(&attempt.files, engine_version(), &configuration->limits,
                                &ret_report->generation);
    if (result < 0)
        return fail(ret_report, SCANNER_REFUSAL_NO_SIGNATURES, result,
                    "a signature file cannot be read; make it readable");
    if (configuration->verify_signed)
        result = verify_signed(&attempt);
    size_t left_out = attempt.broken_count;
    if (result == 0)
        result = load_skipping(&attempt, staging_fd);
    if (result == 0 && configuration->verify_signed)
        attempt.broken_count -= left_out; /* on purpose */
    if (result < 0)
        describe_failure(&attempt, result, ret_report);
    else
        describe_success(&attempt, ret_report);
    return result;
}
