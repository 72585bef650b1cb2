/* Which console this host belongs to: joining one, leaving it, being sent away by it. */
#include "agent/delivery/delivery_internal.h"

#include "agent/delivery/host_binding.h"
#include "agent/delivery/host_facts.h"
#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

/* Who was told to leave does not come back by itself. */
static void end_cloud(struct delivery *delivery)
{
    if (cloud_access_leave(delivery->cloud) < 0)
        delivery_record(delivery, "leave_not_kept", EVENT_HIGH, delivery->settings.url,
                        "make room on the disk of the state directory");
}

void console_choice_leave(struct delivery *delivery)
{
    const struct link_state state = {.code = LINK_STATE_DEACTIVATED,
                                     .text = "deactivated by the console"};

    delivery->leaving = false;
    end_cloud(delivery);
    identity_forget(delivery);
    delivery_record(delivery, "deactivated", EVENT_MEDIUM, delivery->settings.url, NULL);
    policy_delivery_drop(delivery);
    signature_delivery_drop(delivery);
    messenger_process_restart(delivery); /* it ends: nothing is left to show */
    delivery_note_state(delivery, &state);
}

/* ---- Parameter Store ---- */

int console_choice_take_want_files(void *user, struct message *message UNUSED)
{
    const struct delivery *delivery = user;

    return cloud_access_send_files(delivery->cloud, delivery->socket);
}

/* Where the console is, while Parameter Store is to say so; otherwise only which instance this is.
 * What the firmware says of that stands above it. */
int console_choice_take(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_settings found = delivery->settings;

    int r = link_read_console(message, &found);
    if (r < 0)
        return r;
    if (delivery->settings.instance_id[0] != '\0')
        (void)text_copy(found.instance_id, sizeof found.instance_id,
                        delivery->settings.instance_id);
    if (delivery_asks_cloud(delivery)) {
        delivery->settings = found;
        delivery->configured = true;
    }
    (void)text_copy(delivery->settings.instance_id, sizeof delivery->settings.instance_id,
                    found.instance_id);
    r = console_files_write_console(delivery->files, &delivery->settings);
    if (r < 0)
        log_warning("console_not_kept", "error", log_error_text(r), NULL);
    delivery_note_status(delivery);
    return 0;
}

/* ---- orders ---- */

/* An order from another thread, and its answer. */
struct order {
    struct delivery *delivery;
    const struct link_settings *settings; /* NULL without cloud: leave */
    const struct link_token *token;
    const struct link_cloud *cloud;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done;
    int result;
    char problem[LINK_TEXT_BYTES]; /* why the console was not told; "" = it was, or there is none */
};

static void settle_order(struct order *order)
{
    (void)pthread_mutex_lock(&order->lock);
    order->done = true;
    (void)pthread_cond_signal(&order->changed);
    (void)pthread_mutex_unlock(&order->lock);
}

/* A console that refuses us, or has deactivated us, may be given another token; it is shown the old
 * certificate too, so that the computer keeps its history. */
static bool is_accepted(struct delivery *delivery)
{
    (void)pthread_mutex_lock(&delivery->lock);
    enum link_state_code code = delivery->status.state.code;
    (void)pthread_mutex_unlock(&delivery->lock);
    return code != LINK_STATE_REFUSED && code != LINK_STATE_DEACTIVATED;
}

/* All that may change of a console that is the same. -EALREADY: nothing else does. */
static int change_proxy(struct delivery *delivery, const char *proxy)
{
    if (text_equal(proxy, delivery->settings.proxy))
        return -EALREADY;
    (void)text_copy(delivery->settings.proxy, sizeof delivery->settings.proxy, proxy);
    int r = console_files_write_console(delivery->files, &delivery->settings);
    messenger_process_restart(delivery);
    return r < 0 ? r : -EALREADY;
}

