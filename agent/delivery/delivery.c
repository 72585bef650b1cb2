/* The messenger's life, and what it may say.
 *
 * Owns: the child, its socket, the files of the console (console_files.c), results not yet
 * delivered. Must not: trust a word of the messenger but signed documents; wait for the main
 * thread. Hands off: facts and policies to the main loop (posts), commands to signed_command.c. */
#include "agent/delivery/delivery.h"

#include "agent/delivery/console_keys.h"
#include "agent/delivery/heartbeat_body.h"
#include "agent/delivery/host_facts.h"
#include "agent/delivery/signed_command.h"
#include "agent/delivery/signed_policy.h"
#include "agent/store/store.h"
#include "common/crypto/keys.h"
#include "common/crypto/random.h"
#include "common/event_loop/event_loop.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/sandbox/spawn.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>

#include <sys/wait.h>

#define MOST_RESULTS     64
#define MOST_RESTART_NS  (60 * NS_PER_SECOND)
#define NEWS_INTERVAL_NS (1 * NS_PER_SECOND)
#define GOODBYE_NS       (5 * NS_PER_SECOND)
#define FACTS_BYTES      16000

/* Between the threads: a heartbeat that waits for the agent's state. */
struct beat {
    bool waits;
    struct buffer facts;
};

/* Between the threads: a policy that waits to be applied. path "" is the local one. */
struct application {
    bool waits;
    struct delivered_policy policy;
    struct settings_error error;
    int result;
};

struct delivery {
    struct delivery_options options;
    char messenger_program[LINK_TEXT_BYTES];
    pthread_t thread;
    struct event_loop *loop;
    struct console_files *files;
    struct commands *commands;
    struct event_timer *restart, *news;

    /* The delivery thread's. */
    struct link_settings settings;
    struct link_token token;
    struct link_identity identity;
    bool configured, has_token, activated;
    char successor[40]; /* the name that the console lets this host take; "" = none */
    struct console_orders orders;
    char policy_problem[1024];
    char policy_refused[80]; /* digest that is not worth another try */
    bool leaving;            /* deactivated by the console, once the results are delivered */
    bool more;               /* events that had no room in the last heartbeat */
    struct beat beat;
    struct application application;
    int socket;
    pid_t pid;
    uint64_t started_ns, restart_delay_ns;
    uint64_t news_number; /* events up to here have been looked at for urgency */
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];

    pthread_mutex_t lock; /* of all below */
    struct command_result results[MOST_RESULTS];
    size_t result_count;
    struct delivery_status status;
};

/* ---- status and events ---- */

static void note_status(struct delivery *delivery)
{
    (void)pthread_mutex_lock(&delivery->lock);
    delivery->status.configured = delivery->configured;
    delivery->status.activated = delivery->activated;
    (void)text_copy(delivery->status.url, sizeof delivery->status.url, delivery->settings.url);
    (void)text_copy(delivery->status.agent_id, sizeof delivery->status.agent_id,
                    delivery->activated ? delivery->identity.agent_id : "");
    (void)pthread_mutex_unlock(&delivery->lock);
}

static void note_state(struct delivery *delivery, const struct link_state *state)
{
    (void)pthread_mutex_lock(&delivery->lock);
    delivery->status.state = *state;
    (void)pthread_mutex_unlock(&delivery->lock);
}

static void record(struct delivery *delivery, const char *kind, enum event_severity severity,
                   const char *subject, const char *reason)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(4096);
    struct json_writer json;

    json_writer_init(&json, &detail);
    json_write_object_begin(&json);
    if (reason != NULL)
        json_write_field_string(&json, "reason", reason);
    json_write_object_end(&json);
    const struct event_draft draft = {.module = "console",
                                      .kind = kind,
                                      .severity = severity,
                                      .subject = subject,
                                      .detail =
                                          buffer_failed(&detail) < 0 ? NULL : buffer_text(&detail)};
    int r = store_append(delivery->options.store, &draft, NULL, NULL, NULL);
    log_event(severity >= EVENT_MEDIUM ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, kind, "subject",
              subject, "reason", reason, "not_stored", r < 0 ? log_error_text(r) : NULL, NULL);
}

/* ---- the child ---- */

static void close_messenger(struct delivery *delivery)
{
    if (delivery->socket < 0)
        return;
    event_loop_remove_fd(delivery->loop, delivery->socket);
    (void)close(delivery->socket);
    delivery->socket = -1;
    /* It ends when its socket does; one that hangs does not. It holds nothing that must be saved.
     */
    (void)kill(delivery->pid, SIGKILL);
    while (waitpid(delivery->pid, NULL, 0) < 0 && errno == EINTR)
        ;
}

