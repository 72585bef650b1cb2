/* yagura-console serve: brings the parts up in one order and takes them down in the reverse. The
 * main thread runs the event loop: signals and timers. Must not serve requests itself. */
#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/agents/presence.h"
#include "console/agents/signature_desk.h"
#include "console/agents/waiting_agents.h"
#include "console/alerts/alert_engine.h"
#include "console/api/api_service.h"
#include "console/forward/forwarder.h"
#include "console/pages/page_files.h"
#include "console/people/audit.h"
#include "console/people/password.h"
#include "console/people/user_store.h"
#include "console/program/console.h"
#include "console/program/data_lock.h"
#include "console/program/descriptor_limit.h"
#include "console/program/first_start.h"
#include "console/program/housekeeping.h"
#include "console/program/people_routes.h"
#include "console/signatures/mirror_worker.h"
#include "console/signatures/signature_sets.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <ifaddrs.h>
#include <malloc.h>
#include <net/if.h>
#include <netdb.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/un.h>

#define NAMES_MAXIMUM       CERTIFICATE_NAMES_MAXIMUM
#define TICK_NS             NS_PER_SECOND
#define RETENTION_PAUSE_NS  NS_PER_SECOND
#define AGENT_IDLE_SECONDS  150
#define PEOPLE_IDLE_SECONDS 60
#define HEAP_STEP_BYTES     (1 << 20)
#define HEAP_KEPT_BYTES     (16 << 20)
#define PER_ADDRESS_AGENTS  0 /* many agents may stand behind one address */
#define PER_ADDRESS_PEOPLE  64
#define SETS_OF_ONE         5  /* sets of signatures that one computer may fetch in a second */
#define MIRROR_SHARE        10 /* the pieces that one computer may: this part of all, but no less */
#define LEAST_PIECES_OF_ONE 8

struct running {
    const struct console_settings *settings;
    const char *data;
    int lock; /* of the data folder */
    char *names[NAMES_MAXIMUM + 1];
    size_t name_count;
    struct console_identity identity;
    struct console_store *store;
    struct secret_box secrets;
    struct presence *presence;
    struct instance_certificates *instance_certificates;
    struct console_facts facts;
    struct agent_service agents;
    struct api_service api;
    struct page_files *pages;
    struct http_route *people_routes;
    size_t people_route_count;
    struct http_server *agent_server, *people_server;
    struct event_loop *loop;
    struct event_timer *tick_timer, *forget_timer;
    struct housekeeping housekeeping;
    char mirror_directory[4096];
    struct mirror mirror;
    struct mirror_worker *mirror_worker;
    bool signatures_unread; /* told once */
};

int console_database(const struct console_settings *settings, char ret_place[static 4096])
{
    const char *url = console_settings_text(settings, CONSOLE_DATABASE);
    int r = url[0] ? text_copy(ret_place, 4096, url)
                   : text_format(ret_place, 4096, "%s/console.db",
                                 console_settings_text(settings, CONSOLE_DATA));
    return r < 0 ? r : 0;
}

/* --- names */

static void add_name(struct running *running, const char *name)
{
    for (size_t i = 0; i < running->name_count; i++)
        if (strcasecmp(running->names[i], name) == 0)
            return;
    if (running->name_count == NAMES_MAXIMUM || !name[0])
        return;
    char *copy = strdup(name);
    if (copy)
        running->names[running->name_count++] = copy;
}

static void add_interfaces(struct running *running)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) < 0)
        return;
    for (const struct ifaddrs *at = list; at; at = at->ifa_next) {
        char text[NI_MAXHOST];
        if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) ||
            (at->ifa_addr->sa_family != AF_INET && at->ifa_addr->sa_family != AF_INET6))
            continue;
        socklen_t length = at->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                              : sizeof(struct sockaddr_in6);
        if (getnameinfo(at->ifa_addr, length, text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0 &&
            !strchr(text, '%'))
            add_name(running, text);
    }
    freeifaddrs(list);
}