static int meet_console(struct delivery *delivery, const struct order *order)
{
    struct link_settings settings = *order->settings;

    host_facts_fill(&settings);
    host_binding_apply(&delivery->orders, &settings);
    bool same = text_equal(settings.url, delivery->settings.url);
    if (delivery->activated && same && is_accepted(delivery))
        return change_proxy(delivery, settings.proxy);
    int r = console_files_write_token(delivery->files, order->token);
    if (r == 0)
        r = console_files_write_console(delivery->files, &settings);
    if (r == 0)
        r = cloud_access_settle(delivery->cloud);
    if (r < 0)
        return r;
    if (!same)
        identity_forget(delivery);
    delivery->settings = settings;
    delivery->token = *order->token;
    delivery->has_token = delivery->configured = true;
    delivery_note_status(delivery);
    delivery_note_state(delivery, &(struct link_state){.code = LINK_STATE_ACTIVATING});
    messenger_process_restart(delivery);
    return 0;
}

static int meet_cloud(struct delivery *delivery, const struct order *order)
{
    struct link_settings settings = {.url = ""};

    if (delivery->activated && is_accepted(delivery))
        return -EALREADY;
    int r = cloud_access_order(delivery->cloud, order->cloud);
    if (r < 0)
        return r;
    host_facts_fill(&settings);
    host_binding_apply(&delivery->orders, &settings);
    delivery->settings = settings;
    console_files_remove_token(delivery->files);
    explicit_bzero(&delivery->token, sizeof delivery->token);
    delivery->has_token = false;
    identity_forget(delivery);
    delivery_note_state(delivery, &(struct link_state){.code = LINK_STATE_ACTIVATING});
    messenger_process_restart(delivery);
    return 0;
}

/* A state without a text may be that of a heartbeat under way: it says nothing of the goodbye. */
void console_choice_take_goodbye(struct delivery *delivery, const struct link_state *state)
{
    if (state->code == LINK_STATE_DEACTIVATED)
        delivery->goodbye->problem[0] = '\0';
    else if (state->text[0] != '\0')
        (void)text_copy(delivery->goodbye->problem, sizeof delivery->goodbye->problem, state->text);
}

void console_choice_end_goodbye(struct delivery *delivery)
{
    if (delivery->goodbye != NULL)
        settle_order(delivery->goodbye);
    delivery->goodbye = NULL;
}

/* It tells the console, and ends; without delay when there is nobody to tell. Who gave the order
 * has its answer when it has ended. */
static void end_messenger(struct delivery *delivery, struct order *order, bool activated)
{
    if (!activated || delivery->socket < 0 || link_send_plain(delivery->socket, LINK_LEAVE) < 0) {
        messenger_process_restart(delivery);
        return;
    }
    (void)text_format(order->problem, sizeof order->problem, "it did not answer within %u seconds",
                      (unsigned)(GOODBYE_NS / NS_PER_SECOND));
    delivery->goodbye = order;
    event_timer_start(delivery->restart, GOODBYE_NS, 0);
}

static int forget_console(struct delivery *delivery, struct order *order)
{
    const struct link_settings nowhere = {.url = ""};
    bool activated = delivery->activated;

    if (delivery->goodbye != NULL)
        return -EALREADY;
    console_files_remove_token(delivery->files);
    explicit_bzero(&delivery->token, sizeof delivery->token);
    delivery->has_token = false;
    delivery->configured = delivery->leaving = false;
    end_cloud(delivery);
    identity_forget(delivery);
    delivery->settings = nowhere;
    int r = console_files_write_console(delivery->files, &nowhere);
    policy_delivery_drop(delivery);
    signature_delivery_drop(delivery);
    end_messenger(delivery, order, activated);
    delivery_note_status(delivery);
    delivery_note_state(delivery, &(struct link_state){.code = LINK_STATE_IDLE});
    return r;
}

static void obey(void *user)
{
    struct order *order = user;

    int r;
    if (order->cloud != NULL)
        r = meet_cloud(order->delivery, order);
    else
        r = order->settings != NULL ? meet_console(order->delivery, order)
                                    : forget_console(order->delivery, order);
    order->result = r;
    if (order->delivery->goodbye != order)
        settle_order(order);
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

int delivery_activate_from_cloud(struct delivery *delivery, const struct link_cloud *cloud)
{
    struct order order = {.cloud = cloud};

    return give_order(delivery, &order);
}

int delivery_deactivate(struct delivery *delivery, char ret_problem[static LINK_TEXT_BYTES])
{
    struct order order = {.settings = NULL};

    int r = give_order(delivery, &order);
    (void)text_copy(ret_problem, LINK_TEXT_BYTES, order.problem);
    return r;
}