static void note_ended(struct delivery *delivery, const char *reason)
{
    struct link_state state;

    (void)pthread_mutex_lock(&delivery->lock);
    state = delivery->status.state;
    (void)pthread_mutex_unlock(&delivery->lock);
    state.code = delivery->activated ? LINK_STATE_OFFLINE : LINK_STATE_ACTIVATING;
    state.next_try_ns = clock_realtime_ns() + delivery->restart_delay_ns;
    (void)text_format(state.text, sizeof state.text,
                      "yagura-messenger does not run (%s): it is started again", reason);
    note_state(delivery, &state);
}

/* Again after 1 s, 2 s, ... a minute; after 1 s when it had lived for longer than that. An event
 * tells of the first time, and when the delay has become longest. */
static void restart_later(struct delivery *delivery, int error)
{
    bool lived = clock_monotonic_ns() - delivery->started_ns > MOST_RESTART_NS;
    uint64_t before = delivery->restart_delay_ns;
    const char *reason = error < 0 ? log_error_text(error) : "it closed its socket";

    close_messenger(delivery);
    delivery->restart_delay_ns =
        lived || before == 0 ? NS_PER_SECOND : MIN(before * 2, MOST_RESTART_NS);
    note_ended(delivery, reason);
    if (delivery->restart_delay_ns == NS_PER_SECOND ||
        (delivery->restart_delay_ns == MOST_RESTART_NS && before != MOST_RESTART_NS))
        record(delivery, "messenger_ended", EVENT_MEDIUM, "yagura-messenger", reason);
    else
        log_warning("messenger_ended", "reason", reason, NULL);
    event_timer_start(delivery->restart, delivery->restart_delay_ns, 0);
}

static void handle_messenger(void *user, int fd, uint32_t epoll_events);

static int introduce(struct delivery *delivery)
{
    int r = uuid_new(delivery->settings.session);

    if (r == 0 && delivery->activated)
        r = link_send_identity(delivery->socket, &delivery->identity);
    if (r == 0 && delivery->has_token)
        r = link_send_token(delivery->socket, &delivery->token);
    if (r == 0)
        r = link_send_settings(delivery->socket, &delivery->settings);
    return r;
}

static int start_messenger(struct delivery *delivery)
{
    char *const argv[] = {(char *)"yagura-messenger", NULL};
    int pair[2];

    delivery->started_ns = clock_monotonic_ns();
    int r = message_pair(true, pair);
    if (r < 0)
        return r;
    AUTO_CLOSE int theirs = pair[1];
    r = spawn_program(delivery->messenger_program, argv, &theirs, 1, &delivery->pid, NULL);
    if (r < 0) {
        (void)close(pair[0]);
        return r;
    }
    delivery->socket = pair[0];
    (void)pthread_mutex_lock(&delivery->lock);
    delivery->status.messenger_starts++;
    (void)pthread_mutex_unlock(&delivery->lock);
    r = event_loop_add_fd(delivery->loop, delivery->socket, EPOLLIN, handle_messenger, delivery);
    return r < 0 ? r : introduce(delivery);
}

static void restart_messenger(void *user)
{
    struct delivery *delivery = user;

    close_messenger(delivery);
    event_timer_stop(delivery->restart);
    /* Without anything to show there is nothing to say. */
    if (!delivery->configured || !(delivery->activated || delivery->has_token))
        return;
    int r = start_messenger(delivery);
    if (r < 0)
        restart_later(delivery, r);
}

static void hurry(struct delivery *delivery)
{
    if (delivery->socket >= 0)
        (void)!link_send_plain(delivery->socket, LINK_URGENT); /* a full socket is news enough */
}

/* ---- identity ---- */

/* Revisions and commands of one identity say nothing about those of another. The policy in force
 * stays until the next one comes. */
static void begin_orders(struct delivery *delivery)
{
    struct console_orders *orders = &delivery->orders;

    if (text_equal(orders->agent_id, delivery->identity.agent_id))
        return;
    (void)text_copy(orders->agent_id, sizeof orders->agent_id, delivery->identity.agent_id);
    orders->policy_revision = 0;
    orders->policy_digest[0] = '\0';
    orders->previous_key[0] = '\0';
    orders->seen_count = 0;
    delivery->policy_problem[0] = delivery->policy_refused[0] = '\0';
}

static int use_identity(struct delivery *delivery)
{
    AUTO_KEY EVP_PKEY *key = NULL;

    int r = key_from_public_text(delivery->identity.signing_key, &key);
    if (r == 0)
        begin_orders(delivery);
    return r;
}

