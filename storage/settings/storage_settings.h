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
    X(BUCKETS, "buckets", LIST, "", "text",                                                        \
      "buckets whose objects are scanned, empty: all; and the only ones whose objects are moved")  \
    X(PREFIXES, "prefixes", LIST, "", "text", "beginnings of keys that are scanned; empty: all")   \
    X(SUFFIXES, "suffixes", LIST, "", "text", "ends of keys that are scanned; empty: all")         \
    X(OWNER, "bucket_owner", TEXT, "", "", "account that must own the buckets; empty: any")        \
    X(CONCURRENCY, "concurrency", NUMBER, "0", "0..256",                                           \
      "objects on their way at once; 0: four a scanner worker")                                    \
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
    X(METRICS, "metrics.scanner", TEXT, "", "",                                                    \
      "the signatures' age goes to the log as a metric of this name for CloudWatch; empty: not")   \
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
    X(UNCONFINED, "scanner.unconfined", BOOL, "false", "",                                         \
      "scan also where the platform allows neither seccomp nor Landlock")                          \
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
    X(MIRROR, "mirror.url", TEXT, "", "",                                                          \
      "s3://BUCKET/PREFIX whose signature files are used; empty: scanner.databases are")           \
    X(MIRROR_DIRECTORY, "mirror.directory", TEXT, "/tmp/yagura-signatures", "absolute",            \
      "where they are kept")                                                                       \
    X(MIRROR_PERIOD, "mirror.period", DURATION, "1h", "1s..7d",                                    \
      "how often the mirror is looked at")                                                         \
    X(MIRROR_UNSIGNED, "mirror.unsigned", BOOL, "false", "",                                       \
      "lists that ClamAV did not sign are taken from there, too: whoever writes them decides")     \
    X(QUARANTINE, "quarantine.bucket", TEXT, "", "", "where malicious objects go; empty: nowhere") \
    X(QUARANTINE_KEY, "quarantine.key", TEXT, "", "",                                              \
      "ARN of the KMS key of what is there; empty: the bucket's own")                              \
    X(QUARANTINE_INCOMPLETE, "quarantine.incomplete", CHOICE, "leave", "leave|quarantine",         \
      "objects that could not be scanned whole; they are never promoted")                          \
    X(PROMOTE, "promote.bucket", TEXT, "", "", "where clean objects go; empty: they stay")         \
    X(PROMOTE_KEY, "promote.key", TEXT, "", "",                                                    \
      "ARN of the KMS key of what is there; empty: the bucket's own")                              \
    X(PART, "part", SIZE, "0", "0..5G",                                                            \
      "larger objects are moved in parts of this size, of 5M at least; 0: those above 5G")         \
    X(WEBHOOK, "webhook.url", TEXT, "", "", "gets each malicious result by POST; empty: none")     \
    X(WEBHOOK_PIN, "webhook.pin", TEXT, "", "", "sha256//... of its authority's public key")       \
    X(WEBHOOK_SECRET, "webhook.secret_file", TEXT, "", "",                                         \
      "file with the secret that signs what it gets")                                              \
    X(WEBHOOK_PARAMETER, "webhook.secret_parameter", TEXT, "", "",                                 \
      "the same as a SecureString of Parameter Store")                                             \
    X(SECURITY_HUB, "security_hub", BOOL, "false", "",                                             \
      "each malicious result becomes a finding of Security Hub")                                   \
    X(ACCOUNT, "account", TEXT, "", "", "number of the AWS account, for such findings")            \
    X(GATE_LISTEN, "gate.listen", TEXT, "127.0.0.1:8080", "",                                      \
      "address and port of the read gate where it is no function")                                 \
    X(GATE_SECRET, "gate.secret_file", TEXT, "", "",                                               \
      "file with the secret of links to the read gate; needed where it is no function")            \
    X(GATE_PARAMETER, "gate.secret_parameter", TEXT, "", "",                                       \
      "the same as a SecureString of Parameter Store")                                             \
    X(GATE_FRESH, "gate.fresh", DURATION, "24h", "1m..3650d",                                      \
      "an older clean verdict is not believed: the object is scanned when it is read")             \
    X(GATE_SCAN, "gate.scan_size", SIZE, "64M", "0..2147483647",                                   \
      "larger objects are not scanned while the reader waits, but by the queue")                   \
    X(GATE_LINK, "gate.link", DURATION, "60s", "1s..60s", "how long a link to an object is good")  \
    X(CONSOLE_URL, "console.url", TEXT, "", "",                                                    \
      "https://HOST:4119 of a console that is told what was found; empty: none")                   \
    X(CONSOLE_PIN, "console.pin", TEXT, "", "", "sha256//... of its authority")                    \
    X(CONSOLE_AUTHORITY, "console.authority", TEXT, "", "", "or a file with its authority")        \
    X(CONSOLE_KEY_FILE, "console.key_file", TEXT, "", "", "file with our sensor key")              \
    X(CONSOLE_KEY_PARAMETER, "console.key_parameter", TEXT, "", "",                                \
      "or the name of a parameter of Systems Manager that holds it")                               \
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
