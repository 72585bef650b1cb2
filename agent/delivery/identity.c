/* Who this host is to its console.
 *
 * Owns: the identity, its file, and the key that orders are judged by. Must not: take a new key
 * from a messenger that has no token to show for it. */
#include "agent/delivery/delivery_internal.h"

#include "agent/delivery/host_facts.h"
#include "common/crypto/keys.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/console_keys.h"

#include <errno.h>
#include <string.h>

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
    orders->begun_ms = clock_realtime_ns() / NS_PER_MS;
    host_facts_board(orders->board);
    orders->group_id[0] = '\0';
    orders->group_issued_ms = 0;
    orders->seen_count = 0;
    delivery->policy_problem[0] = delivery->policy_refused[0] = '\0';
}

int identity_use(struct delivery *delivery)
{
    AUTO_KEY EVP_PKEY *key = NULL;

    int r = key_from_public_text(delivery->identity.signing_key, &key);
    if (r == 0)
        begin_orders(delivery);
    return r;
}

/* The key that policies and commands are judged by changes only while root has a token to spend, or
 * knows that Parameter Store has one, and the name by a word of that key too: a messenger that was
 * taken over cannot bring its own. It may still have the key before. */
static bool may_become(const struct delivery *delivery, const struct link_identity *identity)
{
    bool known = text_equal(identity->signing_key, delivery->identity.signing_key) ||
                 text_equal(identity->signing_key, delivery->orders.previous_key);
    bool named = text_equal(identity->agent_id, delivery->identity.agent_id) ||
                 text_equal(identity->agent_id, delivery->successor);

    return delivery->has_token || delivery_asks_cloud(delivery) ||
           (delivery->activated && known && named);
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
    delivery_record(delivery, "console_key_changed", EVENT_INFO, delivery->settings.url,
                    r < 0 ? log_error_text(r) : NULL);
}

/* The key that a document must be signed with, after the successors it tells of. */
int identity_judge_key(struct delivery *delivery, const char *document, size_t length,
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

static int keep_identity(struct delivery *delivery, bool renewal)
{
    int r = console_files_write_orders(delivery->files, &delivery->orders);
    if (r == 0)
        r = console_files_write_identity(delivery->files, &delivery->identity);
    if (r < 0)
        delivery_record(delivery, "identity_not_kept", EVENT_HIGH, delivery->identity.agent_id,
                        renewal ? "make room on the disk of the state directory: the certificate "
                                  "cannot be renewed, and the one before stays in use"
                                : "make room on the disk of the state directory: after a restart "
                                  "this host must activate again");
    return r;
}

static void spend_token(struct delivery *delivery)
{
    console_files_remove_token(delivery->files);
    explicit_bzero(&delivery->token, sizeof delivery->token);
    delivery->has_token = false;
}

/* A renewed certificate that the disk does not have is not used: the console forgets the one before
 * as soon as it sees the new one. A first one is, because its token may be spent. */
static int become(struct delivery *delivery, const struct link_identity *identity, bool renewal)
{
    struct link_identity before = delivery->identity;

    delivery->identity = *identity;
    int r = identity_use(delivery);
    int kept = r == 0 ? keep_identity(delivery, renewal) : r;
    if (kept == 0 && delivery->has_token)
        spend_token(delivery);
    if (kept < 0 && renewal)
        r = kept;
    if (r < 0)
        delivery->identity = before;
    explicit_bzero(&before, sizeof before);
    return r;
}

int identity_take(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_identity identity;
    bool renewal = !delivery->has_token && !delivery_asks_cloud(delivery);

    int r = link_read_identity(message, &identity);
    if (r == 0 && !may_become(delivery, &identity))
        r = -EPERM;
    if (r == 0 && renewal)
        (void)text_copy(identity.signing_key, sizeof identity.signing_key,
                        delivery->identity.signing_key);
    bool moved = renewal && r == 0 && !text_equal(identity.agent_id, delivery->identity.agent_id);
    if (r == 0)
        r = become(delivery, &identity, renewal && !moved);
    explicit_bzero(&identity, sizeof identity);
    if (r < 0)
        return r;
    delivery->activated = true;
    delivery->successor[0] = '\0';
    if (moved)
        delivery_record(delivery, "activated_as_copy", EVENT_MEDIUM, delivery->identity.agent_id,
                        "the console says that this host is a copy of another");
    else
        delivery_record(delivery, renewal ? "certificate_renewed" : "activated", EVENT_INFO,
                        delivery->settings.url, NULL);
    delivery_note_status(delivery);
    return 0;
}

void identity_forget(struct delivery *delivery)
{
    console_files_remove_identity(delivery->files);
    explicit_bzero(&delivery->identity, sizeof delivery->identity);
    delivery->activated = false;
    delivery_note_status(delivery);
}

/* This host is a copy of another, and the console has a name for it. */
int identity_take_move(void *user, struct message *message)
{
    struct delivery *delivery = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *document = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;
    size_t length;

    int r = link_read_document(fd, &document, &length);
    if (r == 0)
        r = identity_judge_key(delivery, document, length, &key);
    if (r == 0)
        r = console_keys_take_move(document, length, key, delivery->identity.agent_id,
                                   clock_realtime_ns() / NS_PER_MS, delivery->successor);
    return r;
}