/* What the server certificate is for and which Host headers are answered. */
static void collect_names(struct running *running)
{
    char host[256] = "";
    char *const *given = console_settings_list(running->settings, CONSOLE_NAMES);
    for (size_t i = 0; given[i]; i++)
        add_name(running, given[i]);
    if (gethostname(host, sizeof(host) - 1) == 0)
        add_name(running, host);
    add_name(running, "localhost");
    add_name(running, "127.0.0.1");
    add_name(running, "::1");
    add_interfaces(running);
}

/* --- readiness, after sd_notify(3) */

static void tell_service_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || text_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
        return;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (address.sun_path[0] == '@')
        address.sun_path[0] = '\0';
    AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address, length);
}

/* --- timers and signals */

static void reload_certificate(struct running *running)
{
    char problem[256];
    int r = console_identity_reload(&running->identity, running->data,
                                    (const char *const *)running->names, problem);
    if (r < 0)
        log_error("certificate_not_reloaded", "file", problem, "error", log_error_text(r), "effect",
                  "the old one goes on", NULL);
    else
        log_info("certificate_reloaded", "expires_s",
                 log_number(running->identity.server_expires_s), NULL);
}

/* Changed by "yagura-console keys rotate", or copied from another node. */
static void reload_signing_key(struct running *running)
{
    char problem[256] = "";
    int r = signing_key_reload(running->identity.signing, problem);
    if (r < 0)
        log_error("signing_key_not_reloaded", "file", problem, "error", log_error_text(r), "effect",
                  "the old one goes on", NULL);
    else if (r > 0)
        log_info("signing_key_reloaded", NULL);
}

static int64_t setting_ms(const struct running *running, enum console_setting key)
{
    return (int64_t)(console_settings_number(running->settings, key) / NS_PER_MS);
}

/* It is renewed at the start only: everything else reads it without a lock. */
static void watch_authority(const struct running *running)
{
    int64_t from_s = 0, until_s = 0;
    int64_t now_s = (int64_t)(clock_realtime_ns() / NS_PER_SECOND);
    if (certificate_validity(running->identity.authority.certificate, &from_s, &until_s) < 0)
        return;
    if (now_s < from_s)
        log_error("authority_not_yet_valid", "valid_from_s", log_number(from_s), "cure",
                  "set the clock; if it is right, restart the console: it makes the certificate of "
                  "its authority anew, with the same key",
                  NULL);
    if (now_s <= until_s - (until_s - from_s) / 3)
        return;
    log_error(now_s < until_s ? "authority_expires" : "authority_expired", "expires_s",
              log_number(until_s), "cure",
              "restart the console: it renews the certificate of its authority, with the same key",
              NULL);
}

static void renew_what_is_due(struct running *running)
{
    reload_certificate(running);
    reload_signing_key(running);
    watch_authority(running);
}

static void forget(void *user)
{
    struct running *running = user;
    if (housekeeping_forget(&running->housekeeping))
        event_timer_start(running->forget_timer, RETENTION_PAUSE_NS, 0);
    else
        renew_what_is_due(running);
}

/* Also what another node, or the command line, has changed. */
static void refresh_signatures(void *user)
{
    struct running *running = user;
    int r = signature_sets_refresh(running->agents.signatures, running->store);
    if (r < 0 && !running->signatures_unread)
        log_warning("signatures_not_read", "error", log_error_text(r), NULL);
    running->signatures_unread = r < 0;
}

static void tick(void *user)
{
    struct running *running = user;
    if (housekeeping_tick(&running->housekeeping))
        renew_what_is_due(running); /* the clock was set */
    if (housekeeping_is_due(&running->housekeeping))
        forget(running);
}

static void on_signal(void *user, int number)
{
    struct running *running = user;
    if (number == SIGHUP) {
        reload_certificate(running);
        reload_signing_key(running);
    } else {
        event_loop_stop(running->loop);
    }
}

/* --- up and down */

