/* Every limit of the suite. Nothing an outsider can send, name or write grows without one.
 * `yaguractl limits` prints this table. X(name, value, unit, meaning). */
#ifndef COMMON_LIMITS_H
#define COMMON_LIMITS_H

#define YAGURA_LIMITS(X)                                                                        \
    X(LIMIT_PATH_BYTES, 32768, "bytes", "longest absolute path that is watched and scanned")    \
    X(LIMIT_PATH_DEPTH, 4096, "levels", "deepest directory that is entered")                    \
    X(LIMIT_WATCH_DIRECTORIES, 2000000, "directories",                                          \
      "most directories known to the watch; about 100 bytes each")                              \
    X(LIMIT_WATCH_SETTLING, 65536, "files", "most created files waiting to be closed")          \
    X(LIMIT_MESSAGE_BYTES, 65536, "bytes", "longest message between our processes")             \
    X(LIMIT_MESSAGE_FDS, 2, "fds", "most descriptors in one message")                           \
    X(LIMIT_LOG_LINE_BYTES, 4096, "bytes", "longest log line; the rest is cut and marked")      \
    X(LIMIT_SETTINGS_BYTES, 1048576, "bytes", "largest configuration or policy text")           \
    X(LIMIT_SETTINGS_DEPTH, 16, "levels", "deepest nesting in such a text")                     \
    X(LIMIT_JSON_DEPTH, 64, "levels", "deepest nesting of JSON that is written")                \
    X(LIMIT_SETTINGS_LIST, 4096, "entries", "most entries in one list of a policy")             \
    X(LIMIT_POLICY_PARENTS, 8, "levels", "longest chain of parent policies")                    \
    X(LIMIT_LOG_INSPECTED_BYTES, 8192, "bytes",                                                 \
      "longest line of a log that is inspected; the rest is left out")                          \
    X(LIMIT_LOG_DECODERS, 512, "decoders", "most decoders of log inspection")                   \
    X(LIMIT_LOG_RULES, 1024, "rules", "most rules of log inspection")                           \
    X(LIMIT_LOG_NAMES, 32, "entries", "most entries in one list of a rule")                     \
    X(LIMIT_LOG_NAME_BYTES, 64, "bytes", "longest name of a decoder, program or field")         \
    X(LIMIT_LOG_REGEX_BYTES, 2048, "bytes", "longest expression of a rule")                     \
    X(LIMIT_LOG_REGEX_STEPS, 20000, "steps", "most work of an expression on one line")          \
    X(LIMIT_LOG_REGEX_DEPTH, 1000, "levels", "deepest nesting of that work")                    \
    X(LIMIT_LOG_REGEX_HEAP_KIB, 1024, "KiB", "most memory of an expression")                    \
    X(LIMIT_LOG_CAPTURES, 32, "groups", "most groups of an expression that are read")           \
    X(LIMIT_LOG_FIELD_BYTES, 256, "bytes", "longest field that is told; the rest is cut")       \
    X(LIMIT_LOG_DESCRIPTION_BYTES, 256, "bytes", "longest description of a rule")               \
    X(LIMIT_LOG_FREQUENCY, 64, "lines", "most lines that a rule counts")                        \
    X(LIMIT_LOG_COUNTERS, 4096, "counters", "most things counted by rules at once")             \
    X(LIMIT_LOG_READ_BYTES, 1048576, "bytes", "read of a log at a time")                        \
    X(LIMIT_LOG_MATCHES, 256, "matches", "most matches told at a time")                         \
    X(LIMIT_LOG_EXCERPT_BYTES, 1024, "bytes", "of a line that are told")                        \
    X(LIMIT_LOG_FILES, 64, "files", "most log files that are followed")                         \
    X(LIMIT_LOG_GENERATIONS, 64, "files", "rotated files of one log that are read at once")     \
    X(LIMIT_LOG_FOLDS, 512, "folds", "most kinds of matches folded at once")                    \
    X(LIMIT_CONTROL_REQUEST_BYTES, 262144, "bytes", "longest request on the control socket")    \
    X(LIMIT_CONTROL_OUTPUT_BYTES, 1048576, "bytes", "longest unread answer")                    \
    X(LIMIT_CONTROL_CLIENTS, 32, "clients", "most control connections at once")                 \
    X(LIMIT_EVENT_SUBJECT_BYTES, 8192, "bytes", "longest subject (escaped path) of an event")   \
    X(LIMIT_EVENT_DETAIL_BYTES, 32768, "bytes", "longest detail JSON of an event")              \
    X(LIMIT_STORE_QUEUE, 65536, "events", "most events waiting for the store's writer")         \
    X(LIMIT_STORE_QUEUE_BYTES, 67108864, "bytes", "most memory of waiting events")              \
    X(LIMIT_RESPONDER_QUEUE, 16384, "detections", "most detections waiting for the responder")  \
    X(LIMIT_QUARANTINE_ATTRIBUTES, 65536, "bytes", "extended attributes kept with a file")      \
    X(LIMIT_QUARANTINE_HEADER, 131072, "bytes", "longest header of a sealed file")              \
    X(LIMIT_QUARANTINE_JOURNAL, 262144, "bytes", "sealed files committed with their results")   \
    X(LIMIT_DETECTIONS_KNOWN, 16384, "files", "detections remembered to fold repeats")          \
    X(LIMIT_BRAKE_SIGNATURES, 4096, "signatures", "signatures whose actions are counted")       \
    X(LIMIT_PACKAGE_FILES, 8000000, "files", "files of installed packages that are indexed")    \
    X(LIMIT_PACKAGE_LIST_BYTES, 67108864, "bytes", "largest list of one package")               \
    X(LIMIT_RPM_HEADER_BYTES, 67108864, "bytes", "largest header of an installed rpm package")  \
    X(LIMIT_RPM_HEADER_ENTRIES, 65535, "entries", "most entries in it")                         \
    X(LIMIT_HELD, 10000, "files", "held detections kept; the oldest go first")                  \
    X(LIMIT_INTEGRITY_PENDING, 65536, "paths",                                                  \
      "most changed paths waiting to be compared; more become a check of all")                  \
    X(LIMIT_INTEGRITY_ATTRIBUTES, 16384, "bytes", "names of a file's extended attributes")      \
    X(LIMIT_INTEGRITY_FACTS, 32768, "bytes", "what the baseline keeps about one file")          \
    X(LIMIT_INTEGRITY_TEXT, 65536, "bytes", "largest text whose differences are told")          \
    X(LIMIT_INTEGRITY_DIFFERENCE, 8192, "bytes", "longest difference that is told")             \
    X(LIMIT_INTEGRITY_DIFFERENCE_LINES, 2000, "lines", "longest text that is compared by line") \
    X(LIMIT_PROGRAMS, 500000, "programs", "most programs that application control knows")       \
    X(LIMIT_BACKLOG_FILES, 131072, "files",                                                     \
      "most single files waiting for a scan; more of one "                                      \
      "directory are folded into a scan of it")                                                 \
    X(LIMIT_BACKLOG_BYTES, 50331648, "bytes", "most memory of such files")                      \
    X(LIMIT_BACKLOG_FOLDS, 4096, "trees", "most folded directories; more become their parents") \
    X(LIMIT_BACKLOG_FOLD_BYTES, 4194304, "bytes", "most memory of their names")                 \
    X(LIMIT_SCAN_JOBS, 32, "jobs", "most scans of trees at once")                               \
    X(LIMIT_VERDICT_CACHE, 2000000, "files", "most verdicts kept; the oldest go first")         \
    X(LIMIT_SIGNATURE_LISTS, 256, "lists", "most lists of signatures for one computer")         \
    X(LIMIT_SIGNATURE_LIST_BYTES, 1048576, "bytes", "largest of them")                          \
    X(LIMIT_SIGNATURE_SET_BYTES, 4194304, "bytes", "most of them for one computer")             \
    X(LIMIT_SIGNATURE_HASHES, 20000, "hashes", "most allowed contents for one computer")        \
    X(LIMIT_MIRROR_FILES, 64, "files", "most signature files that a console hands on")          \
    X(LIMIT_MIRROR_FILE_BYTES, 1073741824, "bytes", "largest of them")                          \
    X(LIMIT_MIRROR_PIECE_BYTES, 1048576, "bytes", "most of such a file in one answer")          \
    X(LIMIT_SIGNATURE_NAME_BYTES, 256, "bytes", "longest signature name")                       \
    X(LIMIT_SCANNER_WORKERS, 64, "workers", "most scanner workers")                             \
    X(LIMIT_SCANNER_WAITING, 64, "files", "most archives waiting for a worker that takes them") \
    X(LIMIT_SCANNER_GROWTH_BYTES, 201326592, "bytes",                                           \
      "private memory above which a worker is replaced")                                        \
    X(LIMIT_SCANNER_LOAD_SECONDS, 1800, "seconds", "longest load of the signatures")            \
    X(LIMIT_DATABASE_PATHS, 64, "paths", "most folders and files of signatures")                \
    X(LIMIT_DATABASE_FILES, 4096, "files", "most signature files in all of them")               \
    X(LIMIT_HTTP_HEAD_BYTES, 16384, "bytes", "longest head of a request to the console")        \
    X(LIMIT_AGENT_HEAD_BYTES, 8192, "bytes", "longest head of an agent's request to it")        \
    X(LIMIT_EVENT_FACETS, 1024, "kinds",                                                        \
      "most kinds of events of a group that filters tell apart")                                \
    X(LIMIT_EVENT_FACETS_MODULE, 256, "kinds", "most of them of one module")                    \
    X(LIMIT_CONSOLE_STORE_QUEUE, 65536, "pieces", "most work waiting for the console's writer") \
    X(LIMIT_HEARTBEAT_BYTES, 1048576, "bytes", "largest heartbeat")                             \
    X(LIMIT_HEARTBEAT_EVENTS, 500, "events", "most events in a heartbeat")                      \
    X(LIMIT_HEARTBEAT_COMMANDS, 16, "commands", "most commands or results in a heartbeat")      \
    X(LIMIT_SENSOR_QUEUE, 2000, "events", "most events a sensor keeps for the console")         \
    X(LIMIT_SENSOR_QUEUE_BYTES, 4194304, "bytes", "most memory of such events")                 \
    X(LIMIT_SENSOR_FACTS_BYTES, 16384, "bytes", "longest health report of a sensor")            \
    X(LIMIT_SENSOR_KEYS, 10000, "keys", "most sensor keys that are not revoked")                \
    X(LIMIT_SENSORS, 100000, "sensors", "most sensors a console knows")                         \
    X(LIMIT_SENSOR_RUNS, 200000, "runs", "most runs of sensors whose events are told apart")    \
    X(LIMIT_AGENT_STORES, 64, "stores", "most stores of one agent whose events are told apart") \
    X(LIMIT_COMMAND_OUTPUT_BYTES, 4096, "bytes", "longest output of a command")                 \
    X(LIMIT_BUNDLE_BYTES, 4194304, "bytes", "largest bundle of diagnostics")                    \
    X(LIMIT_SIGNED_DOCUMENT_BYTES, 12582912, "bytes", "largest signed policy or command")       \
    X(LIMIT_REMOVAL_CODE_BYTES, 16384, "bytes", "longest removal code")                         \
    X(LIMIT_REMOVAL_CODE_SECONDS, 604800, "seconds", "longest validity of a removal code")      \
    X(LIMIT_ACTIVATION_RULES, 256, "rules", "most rules that place new computers")              \
    X(LIMIT_STREAM_QUEUE_BYTES, 262144, "bytes", "most unread changes of one listener")         \
    X(LIMIT_METRICS_BYTES, 65536, "bytes", "longest text of metrics")                           \
    X(LIMIT_API_PAGE, 200, "rows", "most rows on one page of the API")

enum yagura_limit {
#define YAGURA_LIMIT_VALUE(name, value, unit, meaning) name = value,
    YAGURA_LIMITS(YAGURA_LIMIT_VALUE)
#undef YAGURA_LIMIT_VALUE
};

#endif