/* The key that policies and commands are judged by changes only while root has a token to spend,
 * and the name by a word of that key too: a messenger that was taken over cannot bring its own. It
 * may still have the key before. */
static bool may_become(const struct delivery *delivery, const struct link_identity *identity)
{
    bool known = text_equal(identity->signing_key, delivery->identity.signing_key) ||
                 text_equal(identity->signing_key, delivery->orders.previous_key);
    bool named = text_equal(identity->agent_id, delivery->identity.agent_id) ||
                 text_equal(identity->agent_id, delivery->successor);

    return delivery->has_token || (delivery->activated && known && named);
}

static void keep_keys(struct delivery *delivery, const struct console_keys *keys)
{
    struct console_orders *orders = &delivery->orders;

    (void)text_copy(orders->previous_key, sizeof orders->previous_key, keys->previous);
    orders->previous_key_until_ms = keys->previous_until_ms;
    (void)text_copy(delivery->identity.signing_key, sizeof delivery->identity.signing_key,
                    keys->current);
    int r = console_files_write_orders(delivery->files, orders);
    if (r == 0)
        r = console_files_write_identity(delivery->files, &delivery->identity);
    /* After a restart it is followed again: the console tells it with every document. */
    record(delivery, "console_key_changed", EVENT_INFO, delivery->settings.url,
           r < 0 ? log_error_text(r) : NULL);
}

/* The key that a document must be signed with, after the successors it tells of. */
static int judge_key(struct delivery *delivery, const char *document, size_t length,
                     EVP_PKEY **ret_key)
{
    struct console_keys keys = {.previous_until_ms = delivery->orders.previous_key_until_ms};
    bool changed;

    (void)text_copy(keys.current, sizeof keys.current, delivery->identity.signing_key);
    (void)text_copy(keys.previous, sizeof keys.previous, delivery->orders.previous_key);
    int r = console_keys_judge(&keys, document, length, clock_realtime_ns() / NS_PER_MS, ret_key,
                               &changed);
    if (r == 0 && changed)
        keep_keys(delivery, &keys);
    return r;
}

static int take_identity(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_identity identity;
    bool renewal = !delivery->has_token;

    int r = link_read_identity(message, &identity);
    if (r == 0 && !may_become(delivery, &identity))
        r = -EPERM;
    if (r == 0 && renewal)
        (void)text_copy(identity.signing_key, sizeof identity.signing_key,
                        delivery->identity.signing_key);
    bool moved = renewal && r == 0 && !text_equal(identity.agent_id, delivery->identity.agent_id);
    if (r == 0) {
        delivery->identity = identity;
        delivery->activated = true;
        r = use_identity(delivery);
    }
    explicit_bzero(&identity, sizeof identity);
    if (r < 0)
        return r;
    delivery->successor[0] = '\0';
    r = console_files_write_orders(delivery->files, &delivery->orders);
    if (r == 0)
        r = console_files_write_identity(delivery->files, &delivery->identity);
    if (r < 0)
        record(delivery, "identity_not_kept", EVENT_HIGH, delivery->identity.agent_id,
               "make room on the disk of the state directory: after a restart this host must "
               "activate again");
    else if (delivery->has_token) {
        console_files_remove_token(delivery->files);
        explicit_bzero(&delivery->token, sizeof delivery->token);
        delivery->has_token = false;
    }
    if (moved)
        record(delivery, "activated_as_copy", EVENT_MEDIUM, delivery->identity.agent_id,
               "the console says that this host is a copy of another");
    else
        record(delivery, renewal ? "certificate_renewed" : "activated", EVENT_INFO,
               delivery->settings.url, NULL);
    note_status(delivery);
    return 0;
}

static void forget_identity(struct delivery *delivery)
{
    console_files_remove_identity(delivery->files);
    explicit_bzero(&delivery->identity, sizeof delivery->identity);
    delivery->activated = false;
    note_status(delivery);
}

/* This host is a copy of another, and the console has a name for it. */
static int take_move(void *user, struct message *message)
{
    struct delivery *delivery = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *document = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;
    size_t length;

    int r = link_read_document(fd, &document, &length);
    if (r == 0)
        r = judge_key(delivery, document, length, &key);
    if (r == 0)
        r = console_keys_take_move(document, length, key, delivery->identity.agent_id,
                                   clock_realtime_ns() / NS_PER_MS, delivery->successor);
    return r;
}

static int take_state(void *user, struct message *message)
{
    struct link_state state;

    int r = link_read_state(message, &state);
    if (r == 0)
        note_state(user, &state);
    return r;
}