static int start_loop(struct running *running)
{
    int r = event_loop_new(&running->loop);
    const int signals[] = {SIGTERM, SIGINT, SIGHUP};
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(signals); i++)
        r = event_loop_add_signal(running->loop, signals[i], on_signal, running);
    if (r == 0)
        r = event_timer_new(running->loop, tick, running, &running->tick_timer);
    if (r == 0)
        r = event_timer_new(running->loop, forget, running, &running->forget_timer);
    if (r < 0)
        return r;
    return 0;
}

static int seal_totp(struct sql *sql, void *user)
{
    return user_seal_totp(sql, user);
}

static int open_secrets(struct running *running)
{
    int r = secret_box_open(running->data, &running->secrets);
    if (r == 0)
        r = console_store_write(running->store, seal_totp, &running->secrets);
    if (r < 0)
        log_error("secrets_unusable", "file", "secrets.key", "error", log_error_text(r), "cure",
                  "restore it from a backup", NULL);
    return r;
}

/* What to do when the console cannot start on its database. */
static const char *database_cure(int error, bool postgres)
{
    switch (error) {
    case -EPROTO:
        return "a newer yagura-console has used it: update this one";
    case -EACCES:
    case -EPERM:
    case -EROFS:
        return "let the console's user write to the data folder and what is in it";
    default:
        return postgres
                   ? "look whether PostgreSQL runs and takes this user, or correct database in "
                     "the settings"
                   : console_store_cure(error);
    }
}

static int open_database(struct running *running, bool made)
{
    char notice[512] = "", path[4096];
    int r = console_database(running->settings, path);
    bool postgres = r == 0 && sql_is_postgres_url(path);
    bool lost = r == 0 && !made && !postgres && access(path, F_OK) < 0;
    if (lost)
        log_error("database_missing", "path", path, "effect",
                  "a new, empty one is made; agents of the old one keep their events and try again",
                  "cure", "restore a backup: yagura-console restore", NULL);
    if (r == 0)
        r = console_store_open(path, &running->store, notice);
    if (r < 0) /* a URL may hold a password: it is not shown */
        log_error("database_unusable", "path", postgres ? "postgresql" : path, "error",
                  log_error_text(r), "why", notice, "cure", database_cure(r, postgres), NULL);
    else if (notice[0])
        log_error("database_rebuilt", "what", notice, "effect",
                  "agents are not known, keep their events and try again", "cure",
                  "restore a backup: yagura-console restore", NULL);
    return r;
}

static int open_data(struct running *running)
{
    char problem[256] = "";
    bool made = false;
    int r = file_make_directories(running->data, 0700);
    if (r < 0) {
        log_error("data_folder_unusable", "path", running->data, "error", log_error_text(r), "cure",
                  "name in data a folder that the console's user may write", NULL);
        return r;
    }
    r = data_lock_take(running->data, &running->lock);
    if (r < 0) {
        log_error("data_folder_locked", "path", running->data, "error", log_error_text(r), "cure",
                  "another console runs on this folder, or a restore: give each its own", NULL);
        return r;
    }
    r = console_identity_open(running->data, (const char *const *)running->names,
                              &running->identity, &made, problem);
    if (r < 0) {
        log_error("identity_unusable", "file", problem, "error", log_error_text(r), "cure",
                  "restore it from a backup, readable for the console's user", NULL);
        return r;
    }
    if (made)
        log_info("authority_made", "pin", running->identity.pin, NULL);
    r = open_database(running, made);
    if (r < 0)
        return r;
    r = first_start(running->store, &running->facts);
    return r < 0 ? r : open_secrets(running);
}

