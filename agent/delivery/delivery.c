/* Start and end of the delivery, its status and its events. */
#include "agent/delivery/delivery_internal.h"

#include "agent/delivery/host_binding.h"
#include "agent/delivery/host_facts.h"
#include "agent/store/store.h"
#include "common/crypto/certificates.h"
#include "common/event_loop/event_loop.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define NEWS_INTERVAL_NS (1 * NS_PER_SECOND)

bool delivery_asks_cloud(const struct delivery *delivery)
{
    return !delivery->activated && !delivery->has_token &&
           cloud_access_has_parameters(delivery->cloud);
}

void delivery_note_status(struct delivery *delivery)
{
    bool asks = delivery_asks_cloud(delivery);

    (void)pthread_mutex_lock(&delivery->lock);
    delivery->status.configured = delivery->configured || asks;
    delivery->status.activated = delivery->activated;
    (void)text_copy(delivery->status.url, sizeof delivery->status.url, delivery->settings.url);
    (void)text_copy(delivery->status.agent_id, sizeof delivery->status.agent_id,
                    delivery->activated ? delivery->identity.agent_id : "");
    (void)pthread_mutex_unlock(&delivery->lock);
}

/* One line for each change. Of an offline state without a text nothing is known yet. */
static void log_state(const struct link_state *before, const struct link_state *now)
{
    bool was_known = before->code != LINK_STATE_OFFLINE || before->text[0] != '\0';

    if (now->code == before->code && was_known)
        return;
    if (now->code == LINK_STATE_ONLINE)
        log_event(LOG_LEVEL_INFO, "console_answers", NULL);
    else if (now->code == LINK_STATE_OFFLINE && now->text[0] != '\0')
        log_warning("console_silent", "problem", now->text, "effect",
                    "events are kept until it answers", NULL);
    else if (now->code == LINK_STATE_REFUSED)
        log_warning("console_refuses", "problem", now->text, NULL);
}

void delivery_note_state(struct delivery *delivery, const struct link_state *state)
{
    struct link_state before;

    (void)pthread_mutex_lock(&delivery->lock);
    before = delivery->status.state;
    delivery->status.state = *state;
    (void)pthread_mutex_unlock(&delivery->lock);
    log_state(&before, state);
}

void delivery_record(struct delivery *delivery, const char *kind, enum event_severity severity,
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

void delivery_refuse_order(struct delivery *delivery, const char *what, int error, const char *why)
{
    delivery_record(delivery, "order_refused", EVENT_HIGH, what,
                    why != NULL && why[0] != '\0' ? why
                    : error == -EACCES ? "it is not signed by the console for this computer"
                    : error == -ETIME  ? "it has expired: check the clocks of host and console"
                                       : log_error_text(error));
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
        delivery_record(delivery, "console_file_unreadable", EVENT_HIGH, name,
                        "when the host does not come back to its console: yaguractl activate");
    return result == 0;
}

/* A host that was away for longer than its certificate was valid, and may have another: the old one
 * stays in its file, in case it is the clock that is wrong. */
static bool may_begin_anew(const struct delivery *delivery)
{
    const char *pem = delivery->identity.certificate;
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int64_t from_s, until_s;

    return cloud_access_has_parameters(delivery->cloud) &&
           certificate_from_pem(pem, strlen(pem), &certificate) == 0 &&
           certificate_validity(certificate, &from_s, &until_s) == 0 &&
           (uint64_t)until_s < clock_realtime_ns() / NS_PER_SECOND;
}

/* A board that is not known yet, as after an upgrade of the agent, is the identity's from now on.
 */
static void check_binding(struct delivery *delivery)
{
    char board[64];

    host_facts_board(board);
    enum host_binding binding = host_binding_check(&delivery->orders, board);
    if (binding == HOST_BINDING_BROKEN)
        delivery_record(delivery, "identity_of_other_host", EVENT_HIGH, delivery->identity.agent_id,
                        "this host has the identity of another machine; it asks the console for "
                        "its own");
    if (binding != HOST_BINDING_HOLDS &&
        console_files_write_orders(delivery->files, &delivery->orders) < 0)
        log_warning("orders_not_kept", NULL);
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
                          is_read(delivery, "identity.json", identity_use(delivery));
    if (delivery->activated && may_begin_anew(delivery)) {
        delivery_record(delivery, "certificate_over", EVENT_MEDIUM, delivery->identity.agent_id,
                        "Parameter Store is asked for another activation");
        delivery->activated = false;
    }
    signed_policy_sweep(console_files_directory(files), delivery->orders.policy_path);
    host_facts_fill(&delivery->settings);
    if (delivery->activated)
        check_binding(delivery);
    host_binding_apply(&delivery->orders, &delivery->settings);
    delivery_note_status(delivery);
}

static void *run(void *user)
{
    struct delivery *delivery = user;

    messenger_process_restart(delivery);
    command_delivery_resume(delivery);
    event_timer_start(delivery->news, NEWS_INTERVAL_NS, NEWS_INTERVAL_NS);
    (void)!event_loop_run(delivery->loop);
    messenger_process_close(delivery);
    return NULL;
}

static struct delivery *free_delivery(struct delivery *delivery)
{
    (void)commands_free(delivery->commands);
    (void)command_results_close(delivery->results);
    signature_delivery_free(delivery);
    (void)event_timer_free(delivery->restart);
    (void)event_timer_free(delivery->news);
    (void)event_loop_free(delivery->loop);
    (void)cloud_access_free(delivery->cloud);
    (void)console_files_close(delivery->files);
    buffer_done(&delivery->beat.facts);
    (void)pthread_mutex_destroy(&delivery->lock);
    explicit_bzero(delivery, sizeof *delivery);
    free(delivery);
    return NULL;
}

static int prepare(struct delivery *delivery)
{
    int r = text_format(delivery->messenger_program, sizeof delivery->messenger_program,
                        "%s/yagura-messenger", delivery->options.program_directory);
    if (r > 0)
        r = console_files_open(delivery->options.state_directory, &delivery->files);
    if (r == 0)
        r = cloud_access_new(delivery->options.cloud, delivery->files, &delivery->cloud);
    delivery->options.cloud = NULL; /* the caller's */
    if (r == 0)
        r = event_loop_new(&delivery->loop);
    if (r == 0)
        r = event_timer_new(delivery->loop, messenger_process_restart, delivery,
                            &delivery->restart);
    if (r == 0)
        r = event_timer_new(delivery->loop, heartbeats_look_for_news, delivery, &delivery->news);
    if (r == 0)
        r = command_delivery_new(delivery);
    if (r == 0)
        r = signature_delivery_new(delivery);
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
