/* console.conf: where things are. Every key has a default, so no file is needed. */
#ifndef CONSOLE_PROGRAM_CONSOLE_SETTINGS_H
#define CONSOLE_PROGRAM_CONSOLE_SETTINGS_H

#include "common/attributes.h"
#include "common/settings/schema.h"

#include <stdint.h>

/* X(symbol, key, type, default, bounds, meaning) */
#define CONSOLE_SETTINGS(X)                                                                      \
    X(DATA, "data", TEXT, YAGURA_CONSOLE_DATA, "absolute", "folder of keys and database")        \
    X(DATABASE, "database", TEXT, "", "",                                                        \
      "URL of a PostgreSQL database; empty: SQLite in the data folder")                          \
    X(NAMES, "names", LIST, "", "text",                                                          \
      "host names and addresses this console is reached by, besides the machine's own")          \
    X(AGENTS_ADDRESS, "agents.address", TEXT, "", "", "address to listen on; empty: all")        \
    X(AGENTS_PORT, "agents.port", NUMBER, "4120", "0..65535", "port of the agents; 0: any free") \
    X(AGENTS_THREADS, "agents.threads", NUMBER, "2", "1..64", "threads that serve agents")       \
    X(AGENTS_CONNECTIONS, "agents.connections", NUMBER, "20000", "16..100000",                   \
      "most agents connected at once")                                                           \
    X(AGENTS_WAITING, "agents.waiting", NUMBER, "4000", "0..100000",                             \
      "agents that may wait for news, beside agents.connections; 0: none")                       \
    X(AGENTS_ACTIVATIONS, "agents.activations_per_second", NUMBER, "100", "1..100000",           \
      "activations a second; more are asked to come again")                                      \
    X(AGENTS_POLICIES, "agents.policies_per_second", NUMBER, "500", "1..100000",                 \
      "policies fetched a second; more are asked to come again")                                 \
    X(AGENTS_QUEUE, "agents.queue", NUMBER, "4096", "1..65536",                                  \
      "heartbeats that may wait for the database; more get 503 and come again")                  \
    X(PEOPLE_ADDRESS, "people.address", TEXT, "", "", "address to listen on; empty: all")        \
    X(PEOPLE_PORT, "people.port", NUMBER, "4119", "0..65535",                                    \
      "port of the API and the page; 0: any free")                                               \
    X(PEOPLE_CONNECTIONS, "people.connections", NUMBER, "256", "4..4096",                        \
      "most API connections at once")                                                            \
    X(INSTANCES_CHECK, "instance_identity.check", CHOICE, "off", "off|given|required",           \
      "EC2 instance identity documents: not looked at, checked when given, or required")         \
    X(INSTANCES_CERTIFICATES, "instance_identity.certificates", TEXT, "", "",                    \
      "folder of AWS' certificates, REGION.pem each")                                            \
    X(INSTANCES_ACCOUNTS, "instance_identity.accounts", LIST, "", "text",                        \
      "AWS accounts whose instances may activate; empty: any")                                   \
    X(INSTANCES_REGIONS, "instance_identity.regions", LIST, "", "text",                          \
      "regions whose instances may activate; empty: all that have a certificate")                \
    X(SCANNER, "signatures.scanner", TEXT, YAGURA_CONSOLE_SCANNER, "absolute",                   \
      "the program that checks signatures before agents get them")                               \
    X(MIRROR_FOLDER, "mirror.folder", TEXT, "", "",                                              \
      "folder with signatures for agents, such as the one freshclam fills; empty: none")         \
    X(MIRROR_URL, "mirror.url", TEXT, "", "",                                                    \
      "private mirror that signatures for agents are fetched from, https://; empty: none")       \
    X(MIRROR_FILES, "mirror.files", LIST, "main.cvd|daily.cvd|bytecode.cvd", "text",             \
      "files that are fetched from there")                                                       \
    X(MIRROR_UNSIGNED, "mirror.unsigned", BOOL, "false", "",                                     \
      "take files that ClamAV did not sign, too")                                                \
    X(MIRROR_PERIOD, "mirror.period", DURATION, "1h", "1s..30d",                                 \
      "how often folder and private mirror are looked at")                                       \
    X(MIRROR_PIECES, "mirror.pieces_per_second", NUMBER, "100", "1..100000",                     \
      "pieces of 1 MiB that all agents together may fetch in a second")                          \
    X(WEB, "web", TEXT, YAGURA_CONSOLE_WEB, "absolute", "folder of the web page's files")        \
    X(HEARTBEAT, "heartbeat", DURATION, "60s", "1s..1h", "how often agents call")                \
    X(CERTIFICATE_LIFE, "certificate_life", DURATION, "90d", "10s..3650d",                       \
      "how long an agent's certificate is valid; it is renewed at two thirds of that")           \
    X(KEEP_EVENTS, "keep_events", DURATION, "90d", "0s..3650d",                                  \
      "events older than this are removed; 0s: never")                                           \
    X(REMOVE_COMPUTERS, "remove_computers_after", DURATION, "0s", "0s..3650d",                   \
      "computers not seen for so long are removed; 0s: never")                                   \
    X(LOG_LEVEL, "log_level", CHOICE, "info", "error|warning|info|debug",                        \
      "lowest level that is logged")

enum console_setting {
#define CONSOLE_SETTING_SYMBOL(symbol, ...) CONSOLE_##symbol,
    CONSOLE_SETTINGS(CONSOLE_SETTING_SYMBOL)
#undef CONSOLE_SETTING_SYMBOL
        CONSOLE_SETTING_COUNT
};

struct console_settings {
    struct settings_value values[CONSOLE_SETTING_COUNT];
};

/* path NULL: the defaults. */
int console_settings_load(const char *path, struct console_settings *ret_settings,
                          struct settings_error *ret_error) MUST_USE;
void console_settings_done(struct console_settings *settings);
const char *console_settings_text(const struct console_settings *settings,
                                  enum console_setting key);
uint64_t console_settings_number(const struct console_settings *settings, enum console_setting key);
char *const *console_settings_list(const struct console_settings *settings,
                                   enum console_setting key);
const struct settings_rule *console_settings_rule(enum console_setting key);

#endif