static int load_instance_rules(struct running *running)
{
    const struct console_settings *settings = running->settings;
    struct instance_rules *rules = &running->agents.instances;
    const char *check = console_settings_text(settings, CONSOLE_INSTANCES_CHECK);
    const char *folder = console_settings_text(settings, CONSOLE_INSTANCES_CERTIFICATES);
    char problem[256] = "";
    rules->accounts = console_settings_list(settings, CONSOLE_INSTANCES_ACCOUNTS);
    rules->regions = console_settings_list(settings, CONSOLE_INSTANCES_REGIONS);
    rules->required = text_equal(check, "required");
    if (text_equal(check, "off"))
        return 0;
    int r = instance_certificates_load(folder, &running->instance_certificates, problem);
    if (r < 0)
        log_error("instance_certificates_unusable", "folder", folder, "file", problem, "error",
                  log_error_text(r), "cure",
                  "put AWS' certificates there, REGION.pem each, or set instance_identity.check to"
                  " \"off\"",
                  NULL);
    rules->certificates = running->instance_certificates;
    return r;
}

/* Agents and programs do without the page. */
static void load_page(struct running *running)
{
    const char *folder = console_settings_text(running->settings, CONSOLE_WEB);
    int r = page_files_load(folder, &running->pages);
    if (r < 0)
        log_warning("no_web_page", "setting", "web", "folder", folder, "error", log_error_text(r),
                    NULL);
}

static int start_servers(struct running *running)
{
    const struct console_settings *settings = running->settings;
    struct http_server_options agents = {
        .address = console_settings_text(settings, CONSOLE_AGENTS_ADDRESS),
        .port = (uint16_t)console_settings_number(settings, CONSOLE_AGENTS_PORT),
        .routes = AGENT_ROUTES,
        .route_count = AGENT_ROUTE_COUNT,
        .user = &running->agents,
        .hosts = (const char *const *)running->names,
        .client_authority_pem = running->identity.authority_pem,
        .threads = (unsigned)console_settings_number(settings, CONSOLE_AGENTS_THREADS),
        .connections = (unsigned)(console_settings_number(settings, CONSOLE_AGENTS_CONNECTIONS) +
                                  console_settings_number(settings, CONSOLE_AGENTS_WAITING)),
        .connections_per_address = PER_ADDRESS_AGENTS,
        .idle_seconds = AGENT_IDLE_SECONDS,
        .head_bytes = LIMIT_AGENT_HEAD_BYTES,
        .settle = agent_settle};
    unsigned people_most = (unsigned)console_settings_number(settings, CONSOLE_PEOPLE_CONNECTIONS);
    descriptor_limit_prepare((uint64_t)agents.connections + people_most);
    int r = http_server_start(&agents, &running->agent_server);
    if (r < 0) {
        log_error("cannot_listen", "setting", "agents.port", "port", log_number(agents.port),
                  "error", log_error_text(r), "cure",
                  "end what listens there, or give another port", NULL);
        return r;
    }
    running->api.agents_port = http_server_port(running->agent_server);
    struct http_server_options people = {
        .address = console_settings_text(settings, CONSOLE_PEOPLE_ADDRESS),
        .port = (uint16_t)console_settings_number(settings, CONSOLE_PEOPLE_PORT),
        .routes = running->people_routes,
        .route_count = running->people_route_count,
        .user = &running->api,
        .hosts = (const char *const *)running->names,
        .connections = people_most,
        .connections_per_address = PER_ADDRESS_PEOPLE,
        .idle_seconds = PEOPLE_IDLE_SECONDS,
        .head_bytes = LIMIT_HTTP_HEAD_BYTES,
        .admit = api_admit};
    r = http_server_start(&people, &running->people_server);
    if (r < 0)
        log_error("cannot_listen", "setting", "people.port", "port", log_number(people.port),
                  "error", log_error_text(r), "cure",
                  "end what listens there, or give another port", NULL);
    return r;
}

/* --- the mirror */

static int prepare_mirror(struct running *running)
{
    char *directory = running->mirror_directory;
    const char *url = console_settings_text(running->settings, CONSOLE_MIRROR_URL);
    int r = text_format(directory, sizeof(running->mirror_directory), "%s/" MIRROR_FOLDER,
                        running->data);
    if (r > 0)
        r = file_make_directories(directory, 0700);
    running->mirror = (struct mirror){
        .store = running->store,
        .directory = directory,
        .judge = {console_settings_text(running->settings, CONSOLE_SCANNER), directory}};
    if (r == 0 && url[0] && !mirror_url_is_allowed(url)) {
        log_error("setting_refused", "setting", "mirror.url", "value", url, "cure",
                  "name a private mirror by https://; from clamav.net let freshclam fetch, and "
                  "set mirror.folder to its folder",
                  NULL);
        r = -EINVAL;
    }
    return r;
}

