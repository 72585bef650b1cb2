/* Policies on their way from the messenger to the modules.
 *
 * Owns: which delivered policy is in force, and why another was refused. Must not: apply one; the
 * main thread does, and says by a post what came of it. */
#include "agent/delivery/delivery_internal.h"

#include "common/crypto/keys.h"
#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/shortage.h"
#include "common/text/text.h"

#include <errno.h>

static void policy_applied(void *user)
{
    struct delivery *delivery = user;
    struct application *application = &delivery->application;
    const char *directory = console_files_directory(delivery->files);
    char old_path[LINK_TEXT_BYTES];

    application->waits = false;
    if (is_shortage(application->result)) { /* asked for again after the next heartbeat */
        (void)text_copy(delivery->policy_problem, sizeof delivery->policy_problem,
                        application->error.text);
        signed_policy_discard(directory, application->policy.path);
        return;
    }
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
        delivery_record(delivery, "orders_not_kept", EVENT_HIGH, delivery->orders.policy_path,
                        "make room on the disk of the state directory");
    else if (application->result == 0)
        signed_policy_discard(directory, old_path);
    messenger_process_hurry(delivery);
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
void policy_delivery_drop(struct delivery *delivery)
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
    messenger_process_hurry(delivery);
    if (error != -EALREADY)
        delivery_refuse_order(delivery, "policy", error, why->text);
}

/* The newest word counts; a console that moved this host says the same policy again. */
static void note_group(struct delivery *delivery, const struct delivered_policy *policy)
{
    struct console_orders *orders = &delivery->orders;

    if (policy->issued_ms <= orders->group_issued_ms)
        return;
    bool moved = orders->group_issued_ms == 0 || !text_equal(policy->group_id, orders->group_id);
    (void)text_copy(orders->group_id, sizeof orders->group_id, policy->group_id);
    orders->group_issued_ms = policy->issued_ms;
    if (moved && console_files_write_orders(delivery->files, orders) < 0)
        log_warning("orders_not_kept", NULL);
}

int policy_delivery_take(void *user, struct message *message)
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
    r = identity_judge_key(delivery, document, length, &key);
    if (r == 0)
        r = signed_policy_take(document, length, key, delivery->identity.agent_id,
                               &delivery->orders, console_files_directory(delivery->files), &policy,
                               &error);
    note_group(delivery, &policy);
    if (r == -EALREADY && text_equal(policy.digest, delivery->orders.policy_digest))
        return 0;
    if (r < 0)
        refuse_policy(delivery, r, &policy, &error);
    else
        request_policy(delivery, &policy);
    return 0;
}

static bool is_moved(const struct console_orders *orders, const struct link_beat_done *done)
{
    return done->has_group &&
           (orders->group_issued_ms == 0 || !text_equal(done->group_id, orders->group_id));
}

/* What this host should obey: asked for when it is not in force, unless it was refused already; and
 * when the group is another, which only a policy says signed. */
int policy_delivery_compare(struct delivery *delivery, const struct link_beat_done *done)
{
    const char *digest = done->policy_digest;
    bool moved = digest[0] != '\0' && is_moved(&delivery->orders, done);

    if (text_equal(digest, delivery->orders.policy_digest) || digest[0] == '\0') {
        delivery->policy_problem[0] = delivery->policy_refused[0] = '\0';
        if (!moved)
            return 0;
    }
    if (delivery->application.waits || (!moved && text_equal(digest, delivery->policy_refused)))
        return 0;
    return link_send_plain(delivery->socket, LINK_WANT_POLICY);
}