/* ---- heartbeats ---- */

static size_t copy_results(struct delivery *delivery, struct command_result *results)
{
    (void)pthread_mutex_lock(&delivery->lock);
    size_t count = delivery->result_count;
    memcpy(results, delivery->results, count * sizeof results[0]);
    (void)pthread_mutex_unlock(&delivery->lock);
    return count;
}

static void mark_sent(struct delivery *delivery, const struct command_result *results, size_t count)
{
    (void)pthread_mutex_lock(&delivery->lock);
    for (size_t i = 0; i < count; i++)
        delivery->results[i].sent = results[i].sent;
    (void)pthread_mutex_unlock(&delivery->lock);
}

static int send_beat(struct delivery *delivery, const char *facts)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_HEARTBEAT_BYTES);
    AUTO_FREE struct command_result *results = calloc(MOST_RESULTS, sizeof *results);

    if (results == NULL)
        return -ENOMEM;
    struct heartbeat_body heartbeat = {
        .settings = &delivery->settings,
        .facts = facts,
        .policy_digest = delivery->orders.policy_digest,
        .policy_problem = delivery->policy_problem,
        .results = results,
        .result_count = copy_results(delivery, results),
    };
    int r = heartbeat_body_write(delivery->options.store, &heartbeat, &body, &delivery->more);
    if (r < 0) {
        /* The store has no file yet, or cannot be read: the next heartbeat tries again. */
        log_warning("heartbeat_not_written", "error", log_error_text(r), NULL);
        return 0;
    }
    mark_sent(delivery, results, heartbeat.result_count);
    return link_send_document(delivery->socket, LINK_BEAT, buffer_text(&body), body.length);
}

static void beat_with_facts(void *user)
{
    struct delivery *delivery = user;
    const struct buffer *facts = &delivery->beat.facts;
    int r = 0;

    delivery->beat.waits = false;
    if (delivery->socket >= 0 && delivery->activated)
        r = send_beat(delivery,
                      buffer_failed(facts) < 0 || facts->length == 0 ? "{}" : buffer_text(facts));
    buffer_done(&delivery->beat.facts);
    if (r < 0)
        restart_later(delivery, r);
}

/* In the main thread. */
static void write_facts(void *user)
{
    struct delivery *delivery = user;
    struct buffer *facts = &delivery->beat.facts;

    *facts = BUFFER_WITH_MAXIMUM(FACTS_BYTES);
    if (delivery->options.write_facts(delivery->options.user, facts) < 0)
        buffer_clear(facts);
    if (event_loop_post(delivery->loop, beat_with_facts, delivery) < 0)
        log_warning("heartbeat_not_written", "error", log_error_text(-ENOMEM), NULL);
}

static int take_want_beat(void *user, struct message *message UNUSED)
{
    struct delivery *delivery = user;

    if (delivery->beat.waits)
        return 0;
    int r = event_loop_post(delivery->options.main_loop, write_facts, delivery);
    delivery->beat.waits = r == 0;
    return r;
}

/* How many are left. */
static size_t drop_delivered(struct delivery *delivery, bool delivered)
{
    size_t kept = 0;

    (void)pthread_mutex_lock(&delivery->lock);
    for (size_t i = 0; i < delivery->result_count; i++)
        if (!delivery->results[i].sent || !delivered) {
            delivery->results[kept] = delivery->results[i];
            delivery->results[kept++].sent = false;
        }
    delivery->result_count = kept;
    (void)pthread_mutex_unlock(&delivery->lock);
    return kept;
}

static void leave_console(struct delivery *delivery);

/* What this host should obey: asked for when it is not in force, unless it was refused already. */
static int compare_policy(struct delivery *delivery, const char *digest)
{
    if (text_equal(digest, delivery->orders.policy_digest) || digest[0] == '\0') {
        delivery->policy_problem[0] = delivery->policy_refused[0] = '\0';
        return 0;
    }
    if (text_equal(digest, delivery->policy_refused) || delivery->application.waits)
        return 0;
    return link_send_plain(delivery->socket, LINK_WANT_POLICY);
}

static int take_beat_done(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_beat_done done;
    struct store_status status;

    int r = link_read_beat_done(message, &done);
    if (r < 0)
        return r;
    size_t results = drop_delivered(delivery, done.delivered);
    if (!done.delivered)
        return 0;
    store_status(delivery->options.store, &status);
    if (text_equal(done.epoch, status.epoch) && done.acknowledged > status.acknowledged_number)
        r = store_acknowledge(delivery->options.store, done.acknowledged, NULL, NULL);
    if (r < 0)
        log_warning("acknowledgement_not_kept", "error", log_error_text(r), NULL);
    if (delivery->more || results > 0)
        hurry(delivery); /* a backlog is delivered heartbeat after heartbeat */
    if (delivery->leaving && results == 0) {
        leave_console(delivery);
        return 0;
    }
    return compare_policy(delivery, done.policy_digest);
}