static int start_mirror(struct running *running)
{
    const struct console_settings *settings = running->settings;
    const struct mirror_worker_options options = {
        .mirror = &running->mirror,
        .folder = console_settings_text(settings, CONSOLE_MIRROR_FOLDER),
        .url = console_settings_text(settings, CONSOLE_MIRROR_URL),
        .files = console_settings_list(settings, CONSOLE_MIRROR_FILES),
        .unsigned_too = console_settings_number(settings, CONSOLE_MIRROR_UNSIGNED) != 0,
        .period_ns = console_settings_number(settings, CONSOLE_MIRROR_PERIOD),
        .refresh = refresh_signatures,
        .user = running};
    return mirror_worker_start(&options, &running->mirror_worker);
}

static void init_buckets(struct running *running)
{
    const struct console_settings *settings = running->settings;
    struct agent_service *agents = &running->agents;
    uint64_t policies = console_settings_number(settings, CONSOLE_AGENTS_POLICIES);
    uint64_t pieces = console_settings_number(settings, CONSOLE_MIRROR_PIECES);
    rate_bucket_init(&agents->activation_bucket,
                     console_settings_number(settings, CONSOLE_AGENTS_ACTIVATIONS));
    rate_bucket_init(&agents->policy_bucket, policies);
    rate_bucket_init(&agents->signature_bucket, policies);
    rate_bucket_init(&agents->mirror_bucket, pieces);
    rate_shares_init(&agents->signature_shares, SETS_OF_ONE);
    rate_shares_init(&agents->mirror_shares, MAX(pieces / MIRROR_SHARE, LEAST_PIECES_OF_ONE));
}

static int start(struct running *running)
{
    collect_names(running);
    int r = start_loop(running); /* first: all threads inherit the blocked signals */
    if (r == 0)
        r = open_data(running);
    if (r == 0)
        r = load_instance_rules(running);
    if (r == 0)
        r = presence_new(&running->presence);
    if (r == 0)
        r = people_routes_new(&running->people_routes, &running->people_route_count);
    if (r == 0)
        load_page(running);
    if (r == 0)
        r = signature_sets_new(&running->agents.signatures);
    if (r == 0)
        r = prepare_mirror(running);
    if (r < 0)
        return r;
    refresh_signatures(running);
    uint64_t heartbeat =
        console_settings_number(running->settings, CONSOLE_HEARTBEAT) / NS_PER_SECOND;
    running->agents.store = running->store;
    running->agents.identity = &running->identity;
    running->agents.presence = running->presence;
    running->agents.tenant_id = running->facts.tenant_id;
    running->agents.heartbeat_seconds = heartbeat;
    running->agents.certificate_seconds =
        console_settings_number(running->settings, CONSOLE_CERTIFICATE_LIFE) / NS_PER_SECOND;
    running->housekeeping =
        (struct housekeeping){.store = running->store,
                              .presence = running->presence,
                              .retention = {setting_ms(running, CONSOLE_KEEP_EVENTS),
                                            setting_ms(running, CONSOLE_REMOVE_COMPUTERS)}};
    housekeeping_begin(&running->housekeeping);
    running->agents.queue = console_settings_number(running->settings, CONSOLE_AGENTS_QUEUE);
    init_buckets(running);
    r = agent_waiting_start(&running->agents,
                            console_settings_number(running->settings, CONSOLE_AGENTS_WAITING));
    if (r < 0)
        return r;
    running->agents.mirror_directory = running->mirror_directory;
    running->api.judge = running->mirror.judge;
    running->api.store = running->store;
    running->api.secrets = &running->secrets;
    running->api.identity = &running->identity;
    running->api.agents = &running->agents;
    running->api.tenant_id = running->facts.tenant_id;
    running->api.scratch_directory = running->data;
    running->api.heartbeat_seconds = heartbeat;
    running->api.pages = running->pages;
    sign_in_limit_init(&running->api.sign_ins);
    r = signature_desk_open(&running->agents, &running->agents.desk);
    if (r < 0)
        return r;
    r = api_stream_start(&running->api,
                         (unsigned)console_settings_number(running->settings,
                                                           CONSOLE_PEOPLE_CONNECTIONS),
                         &running->api.stream);
    struct alert_engine_options alerts = {running->store, heartbeat};
    if (r == 0)
        r = alert_engine_start(&alerts, &running->api.alerts);
    struct forwarder_options forward = {running->store, &running->secrets,
                                        setting_ms(running, CONSOLE_KEEP_EVENTS)};
    if (r == 0)
        r = forwarder_start(&forward, &running->api.forwarder);
    if (r == 0)
        r = start_mirror(running);
    return r < 0 ? r : start_servers(running);
}

