/* What yagura-storage is told: storage.conf, and above it the environment, which is all that a
 * function or a container usually has. The variable of a key is YAGURA_ and the key in capitals,
 * dots as underscores: tags.format is YAGURA_TAGS_FORMAT. A list in a variable is divided by ":".
 * Thread-safe once loaded. */
#ifndef STORAGE_SETTINGS_STORAGE_SETTINGS_H
#define STORAGE_SETTINGS_STORAGE_SETTINGS_H

#include "common/attributes.h"
#include "common/settings/schema.h"

#include <stdint.h>

/* X(symbol, key, type, default, bounds, meaning) */
#define STORAGE_SETTINGS(X)                                                                        \
    X(NAME, "name", TEXT, "", "", "of this scanner, as the console shows it; empty: the host's")   \
    X(QUEUE, "queue_url", TEXT, "", "", "SQS queue that the poller takes events from")             \
    X(TOPIC, "topic_arn", TEXT, "", "", "SNS topic of the results; empty: none are published")     \
    X(PUBLISH, "publish", CHOICE, "all", "all|findings",                                           \
      "which results are published; findings: all but clean ones")                                 \
    X(REPORT_KEY, "report_object_key", BOOL, "true", "",                                           \
      "object names in logs and in the console; results always hold them")                         \
    X(TAG_FORMAT, "tags.format", CHOICE, "separated", "separated|merged|fss|none",                 \
      "how verdicts are tagged")                                                                   \
    X(TAG_PREFIX, "tags.prefix", TEXT, "yagura", "name", "what our tags' names begin with")        \
    X(SKIP_SAME, "tags.trust", BOOL, "false", "",                                                  \
      "an object tagged clean by these signatures is not scanned again: only where the bucket's "  \
      "policy keeps others from writing our tags")                                                 \
    X(BUCKETS, "buckets", LIST, "", "text", "buckets whose objects are scanned; empty: all")       \
    X(PREFIXES, "prefixes", LIST, "", "text", "beginnings of keys that are scanned; empty: all")   \
    X(SUFFIXES, "suffixes", LIST, "", "text", "ends of keys that are scanned; empty: all")         \
    X(OWNER, "bucket_owner", TEXT, "", "", "account that must own the buckets; empty: any")        \
    X(CONCURRENCY, "concurrency", NUMBER, "0", "0..256",                                           \
      "objects on their way at once; 0: two a scanner worker")                                     \
    X(MAXIMUM_OBJECT, "maximum_object", SIZE, "2147483647", "1..2147483647",                       \
      "larger objects are incomplete without being fetched")                                       \
    X(MEMORY_OBJECT, "memory_object", SIZE, "16M", "0..2147483647",                                \
      "larger objects are kept in an unnamed file while they are scanned")                         \
    X(DIRECTORY, "directory", TEXT, "/tmp", "absolute", "where such files and the scanner's are")  \
    X(RANGE, "range", SIZE, "16M", "1M..1G", "larger objects are fetched in parts of this size")   \
    X(RANGES, "ranges", NUMBER, "4", "1..32", "parts fetched at once; 1: one after another")       \
    X(OBJECT_TIME, "object_time", DURATION, "10m", "1s..12h",                                      \
      "longest time from an object's event to its verdict")                                        \
    X(VISIBILITY, "visibility", DURATION, "2m", "10s..12h",                                        \
      "how long a message is hidden; renewed at half of it while it is worked on")                 \
    X(WAIT, "wait", DURATION, "20s", "0s..20s", "longest wait of one request for messages")        \
    X(SCANNER, "scanner.program", TEXT, YAGURA_SCANNER_PROGRAM, "absolute", "yagura-scanner")      \
    X(DATABASES, "scanner.databases", LIST, "/var/lib/clamav", "absolute",                         \
      "folders and files of signatures")                                                           \
    X(DATABASE_AGE, "scanner.database_age", DURATION, "3d", "1h..3650d",                           \
      "signatures older than this are warned of")                                                  \
    X(USER, "scanner.user", TEXT, "", "",                                                          \
      "user of the scanner's workers when started as root; empty: nobody")                         \
    X(WORKERS, "scanner.workers", NUMBER, "0", "0..64", "scanner workers; 0: one a core")          \
    X(RECYCLE, "scanner.recycle_files", NUMBER, "10000", "1..10000000",                            \
      "a worker ends after this many files")                                                       \
    X(RELOAD, "scanner.reload", CHOICE, "auto", "auto|overlap|sequential",                         \
      "new signatures: beside the old ones, or in their place, which needs less memory")           \
    X(TEMPORARY, "scanner.temporary", SIZE, "512M", "16M..64G", "space of a worker for unpacking") \
    X(SCAN_SIZE, "scanner.max_scan_size", SIZE, "1G", "1M..64G",                                   \
      "most bytes that are looked at in one object, unpacked ones too")                            \
    X(SCAN_FILES, "scanner.max_files", NUMBER, "10000", "1..10000000", "most files in one object") \
    X(SCAN_RECURSION, "scanner.max_recursion", NUMBER, "17", "1..100", "deepest nesting")          \
    X(SCAN_TIME, "scanner.max_time", DURATION, "2m", "1s..1h", "longest scan of one object")       \
    X(SCAN_HEURISTICS, "scanner.heuristics", BOOL, "true", "", "libclamav's heuristics")           \
    X(SCAN_ENCRYPTED, "scanner.report_encrypted", BOOL, "true", "",                                \
      "objects with encrypted parts are incomplete")                                               \
    X(SCAN_MACROS, "scanner.detect_macros", BOOL, "false", "", "any macro is a finding")           \
    X(SCAN_UNWANTED, "scanner.unwanted_applications", BOOL, "false", "", "PUA signatures")         \
    X(LOG_LEVEL, "log_level", CHOICE, "info", "error|warning|info|debug",                          \
      "lowest level that is logged")

enum storage_setting {
#define STORAGE_SETTING_SYMBOL(symbol, ...) STORAGE_##symbol,
    STORAGE_SETTINGS(STORAGE_SETTING_SYMBOL)
#undef STORAGE_SETTING_SYMBOL
        STORAGE_SETTING_COUNT
};

struct storage_settings {
    struct settings_value values[STORAGE_SETTING_COUNT];
};

/* path NULL: no file. lookup: a variable's value, or NULL; NULL: the process's environment.
 * -EINVAL with ret_error, -ENOMEM, -errno of the file. */
int storage_settings_load(const char *path, const char *(*lookup)(void *user, const char *name),
                          void *user, struct storage_settings *ret_settings,
                          struct settings_error *ret_error) MUST_USE;
void storage_settings_done(struct storage_settings *settings);

const char *storage_settings_text(const struct storage_settings *settings,
                                  enum storage_setting key);
uint64_t storage_settings_number(const struct storage_settings *settings, enum storage_setting key);
/* NULL-terminated. */
char *const *storage_settings_list(const struct storage_settings *settings,
                                   enum storage_setting key);
const struct settings_rule *storage_settings_rule(enum storage_setting key);
/* The variable of a key. */
void storage_settings_variable(enum storage_setting key, char *name, size_t size);

#endif