/* Severe events do not wait for the next heartbeat. */
static int see_severe(void *user, const struct event_record *event UNUSED)
{
    *(bool *)user = true;
    return 1;
}

static void look_for_news(void *user)
{
    struct delivery *delivery = user;
    struct store_status status;
    bool severe = false;

    if (delivery->socket < 0 || !delivery->activated)
        return;
    store_status(delivery->options.store, &status);
    if (status.last_number <= delivery->news_number)
        return;
    const struct event_filter filter = {.after_number =
                                            MAX(delivery->news_number, status.acknowledged_number),
                                        .lowest = EVENT_HIGH,
                                        .limit = 1};
    if (store_read_events(delivery->options.store, &filter, see_severe, &severe) < 0)
        return;
    delivery->news_number = status.last_number;
    if (severe)
        hurry(delivery);
}

/* ---- commands ---- */

static void want_heartbeat(void *user)
{
    hurry(user);
}

/* From any thread. */
static void command_done(void *user, const char *command_id, bool good, const char *output)
{
    struct delivery *delivery = user;

    (void)pthread_mutex_lock(&delivery->lock);
    if (delivery->result_count < MOST_RESULTS) {
        struct command_result *result = &delivery->results[delivery->result_count++];
        *result = (struct command_result){.good = good};
        (void)text_copy(result->id, sizeof result->id, command_id);
        (void)text_copy(result->output, sizeof result->output, output);
    }
    (void)pthread_mutex_unlock(&delivery->lock);
    record(delivery, good ? "command_done" : "command_failed", good ? EVENT_INFO : EVENT_MEDIUM,
           command_id, output);
    (void)!event_loop_post(delivery->loop, want_heartbeat, delivery);
}

static void want_leave(void *user)
{
    struct delivery *delivery = user;

    delivery->leaving = true;
    hurry(delivery);
}

static bool is_pending(void *user, const char *command_id)
{
    struct delivery *delivery = user;
    bool pending = false;

    (void)pthread_mutex_lock(&delivery->lock);
    for (size_t i = 0; i < delivery->result_count; i++)
        pending = pending || text_equal(delivery->results[i].id, command_id);
    (void)pthread_mutex_unlock(&delivery->lock);
    return pending;
}

static void refuse_order(struct delivery *delivery, const char *what, int error, const char *why)
{
    record(delivery, "order_refused", EVENT_HIGH, what,
           why != NULL && why[0] != '\0' ? why
           : error == -EACCES            ? "it is not signed by the console for this computer"
           : error == -ETIME             ? "it has expired: check the clocks of host and console"
                                         : log_error_text(error));
}

static int take_command(void *user, struct message *message)
{
    struct delivery *delivery = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *signed_text = NULL;
    AUTO_FREE char *document = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;
    size_t length;

    int r = link_read_document(fd, &signed_text, &length);
    if (r < 0)
        return r;
    if (!delivery->activated)
        return 0;
    r = judge_key(delivery, signed_text, length, &key);
    if (r == 0)
        r = signed_command_take(signed_text, length, key, delivery->identity.agent_id,
                                &delivery->orders, &document);
    if (r == 0) {
        r = console_files_write_orders(delivery->files, &delivery->orders);
        if (r < 0)
            delivery->orders.seen_count--; /* when it comes again, there may be room */
    }
    if (r == 0)
        command_run(delivery->commands, document);
    else if (r == -EALREADY)
        command_repeated(delivery->commands, document, is_pending);
    else
        refuse_order(delivery, "command", r, NULL);
    return 0;
}

/* ---- policies ---- */