static void stop(struct running *running)
{
    if (running->agent_server)
        http_server_drain(running->agent_server);
    waiting_agents_close(running->agents.waiting);
    api_stream_close(running->api.stream);
    running->people_server = http_server_stop(running->people_server);
    running->agent_server = http_server_stop(running->agent_server);
    running->agents.desk = signature_desk_close(running->agents.desk);
    running->agents.waiting = waiting_agents_free(running->agents.waiting);
    running->api.stream = api_stream_stop(running->api.stream);
    running->api.alerts = alert_engine_stop(running->api.alerts);
    running->api.forwarder = forwarder_stop(running->api.forwarder);
    running->mirror_worker = mirror_worker_stop(running->mirror_worker);
    running->forget_timer = event_timer_free(running->forget_timer);
    running->tick_timer = event_timer_free(running->tick_timer);
    running->loop = event_loop_free(running->loop);
    if (running->presence && running->store)
        housekeeping_flush(&running->housekeeping);
    running->presence = presence_free(running->presence);
    running->store = console_store_close(running->store);
    running->instance_certificates = instance_certificates_free(running->instance_certificates);
    running->agents.signatures = signature_sets_free(running->agents.signatures);
    running->pages = page_files_free(running->pages);
    free(running->people_routes);
    secret_box_done(&running->secrets);
    console_identity_done(&running->identity);
    for (size_t i = 0; i < running->name_count; i++)
        free(running->names[i]);
}

/* Threads hand memory to each other all the time: heaps keep what they have instead of asking the
 * kernel again and again. SQLite's statistics would take a lock for every allocation. */
static void tune_memory(void)
{
    (void)mallopt(M_TOP_PAD, HEAP_STEP_BYTES);
    (void)mallopt(M_TRIM_THRESHOLD, HEAP_KEPT_BYTES);
    (void)mallopt(M_MMAP_THRESHOLD, HEAP_STEP_BYTES);
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

int console_serve(const struct console_settings *settings, int argc UNUSED, char **argv UNUSED)
{
    tune_memory();
    struct running *running = calloc(1, sizeof(*running));
    if (!running)
        return 1;
    running->settings = settings;
    running->data = console_settings_text(settings, CONSOLE_DATA);
    running->lock = -1;
    int r = start(running);
    if (r == 0) {
        log_info("console_ready", "agents_port",
                 log_number(http_server_port(running->agent_server)), "people_port",
                 log_number(http_server_port(running->people_server)), "pin", running->identity.pin,
                 NULL);
        tell_service_manager("READY=1");
        event_timer_start(running->tick_timer, 0, TICK_NS);
        r = event_loop_run(running->loop);
        log_info("console_stopping", NULL);
        tell_service_manager("STOPPING=1");
    }
    stop(running);
    if (running->lock >= 0)
        (void)close(running->lock);
    free(running);
    return r < 0 ? 1 : 0;
}
