/* Every key a policy may hold: the one list that validation, defaults, `policy explain`, the man
 * page and the console's editor are made from. X(symbol, "key", type, "default", "bounds",
 * "meaning"), where type and bounds are those of common/settings/schema.h: "least..most", "a|b|c",
 * or what each text of a list must be. The keys of application are obeyed by functions, not by
 * hosts. A list's default entries are separated by '|'. */
#ifndef AGENT_POLICY_POLICY_KEYS_H
#define AGENT_POLICY_POLICY_KEYS_H

#define POLICY_KEYS(X)                                                                              \
    X(WATCH_ENABLED, "watch.enabled", BOOL, "true", "", "watch directories in real time")           \
    X(WATCH_PATHS, "watch.paths", LIST, "/", "absolute",                                            \
      "directories to protect, with everything below them")                                         \
    X(WATCH_EXCLUDE_DIRECTORIES, "watch.exclude_directories", LIST, "", "directory",                \
      "directories left alone with all below them: /path/, or a name anywhere; * within one level") \
    X(WATCH_EXCLUDE_FILES, "watch.exclude_files", LIST, "", "file",                                 \
      "files left alone: a name anywhere, or a path; * within one level")                           \
    X(WATCH_EXCLUDE_EXTENSIONS, "watch.exclude_extensions", LIST, "", "extension",                  \
      "file name extensions left alone, without the dot")                                           \
    X(WATCH_SETTLE, "watch.settle", DURATION, "2s", "100ms..60s",                                   \
      "a created file that nobody closes is scanned after this time")                               \
    X(WATCH_BUDGET, "watch.budget", NUMBER, "0", "0..100000000",                                    \
      "most directories watched; 0: 80 % of what the kernel allows")                                \
    X(WATCH_CRAWL_INTERVAL, "watch.crawl_interval", DURATION, "24h", "0s..365d",                    \
      "slow check for changes that no event told; 0s: never")                                       \
    X(WATCH_CRAWL_RATE, "watch.crawl_rate", NUMBER, "500", "1..1000000",                            \
      "files a second of that check")                                                               \
    X(SCAN_WORKERS, "scan.workers", NUMBER, "0", "0..64",                                           \
      "scanner processes; 0: one a core, four at most")                                             \
    X(SCAN_MAX_FILE_SIZE, "scan.max_file_size", SIZE, "100M", "1K..2047M",                          \
      "larger files are reported as incomplete")                                                    \
    X(SCAN_MAX_SCAN_SIZE, "scan.max_scan_size", SIZE, "400M", "1K..64G",                            \
      "most bytes unpacked from one file")                                                          \
    X(SCAN_MAX_FILES, "scan.max_files", NUMBER, "10000", "1..10000000",                             \
      "most files unpacked from one file")                                                          \
    X(SCAN_MAX_RECURSION, "scan.max_recursion", NUMBER, "17", "1..100",                             \
      "deepest nesting of archives")                                                                \
    X(SCAN_MAX_TIME, "scan.max_time", DURATION, "60s", "1s..1h", "longest scan of one file")        \
    X(SCAN_HEURISTICS, "scan.heuristics", BOOL, "true", "", "libclamav's heuristic detections")     \
    X(SCAN_ENCRYPTED, "scan.report_encrypted", BOOL, "false", "",                                   \
      "report encrypted archives and documents as incomplete")                                      \
    X(SCAN_MACROS, "scan.detect_macros", BOOL, "false", "",                                         \
      "treat any document macro as a heuristic detection")                                          \
    X(SCAN_BROKEN, "scan.detect_broken", BOOL, "false", "",                                         \
      "treat broken executables as a heuristic detection")                                          \
    X(SCAN_UNWANTED, "scan.unwanted_applications", BOOL, "false", "",                               \
      "load signatures of possibly unwanted applications")                                          \
    X(SCAN_TEMPORARY, "scan.temporary_size", SIZE, "256M", "16M..16G",                              \
      "temporary space of one scanner process, in memory")                                          \
    X(SCAN_RECYCLE, "scan.recycle_files", NUMBER, "20000", "100..10000000",                         \
      "a scanner process is renewed after this many files")                                         \
    X(SCAN_RELOAD, "scan.reload", CHOICE, "auto", "auto|overlap|sequential",                        \
      "new signatures: load beside the old ones, or after dropping them")                           \
    X(SCAN_IDLE_EXIT, "scan.idle_exit", DURATION, "0s", "0s..7d",                                   \
      "with nothing to scan for so long the signatures leave memory until the next file; 0s: "      \
      "never. Not with prevention")                                                                 \
    X(SCAN_RESCAN, "scan.rescan_on_update", BOOL, "true", "",                                       \
      "scan known files again, slowly, when signatures change")                                     \
    X(SCAN_RESCAN_RATE, "scan.rescan_rate", NUMBER, "50", "1..100000",                              \
      "files a second of background scans")                                                         \
    X(SCAN_AT_START, "scan.at_start", BOOL, "true", "",                                             \
      "scan what changed while the agent did not run")                                              \
    X(SCAN_INTERVAL, "scan.schedule_interval", DURATION, "0s", "0s..365d",                          \
      "time between two scheduled scans; 0s: none")                                                 \
    X(SCAN_WINDOW, "scan.schedule_window", TEXT, "", "window",                                      \
      "when they begin, and outside of which they pause, in local time: 22:00-05:00")               \
    X(SCAN_JITTER, "scan.schedule_jitter", DURATION, "1h", "0s..24h",                               \
      "most delay of them, another one on every host")                                              \
    X(SCAN_PATHS, "scan.schedule_paths", LIST, "", "absolute",                                      \
      "what they scan; none: watch.paths")                                                          \
    X(SCAN_CHANGED, "scan.schedule_changed_within", DURATION, "0s", "0s..3650d",                    \
      "only files changed within this time; 0s: all")                                               \
    X(SCAN_MAX_LOAD, "scan.schedule_max_load", NUMBER, "80", "0..10000",                            \
      "they pause while the load a core is above this many per cent; 0: never")                     \
    X(SIGNATURES_SOURCE, "signatures.source", CHOICE, "host", "host|console|both",                  \
      "whose signature files are loaded: the folders of agent.conf, which freshclam fills, the "    \
      "console's mirror, or both")                                                                  \
    X(SIGNATURES_RATE, "signatures.rate", SIZE, "4M", "64K..1G",                                    \
      "most bytes a second that are fetched from the mirror")                                       \
    X(SIGNATURES_JITTER, "signatures.jitter", DURATION, "10m", "0s..24h",                           \
      "most delay of a fetch, another one on every host; none while there is nothing")              \
    X(RESPOND_ACTION, "respond.action", CHOICE, "quarantine", "pass|quarantine|delete",             \
      "what is done about malware")                                                                 \
    X(RESPOND_HEURISTIC, "respond.heuristic_action", CHOICE, "pass", "pass|quarantine|delete",      \
      "what is done about heuristic detections")                                                    \
    X(RESPOND_HOLD_PACKAGES, "respond.hold_package_files", BOOL, "true", "",                        \
      "unchanged files of installed packages are reported and held")                                \
    X(RESPOND_BRAKE, "respond.brake_actions", NUMBER, "100", "0..1000000",                          \
      "actions an hour for one signature before the rest is held; 0: no brake")                     \
    X(RESPOND_ALLOW_SIGNATURES, "respond.allow_signatures", LIST, "", "text",                       \
      "signatures that are not malware here")                                                       \
    X(RESPOND_ALLOW_HASHES, "respond.allow_hashes", LIST, "", "sha256",                             \
      "SHA-256 of files that are not malware here")                                                 \
    X(RESPOND_DENY_HASHES, "respond.deny_hashes", LIST, "", "sha256",                               \
      "SHA-256 of files that are malware here")                                                     \
    X(QUARANTINE_SIZE, "quarantine.max_size", SIZE, "1G", "1M..1024G", "space of the quarantine")   \
    X(QUARANTINE_FULL, "quarantine.when_full", CHOICE, "refuse", "refuse|drop-oldest",              \
      "what happens when it is full")                                                               \
    X(PREVENTION_ENABLED, "prevention.enabled", BOOL, "false", "",                                  \
      "infected files cannot be opened or run")                                                     \
    X(PREVENTION_PATHS, "prevention.paths", LIST, "", "absolute",                                   \
      "directories, with all below them, in which files are scanned before they are opened")        \
    X(PREVENTION_EXEC_ONLY, "prevention.exec_only", BOOL, "false", "", "only before they are run")  \
    X(PREVENTION_DEADLINE, "prevention.deadline", DURATION, "5s", "100ms..30s",                     \
      "longest that an open waits for the verdict")                                                 \
    X(PREVENTION_ON_TIMEOUT, "prevention.on_timeout", CHOICE, "allow", "allow|deny",                \
      "what happens to an open whose verdict is late, or cannot be had")                            \
    X(CONTROL_MODE, "application_control.mode", CHOICE, "off", "off|learn|report|block",            \
      "only known programs run: learn them, then report or block the others")                       \
    X(CONTROL_PATHS, "application_control.paths", LIST, "/", "absolute",                            \
      "directories, with all below them, whose programs are learned and asked for")                 \
    X(CONTROL_EXCLUDE_DIRECTORIES, "application_control.exclude_directories", LIST, "",             \
      "directory", "directories from which everything may run: /path/, or a name anywhere")         \
    X(CONTROL_TRUST_PACKAGES, "application_control.trust_packages", BOOL, "true", "",               \
      "a program that is as its package brought it may run")                                        \
    X(CONTROL_ALLOW_HASHES, "application_control.allow_hashes", LIST, "", "sha256",                 \
      "SHA-256 of programs that may run")                                                           \
    X(CONTROL_BLOCK_HASHES, "application_control.block_hashes", LIST, "", "sha256",                 \
      "SHA-256 of programs that count as unknown, whatever was learned")                            \
    X(CONTROL_MAX_SIZE, "application_control.max_file_size", SIZE, "512M", "1M..64G",               \
      "larger programs count as unknown")                                                           \
    X(CONTROL_DEADLINE, "application_control.deadline", DURATION, "5s", "100ms..30s",               \
      "longest that a program waits for its answer")                                                \
    X(CONTROL_ON_TIMEOUT, "application_control.on_timeout", CHOICE, "allow", "allow|deny",          \
      "what happens to a program whose answer is late, or cannot be had")                           \
    X(INTEGRITY_ENABLED, "integrity.enabled", BOOL, "false", "",                                    \
      "compare files that must not change with a baseline")                                         \
    X(INTEGRITY_PATHS, "integrity.paths", LIST, "", "absolute",                                     \
      "files and directories, with all below them, of which everything is compared")                \
    X(INTEGRITY_ATTRIBUTES, "integrity.attributes", LIST, "", "absolute",                           \
      "the same, but content may change: only mode, owner, links and attributes count")             \
    X(INTEGRITY_LOGS, "integrity.logs", LIST, "", "absolute",                                       \
      "the same, of logs: they may grow and be rotated, but not lose or change what they hold")     \
    X(INTEGRITY_EXCLUDE_DIRECTORIES, "integrity.exclude_directories", LIST, "", "directory",        \
      "directories left alone: /path/, or a name anywhere; * within one level")                     \
    X(INTEGRITY_EXCLUDE_FILES, "integrity.exclude_files", LIST, "", "file",                         \
      "files left alone: a name anywhere, or a path; * within one level")                           \
    X(INTEGRITY_CRITICAL, "integrity.critical", LIST, "", "absolute",                               \
      "changes of these, or below them, are of high severity")                                      \
    X(INTEGRITY_DIFF, "integrity.diff", LIST, "", "absolute",                                       \
      "of text files here that everybody may read, the lines that changed are told")                \
    X(INTEGRITY_NO_DIFF, "integrity.no_diff", LIST, "", "file",                                     \
      "files whose lines are never told, beside keys, passwords and the like")                      \
    X(INTEGRITY_ATTRIBUTION, "integrity.attribution", BOOL, "true", "",                             \
      "who changed a file is told, where the kernel says it")                                       \
    X(INTEGRITY_MAX_SIZE, "integrity.max_file_size", SIZE, "100M", "1K..64G",                       \
      "of larger files size and time are compared, not content")                                    \
    X(INTEGRITY_TRUST_PACKAGES, "integrity.trust_packages", BOOL, "true", "",                       \
      "a file that becomes what its package brought is expected: low severity, approved")           \
    X(INTEGRITY_INTERVAL, "integrity.interval", DURATION, "24h", "0s..365d",                        \
      "time between two checks of everything; 0s: only on demand")                                  \
    X(INTEGRITY_WINDOW, "integrity.window", TEXT, "", "window",                                     \
      "when such a check may begin, in local time: 22:00-05:00; empty: at any time")                \
    X(INTEGRITY_JITTER, "integrity.jitter", DURATION, "1h", "0s..24h",                              \
      "most delay of it, another one on every host")                                                \
    X(LOG_ENABLED, "log_inspection.enabled", BOOL, "false", "",                                     \
      "look for failed logins, crashes and the like in the host's logs")                            \
    X(LOG_JOURNAL, "log_inspection.journal", BOOL, "true", "", "read systemd's journal")            \
    X(LOG_FILES, "log_inspection.files", LIST, "", "absolute",                                      \
      "log files that are read too, also through their rotation; not what the journal has")         \
    X(LOG_DECODERS, "log_inspection.decoders", LIST, "", "group",                                   \
      "decoders of your own, asked before the shipped ones")                                        \
    X(LOG_RULES, "log_inspection.rules", LIST, "", "group",                                         \
      "rules of your own, asked before the shipped ones; their numbers begin at 100000")            \
    X(LOG_LOWEST, "log_inspection.lowest_severity", CHOICE, "info",                                 \
      "info|low|medium|high|critical", "matches below this are counted, but not told")              \
    X(LOG_FOLD, "log_inspection.fold", DURATION, "1m", "1s..1h",                                    \
      "equal matches within this time become one event with their number")                          \
    X(LOG_RATE, "log_inspection.rate", NUMBER, "30", "1..10000",                                    \
      "most events a minute of one rule; the number of the rest is told")                           \
    X(STORE_MAX_AGE, "store.max_age", DURATION, "90d", "1h..3650d",                                 \
      "events older than this are removed")                                                         \
    X(STORE_MAX_SIZE, "store.max_size", SIZE, "512M", "1M..64G",                                    \
      "space of the event store; malware events go last")                                           \
    X(APPLICATION_SQL_INJECTION, "application.protection.sql_injection", CHOICE, "report",          \
      "off|report|mitigate", "functions: SQL in arguments, cookies and bodies")                     \
    X(APPLICATION_PAYLOAD, "application.protection.malicious_payload", CHOICE, "report",            \
      "off|report|mitigate", "functions: scripts, templates, XML entities and other payloads")      \
    X(APPLICATION_FILE_ACCESS, "application.protection.illegal_file_access", CHOICE, "report",      \
      "off|report|mitigate", "functions: paths out of the application, included files")             \
    X(APPLICATION_COMMANDS, "application.protection.remote_command_execution", CHOICE, "report",    \
      "off|report|mitigate", "functions: commands of shells")                                       \
    X(APPLICATION_REDIRECT, "application.protection.open_redirect", CHOICE, "report",               \
      "off|report|mitigate", "functions: answers that send the browser where the request said")     \
    X(APPLICATION_UPLOAD, "application.protection.malicious_file_upload", CHOICE, "report",         \
      "off|report|mitigate", "functions: files that a server might run")                            \
    X(APPLICATION_ADDRESS, "application.protection.ip_protection", CHOICE, "report",                \
      "off|report|mitigate", "functions: addresses that are denied")                                \
    X(APPLICATION_THRESHOLD, "application.detection.threshold", NUMBER, "5", "1..1000",             \
      "functions: score from which a request counts as malicious")                                  \
    X(APPLICATION_EXCLUSIONS, "application.detection.exclusions", LIST, "", "text",                 \
      "functions: what is not inspected: route=, argument=, rule=, in any combination")             \
    X(APPLICATION_ALLOW, "application.address.allow", LIST, "", "text",                             \
      "functions: addresses and networks that are not inspected")                                   \
    X(APPLICATION_DENY, "application.address.deny", LIST, "", "text",                               \
      "functions: addresses and networks that are refused")                                         \
    X(APPLICATION_UPLOAD_SIZE, "application.upload.max_file_size", SIZE, "6M", "0..6M",             \
      "functions: largest uploaded file")                                                           \
    X(APPLICATION_UPLOAD_FILES, "application.upload.max_files", NUMBER, "100", "0..512",            \
      "functions: most files in one request")                                                       \
    X(APPLICATION_UPLOAD_HASHES, "application.upload.denied_sha256", LIST, "", "sha256",            \
      "functions: files that are refused, by SHA-256")                                              \
    X(APPLICATION_REDIRECT_HOSTS, "application.redirect.allowed_hosts", LIST, "", "text",           \
      "functions: hosts that answers may redirect to; *. before one for all below it")              \
    X(APPLICATION_GRAPHQL_DEPTH, "application.graphql.max_depth", NUMBER, "20", "1..128",           \
      "functions: deepest nesting of a GraphQL query")                                              \
    X(APPLICATION_GRAPHQL_INTROSPECTION, "application.graphql.introspection", BOOL, "true", "",     \
      "functions: GraphQL queries may ask for the schema")                                          \
    X(APPLICATION_RUNTIME_FILES, "application.runtime.files", LIST, "", "text",                     \
      "functions: allow:PATTERN and deny:PATTERN over opened files; the first match decides")       \
    X(APPLICATION_RUNTIME_COMMANDS, "application.runtime.commands", LIST, "", "text",               \
      "functions: the same over started programs and their arguments")                              \
    X(APPLICATION_RUNTIME_CORRELATION, "application.runtime.correlation", BOOL, "true", "",         \
      "functions: files and commands that a request's values lead to count as denied")              \
    X(HEALTH_INTERVAL, "health.interval", DURATION, "5m", "0s..24h",                                \
      "time between two proofs that every watched mount is seen and scanned; 0s: none")             \
    X(HEALTH_PATIENCE, "health.patience", DURATION, "1m", "1s..1h",                                 \
      "silence after which a sensor counts as dead and is started anew")                            \
    X(PROTECTION_ENABLED, "protection.enabled", BOOL, "false", "",                                  \
      "leaving the console, reset and removal need the console's order release_protection or its "  \
      "removal code")                                                                               \
    X(PROTECTION_CHECK_INTERVAL, "protection.check_interval", DURATION, "1m", "0s..24h",            \
      "time between two looks at the agent's own programs, units and configuration; 0s: none")      \
    X(LIMITS_SCANNER_WEIGHT, "limits.scanner_cpu_weight", NUMBER, "20", "1..10000",                 \
      "the scanner's share of the CPU beside the agent's 100, where control groups are delegated")  \
    X(LIMITS_SCANNER_QUOTA, "limits.scanner_cpu_quota", NUMBER, "80", "0..100",                     \
      "most CPU the scanner takes, in per cent of all cores; 0: no limit")                          \
    X(LIMITS_SCANNER_MEMORY, "limits.scanner_memory", NUMBER, "75", "0..100",                       \
      "most memory the scanner takes, in per cent of the host's; 0: no limit")                      \
    X(AGENT_LOG_LEVEL, "agent.log_level", CHOICE, "info", "error|warning|info|debug",               \
      "lowest level that is logged")                                                                \
    X(AGENT_NICE, "agent.scanner_nice", NUMBER, "10", "0..19", "scheduling niceness of the scanner")

#endif