static void policy_applied(void *user)
{
    struct delivery *delivery = user;
    struct application *application = &delivery->application;
    const char *directory = console_files_directory(delivery->files);
    char old_path[LINK_TEXT_BYTES];

    application->waits = false;
    /* Also a refused revision is done with: it is not tried again, and never a lower one. */
    delivery->orders.policy_revision = application->policy.revision;
    if (application->result < 0) {
        (void)text_copy(delivery->policy_problem, sizeof delivery->policy_problem,
                        application->error.text);
        (void)text_copy(delivery->policy_refused, sizeof delivery->policy_refused,
                        application->policy.digest);
        signed_policy_discard(directory, application->policy.path);
    } else {
        delivery->policy_problem[0] = '\0';
        (void)text_copy(old_path, sizeof old_path, delivery->orders.policy_path);
        (void)text_copy(delivery->orders.policy_path, sizeof delivery->orders.policy_path,
                        application->policy.path);
        (void)text_copy(delivery->orders.policy_digest, sizeof delivery->orders.policy_digest,
                        application->policy.digest);
    }
    int r = console_files_write_orders(delivery->files, &delivery->orders);
    if (r < 0)
        record(delivery, "orders_not_kept", EVENT_HIGH, delivery->orders.policy_path,
               "make room on the disk of the state directory");
    else if (application->result == 0)
        signed_policy_discard(directory, old_path);
    hurry(delivery);
}

/* In the main thread. */
static void apply_policy(void *user)
{
    struct delivery *delivery = user;
    struct application *application = &delivery->application;

    application->error.text[0] = '\0';
    application->result =
        delivery->options.apply_policy(delivery->options.user, application->policy.path,
                                       &application->error);
    if (event_loop_post(delivery->loop, policy_applied, delivery) < 0)
        log_error("policy_not_noted", "error", log_error_text(-ENOMEM), NULL);
}

static void request_policy(struct delivery *delivery, const struct delivered_policy *policy)
{
    delivery->application.policy = *policy;
    delivery->application.waits =
        event_loop_post(delivery->options.main_loop, apply_policy, delivery) == 0;
}

/* Nobody's but the local configuration's from now on. */
static void drop_policy(struct delivery *delivery)
{
    const struct delivered_policy local = {.revision = delivery->orders.policy_revision};

    if (delivery->orders.policy_path[0] != '\0' && !delivery->application.waits)
        request_policy(delivery, &local);
}

/* A policy that is wrong in itself is not asked for again; what the host lacked may come yet. */
static void refuse_policy(struct delivery *delivery, int error,
                          const struct delivered_policy *policy, const struct settings_error *why)
{
    bool known = text_equal(delivery->policy_problem, why->text);

    if (error == -EINVAL && policy->revision > 0) {
        delivery->orders.policy_revision = policy->revision;
        (void)text_copy(delivery->policy_refused, sizeof delivery->policy_refused, policy->digest);
        if (console_files_write_orders(delivery->files, &delivery->orders) < 0)
            log_warning("orders_not_kept", NULL);
    }
    /* Refused by an earlier run of the agent. */
    if (error == -EALREADY)
        (void)text_copy(delivery->policy_refused, sizeof delivery->policy_refused, policy->digest);
    (void)text_copy(delivery->policy_problem, sizeof delivery->policy_problem, why->text);
    if (known)
        return;
    hurry(delivery);
    if (error != -EALREADY)
        refuse_order(delivery, "policy", error, why->text);
}

static int take_policy(void *user, struct message *message)
{
    struct delivery *delivery = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *document = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;
    struct delivered_policy policy = {.revision = 0};
    struct settings_error error = {.text = "the policy is not signed by the console"};
    size_t length;

    int r = link_read_document(fd, &document, &length);
    if (r < 0 || !delivery->activated || delivery->application.waits)
        return r;
    r = judge_key(delivery, document, length, &key);
    if (r == 0)
        r = signed_policy_take(document, length, key, delivery->identity.agent_id,
                               &delivery->orders, console_files_directory(delivery->files), &policy,
                               &error);
    if (r < 0)
        refuse_policy(delivery, r, &policy, &error);
    else
        request_policy(delivery, &policy);
    return 0;
}

/* ---- what the messenger may say ---- */

static int take_message(struct delivery *delivery, struct message *message)
{
    bool activated = delivery->activated;
    struct message_route routes[] = {
        {LINK_WANT_BEAT, "want-beat", activated, false, take_want_beat},
        {LINK_BEAT_DONE, "beat-done", activated, false, take_beat_done},
        {LINK_COMMAND, "command", activated, true, take_command},
        {LINK_POLICY, "policy", activated, true, take_policy},
        {LINK_IDENTITY, "identity", activated || delivery->has_token, false, take_identity},
        {LINK_MOVE, "move", activated, true, take_move},
        {LINK_STATE, "state", true, false, take_state},
    };

    return message_dispatch(routes, ARRAY_LENGTH(routes), delivery, message);
}

static void handle_messenger(void *user, int fd, uint32_t epoll_events UNUSED)
{
    struct delivery *delivery = user;
    struct message message;
    int r;

    do {
        r = message_receive(fd, delivery->buffer, sizeof delivery->buffer, &message);
        if (r == 1)
            r = take_message(delivery, &message) < 0 ? -EPROTO : 1;
    } while (r == 1 && delivery->socket == fd);
    explicit_bzero(delivery->buffer, sizeof delivery->buffer);
    if (r == -EAGAIN || r == 1 || delivery->socket != fd)
        return;
    if (delivery->configured)
        restart_later(delivery, r);
    else
        restart_messenger(delivery); /* it has said goodbye */
}

/* ---- where the console is ---- */

static void leave_console(struct delivery *delivery)
{
    const struct link_state state = {.code = LINK_STATE_DEACTIVATED,
                                     .text = "deactivated by the console"};

    delivery->leaving = false;
    forget_identity(delivery);
    record(delivery, "deactivated", EVENT_MEDIUM, delivery->settings.url, NULL);
    drop_policy(delivery);
    restart_messenger(delivery); /* it ends: nothing is left to show */
    note_state(delivery, &state);
}

/* An order from another thread, and its answer. */
struct order {
    struct delivery *delivery;
    const struct link_settings *settings; /* NULL: leave */
    const struct link_token *token;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int result;
};

/* A console that refuses us, or has deactivated us, may be given another token; it is shown the old
 * certificate too, so that the computer keeps its history. */
static bool is_accepted(struct delivery *delivery)
{
    (void)pthread_mutex_lock(&delivery->lock);
    enum link_state_code code = delivery->status.state.code;
    (void)pthread_mutex_unlock(&delivery->lock);
    return code != LINK_STATE_REFUSED && code != LINK_STATE_DEACTIVATED;
}

static int meet_console(struct delivery *delivery, const struct order *order)
{
    struct link_settings settings = *order->settings;

    host_facts_fill(&settings);
    bool same = text_equal(settings.url, delivery->settings.url);
    if (delivery->activated && same && is_accepted(delivery))
        return -EALREADY;
    int r = console_files_write_token(delivery->files, order->token);
    if (r == 0)
        r = console_files_write_console(delivery->files, &settings);
    if (r < 0)
        return r;
    if (!same)
        forget_identity(delivery);
    delivery->settings = settings;
    delivery->token = *order->token;
    delivery->has_token = delivery->configured = true;
    note_status(delivery);
    note_state(delivery, &(struct link_state){.code = LINK_STATE_ACTIVATING});
    restart_messenger(delivery);
    return 0;
}

/* It tells the console, and ends; without delay when there is nobody to tell. */
static void end_messenger(struct delivery *delivery, bool activated)
{
    if (activated && delivery->socket >= 0 && link_send_plain(delivery->socket, LINK_LEAVE) == 0)
        event_timer_start(delivery->restart, GOODBYE_NS, 0);
    else
        restart_messenger(delivery);
}

static int forget_console(struct delivery *delivery)
{
    const struct link_settings nowhere = {.url = ""};
    bool activated = delivery->activated;

    console_files_remove_token(delivery->files);
    explicit_bzero(&delivery->token, sizeof delivery->token);
    delivery->has_token = false;
    delivery->configured = delivery->leaving = false;
    forget_identity(delivery);
    delivery->settings = nowhere;
    int r = console_files_write_console(delivery->files, &nowhere);
    drop_policy(delivery);
    end_messenger(delivery, activated);
    note_status(delivery);
    note_state(delivery, &(struct link_state){.code = LINK_STATE_IDLE});
    return r;
}

static void obey(void *user)
{
    struct order *order = user;

    int r = order->settings != NULL ? meet_console(order->delivery, order)
                                    : forget_console(order->delivery);
    (void)pthread_mutex_lock(&order->lock);
    order->result = r;
    order->done = true;
    (void)pthread_cond_signal(&order->changed);
    (void)pthread_mutex_unlock(&order->lock);
}

static int give_order(struct delivery *delivery, struct order *order)
{
    order->delivery = delivery;
    (void)pthread_mutex_init(&order->lock, NULL);
    (void)pthread_cond_init(&order->changed, NULL);
    int r = event_loop_post(delivery->loop, obey, order);
    (void)pthread_mutex_lock(&order->lock);
    while (r == 0 && !order->done)
        (void)pthread_cond_wait(&order->changed, &order->lock);
    (void)pthread_mutex_unlock(&order->lock);
    (void)pthread_cond_destroy(&order->changed);
    (void)pthread_mutex_destroy(&order->lock);
    return r < 0 ? r : order->result;
}

int delivery_activate(struct delivery *delivery, const struct link_settings *settings,
                      const struct link_token *token)
{
    struct order order = {.settings = settings, .token = token};

    return give_order(delivery, &order);
}

int delivery_deactivate(struct delivery *delivery)
{
    struct order order = {.settings = NULL};

    return give_order(delivery, &order);
}

void delivery_status(struct delivery *delivery, struct delivery_status *ret_status)
{
    (void)pthread_mutex_lock(&delivery->lock);
    *ret_status = delivery->status;
    (void)pthread_mutex_unlock(&delivery->lock);
}

void delivery_policy_path(const char *state_directory, char path[static LINK_TEXT_BYTES])
{
    AUTO_FREE struct console_orders *orders = calloc(1, sizeof *orders);
    struct console_files *files = NULL;

    path[0] = '\0';
    if (orders != NULL && console_files_open(state_directory, &files) == 0 &&
        console_files_read_orders(files, orders) == 0)
        (void)text_copy(path, LINK_TEXT_BYTES, orders->policy_path);
    (void)console_files_close(files);
}

/* ---- start and end ---- */

/* A file that is there and cannot be read is told; the host goes on without what was in it. */
static bool is_read(struct delivery *delivery, const char *name, int result)
{
    if (result < 0 && result != -ENOENT)
        record(delivery, "console_file_unreadable", EVENT_HIGH, name,
               "when the host does not come back to its console: yaguractl activate");
    return result == 0;
}

static void read_files(struct delivery *delivery)
{
    struct console_files *files = delivery->files;

    delivery->configured =
        is_read(delivery, "console.json", console_files_read_console(files, &delivery->settings)) &&
        delivery->settings.url[0] != '\0';
    delivery->has_token =
        is_read(delivery, "token.json", console_files_read_token(files, &delivery->token));
    (void)is_read(delivery, "orders.json", console_files_read_orders(files, &delivery->orders));
    delivery->activated = is_read(delivery, "identity.json",
                                  console_files_read_identity(files, &delivery->identity)) &&
                          is_read(delivery, "identity.json", use_identity(delivery));
    signed_policy_sweep(console_files_directory(files), delivery->orders.policy_path);
    host_facts_fill(&delivery->settings);
    note_status(delivery);
}

static void *run(void *user)
{
    struct delivery *delivery = user;

    restart_messenger(delivery);
    event_timer_start(delivery->news, NEWS_INTERVAL_NS, NEWS_INTERVAL_NS);
    (void)!event_loop_run(delivery->loop);
    close_messenger(delivery);
    return NULL;
}

static struct delivery *free_delivery(struct delivery *delivery)
{
    (void)commands_free(delivery->commands);
    (void)event_timer_free(delivery->restart);
    (void)event_timer_free(delivery->news);
    (void)event_loop_free(delivery->loop);
    (void)console_files_close(delivery->files);
    buffer_done(&delivery->beat.facts);
    (void)pthread_mutex_destroy(&delivery->lock);
    explicit_bzero(delivery, sizeof *delivery);
    free(delivery);
    return NULL;
}

static int prepare(struct delivery *delivery)
{
    const struct command_context context = {
        .pipeline = delivery->options.pipeline,
        .responder = delivery->options.responder,
        .heartbeat = want_heartbeat,
        .deactivate = want_leave,
        .done = command_done,
        .user = delivery,
    };

    int r = text_copy(delivery->messenger_program, sizeof delivery->messenger_program,
                      delivery->options.messenger_program);
    if (r == 0)
        r = console_files_open(delivery->options.state_directory, &delivery->files);
    if (r == 0)
        r = event_loop_new(&delivery->loop);
    if (r == 0)
        r = event_timer_new(delivery->loop, restart_messenger, delivery, &delivery->restart);
    if (r == 0)
        r = event_timer_new(delivery->loop, look_for_news, delivery, &delivery->news);
    if (r == 0)
        r = commands_new(&context, &delivery->commands);
    return r;
}

int delivery_start(const struct delivery_options *options, struct delivery **ret_delivery)
{
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (delivery == NULL)
        return -ENOMEM;
    delivery->options = *options;
    delivery->socket = -1;
    (void)pthread_mutex_init(&delivery->lock, NULL);
    int r = prepare(delivery);
    if (r == 0) {
        read_files(delivery);
        r = -pthread_create(&delivery->thread, NULL, run, delivery);
    }
    if (r < 0) {
        (void)free_delivery(delivery);
        return r;
    }
    *ret_delivery = delivery;
    return 0;
}

struct delivery *delivery_stop(struct delivery *delivery)
{
    if (delivery == NULL)
        return NULL;
    event_loop_stop(delivery->loop);
    (void)pthread_join(delivery->thread, NULL);
    return free_delivery(delivery);
}
