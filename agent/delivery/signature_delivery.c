/* Signatures from the console: the set that counts for this host, and the mirror's files in it.
 *
 * Owns: which set is in force, and the fetch of files, one piece at a time at the policy's rate.
 * Nothing of a document is looked at before its signature holds. Hands off: loading to the scanner,
 * which watches the folders; allowed contents to the responder. */
#include "agent/delivery/delivery_internal.h"

#include "agent/respond/responder.h"
#include "common/crypto/keys.h"
#include "common/crypto/random.h"
#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define FIRST_RETRY_NS (10 * NS_PER_SECOND)
#define MOST_RETRY_NS  (3600 * NS_PER_SECOND)
#define MOST_SHIFT     10
#define REFUSED_NS     (60 * NS_PER_SECOND) /* before a set that was refused is asked for again */
#define CLOCK_MS       600000ULL            /* by which the console's clock may be ahead */

/* --- what is told */

static void note(struct delivery *delivery)
{
    const struct signature_pull *pull = &delivery->pull;
    struct delivery_signatures *status = &delivery->status.signatures;
    const struct wire_mirror_file *missing = NULL;
    uint64_t offset = 0, newest_ms = 0;

    if (pull->wanted && pull->files != NULL)
        missing = mirror_files_missing(pull->files, &pull->set, &offset);
    for (size_t i = 0; i < pull->set.file_count; i++)
        newest_ms = MAX(newest_ms, pull->set.files[i].built_ms);
    (void)pthread_mutex_lock(&delivery->lock);
    (void)text_copy(status->digest, sizeof status->digest, pull->set.root ? pull->set.digest : "");
    (void)text_copy(status->file, sizeof status->file, missing != NULL ? missing->name : "");
    status->file_bytes = missing != NULL ? missing->size : 0;
    status->file_offset = offset;
    status->lists = pull->set.list_count;
    status->allowed = pull->set.allowed_count;
    status->files = pull->set.file_count;
    status->newest_ms = newest_ms;
    (void)text_copy(status->problem, sizeof status->problem, pull->problem);
    (void)pthread_mutex_unlock(&delivery->lock);
}

/* An event for each new problem, not for each try. */
static void complain(struct delivery *delivery, const char *kind, const char *subject,
                     const char *problem)
{
    struct signature_pull *pull = &delivery->pull;

    if (!text_equal(pull->problem, problem))
        delivery_record(delivery, kind, EVENT_HIGH, subject, problem);
    (void)text_copy(pull->problem, sizeof pull->problem, problem);
    note(delivery);
}

/* --- the mirror's files */

uint64_t signature_delivery_spread(uint64_t most_ns)
{
    uint64_t number = 0;

    if (most_ns == 0 || random_bytes(&number, sizeof number) < 0)
        return 0;
    return number % most_ns;
}

static void wait_for(struct signature_pull *pull, uint64_t delay_ns)
{
    pull->waits = true;
    event_timer_start(pull->timer, MAX(1, delay_ns), 0);
}

/* Full jitter over a doubling time; what the console asks for counts. */
static void try_later(struct delivery *delivery, uint64_t least_ns)
{
    struct signature_pull *pull = &delivery->pull;
    uint64_t most_ns = MIN(FIRST_RETRY_NS << MIN(pull->failures, MOST_SHIFT), MOST_RETRY_NS);

    if (pull->failures < UINT32_MAX)
        pull->failures++;
    wait_for(pull, least_ns + signature_delivery_spread(most_ns));
}

static void place_files(struct delivery *delivery)
{
    struct signature_pull *pull = &delivery->pull;

    int r = mirror_files_place(pull->files, &pull->set);
    if (r < 0) {
        complain(delivery, "signatures_not_fetched", delivery->settings.url,
                 r == -ENOSPC || r == -EDQUOT ? "make room on the disk of the state directory"
                                              : log_error_text(r));
        try_later(delivery, 0);
        return;
    }
    pull->problem[0] = '\0';
    pull->failures = 0;
    delivery_record(delivery, "signatures_fetched", EVENT_INFO, delivery->settings.url, NULL);
    note(delivery);
    messenger_process_hurry(delivery); /* whoever looks at the console sees it soon */
}

static void ask_piece(struct delivery *delivery, const struct wire_mirror_file *file,
                      uint64_t offset)
{
    struct signature_pull *pull = &delivery->pull;
    struct link_piece piece = {
        .offset = offset, .length = MIN(file->size - offset, (uint64_t)LIMIT_MIRROR_PIECE_BYTES)};

    (void)text_copy(piece.sha256, sizeof piece.sha256, file->sha256);
    pull->asked = link_send_want_piece(delivery->socket, &piece) == 0;
    if (!pull->asked)
        try_later(delivery, 0);
}

/* Nothing while the messenger has not answered, or does not run: the next heartbeat goes on. */
static void pull_more(struct delivery *delivery)
{
    struct signature_pull *pull = &delivery->pull;
    uint64_t offset = 0;

    if (!pull->wanted || pull->files == NULL || pull->set.root == NULL || pull->asked ||
        delivery->socket < 0 || !delivery->activated || mirror_files_have(pull->files, &pull->set))
        return;
    const struct wire_mirror_file *older = mirror_files_older(pull->files, &pull->set);
    if (older != NULL) {
        complain(delivery, "signatures_refused", older->name,
                 "the console's are older than what this host has; they stay");
        return;
    }
    const struct wire_mirror_file *file = mirror_files_missing(pull->files, &pull->set, &offset);
    if (file == NULL)
        place_files(delivery);
    else
        ask_piece(delivery, file, offset);
}

static void waited(void *user)
{
    struct delivery *delivery = user;

    delivery->pull.waits = false;
    pull_more(delivery);
}

static const struct wire_mirror_file *find_file(const struct signature_pull *pull,
                                                const char *sha256)
{
    for (size_t i = 0; i < pull->set.file_count; i++)
        if (text_equal(pull->set.files[i].sha256, sha256))
            return &pull->set.files[i];
    return NULL;
}

static void take_bytes(struct delivery *delivery, const struct wire_mirror_file *file,
                       const struct link_piece *piece, const char *bytes, size_t length)
{
    struct signature_pull *pull = &delivery->pull;

    int r = mirror_files_append(pull->files, file, piece->offset, bytes, length);
    if (r == 0) {
        pull->failures = 0;
        pull->problem[0] = '\0';
        note(delivery);
        wait_for(pull, length * NS_PER_SECOND / MAX(pull->bytes_per_second, 1));
        return;
    }
    if (r == -EBADMSG)
        complain(delivery, "signatures_refused", file->name,
                 "it is not the file that the console signed; it is fetched again");
    else if (r != -EPROTO) /* of an earlier file, or of an earlier messenger */
        complain(delivery, "signatures_not_fetched", file->name,
                 r == -ENOSPC || r == -EDQUOT ? "make room on the disk of the state directory"
                                              : log_error_text(r));
    try_later(delivery, 0);
}

int signature_delivery_take_piece(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct signature_pull *pull = &delivery->pull;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *bytes = NULL;
    struct link_piece piece;
    size_t length = 0;

    int r = link_read_piece(message, &piece);
    if (r == 0 && !pull->asked)
        r = -EPROTO;
    if (r == 0 && piece.delivered)
        r = link_read_document(fd, &bytes, &length);
    if (r < 0)
        return r;
    pull->asked = false;
    const struct wire_mirror_file *file = find_file(pull, piece.sha256);
    if (file == NULL || !pull->wanted) {
        pull_more(delivery); /* there is another set meanwhile */
    } else if (piece.delivered) {
        take_bytes(delivery, file, &piece, bytes, length);
    } else {
        complain(delivery, "signatures_not_fetched", file->name,
                 piece.problem[0] != '\0' ? piece.problem : "the console does not answer");
        try_later(delivery, piece.retry_after_ns);
    }
    return 0;
}

/* --- the set */

static void use_allowed(struct delivery *delivery)
{
    const struct wire_signatures *set = &delivery->pull.set;

    int r = responder_set_allowed(delivery->options.responder, set->allowed, set->allowed_count);
    if (r < 0)
        log_error("allowed_contents_not_set", "error", log_error_text(r), NULL);
}

int signature_delivery_judge(const struct wire_signatures *had, const struct wire_signatures *set,
                             const char *agent_id, const char **ret_why)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;

    if (!text_equal(set->agent_id, agent_id)) {
        *ret_why = "the signatures were signed for another computer";
        return -EACCES;
    }
    if (set->expires_ms < now_ms) {
        *ret_why = "they have expired: check the clocks of host and console";
        return -ETIME;
    }
    /* A console whose clock was ahead once would be locked out until then. */
    if (had->root != NULL && text_equal(had->agent_id, set->agent_id) &&
        had->issued_ms <= now_ms + CLOCK_MS && set->issued_ms < had->issued_ms) {
        *ret_why = "they are older than those in force";
        return -EALREADY;
    }
    return 0;
}

/* Where nothing is in place yet nobody waits for a jitter: the host is not protected. */
static void begin_pull(struct delivery *delivery)
{
    struct signature_pull *pull = &delivery->pull;
    if (!pull->wanted || pull->files == NULL)
        return;
    bool first = mirror_files_count(pull->files) == 0;
    pull->failures = 0;
    wait_for(pull, first ? 0 : signature_delivery_spread(pull->jitter_ns));
}

static int put_in_force(struct delivery *delivery, struct wire_signatures *set, const char *text)
{
    struct signature_pull *pull = &delivery->pull;

    int r = console_lists_put(delivery->options.state_directory, set, text);
    if (r < 0)
        return r;
    wire_signatures_done(&pull->set);
    pull->set = *set;
    *set = (struct wire_signatures){.root = NULL};
    pull->problem[0] = '\0';
    use_allowed(delivery);
    delivery_record(delivery, "signatures_assigned", EVENT_INFO, pull->set.digest, NULL);
    begin_pull(delivery);
    note(delivery);
    messenger_process_hurry(delivery);
    return 0;
}

int signature_delivery_take(void *user, struct message *message)
{
    struct delivery *delivery = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    AUTO_FREE char *document = NULL;
    AUTO_KEY EVP_PKEY *key = NULL;
    struct wire_signatures set = {.root = NULL};
    struct wire_problem problem = {.text = "the signatures are not signed by the console"};
    const char *text = NULL, *why = problem.text;
    json_t *root = NULL;
    size_t length;

    int r = link_read_document(fd, &document, &length);
    if (r < 0 || !delivery->activated)
        return r;
    r = identity_judge_key(delivery, document, length, &key);
    if (r == 0)
        r = wire_signed_decode(document, length, key, &root, &text, &problem);
    if (r == 0)
        r = wire_signatures_decode(text, &set, &problem);
    if (r == 0)
        r = signature_delivery_judge(&delivery->pull.set, &set, delivery->identity.agent_id, &why);
    if (r == 0) {
        r = put_in_force(delivery, &set, text);
        why = r == -ENOSPC || r == -EDQUOT ? "make room on the disk of the state directory"
                                           : log_error_text(r);
    }
    if (r < 0 && !text_equal(delivery->pull.problem, why))
        delivery_refuse_order(delivery, "signatures", r, why);
    if (r < 0) {
        (void)text_copy(delivery->pull.problem, sizeof delivery->pull.problem, why);
        delivery->pull.again_ns = clock_monotonic_ns() + REFUSED_NS;
        note(delivery);
    }
    wire_signatures_done(&set);
    json_decref(root);
    return 0;
}

int signature_delivery_compare(struct delivery *delivery, const char *digest)
{
    struct signature_pull *pull = &delivery->pull;

    if (digest[0] == '\0' || (pull->set.root != NULL && text_equal(pull->set.digest, digest) &&
                              text_equal(pull->set.agent_id, delivery->identity.agent_id))) {
        if (!pull->waits)
            pull_more(delivery); /* after a messenger's end */
        return 0;
    }
    if (clock_monotonic_ns() < pull->again_ns)
        return 0;
    return link_send_plain(delivery->socket, LINK_WANT_SIGNATURES);
}

void signature_delivery_drop(struct delivery *delivery)
{
    struct signature_pull *pull = &delivery->pull;

    event_timer_stop(pull->timer);
    pull->waits = false;
    console_lists_remove(delivery->options.state_directory);
    wire_signatures_done(&pull->set);
    pull->problem[0] = '\0';
    pull->asked = false;
    use_allowed(delivery);
    note(delivery);
}

/* --- start, end, policy */

static void obey(void *user)
{
    struct delivery *delivery = user;
    struct signature_pull *pull = &delivery->pull;

    (void)pthread_mutex_lock(&delivery->lock);
    const struct delivery_mirror mirror = delivery->mirror;
    (void)pthread_mutex_unlock(&delivery->lock);
    bool begins = mirror.wanted && !pull->wanted;
    pull->wanted = mirror.wanted;
    pull->bytes_per_second = mirror.bytes_per_second;
    pull->jitter_ns = mirror.jitter_ns;
    if (begins)
        begin_pull(delivery);
    note(delivery);
}

void delivery_set_mirror(struct delivery *delivery, const struct delivery_mirror *mirror)
{
    (void)pthread_mutex_lock(&delivery->lock);
    delivery->mirror = *mirror;
    (void)pthread_mutex_unlock(&delivery->lock);
    if (event_loop_post(delivery->loop, obey, delivery) < 0)
        log_error("mirror_policy_not_noted", "error", log_error_text(-ENOMEM), NULL);
}

int signature_delivery_new(struct delivery *delivery)
{
    struct signature_pull *pull = &delivery->pull;

    int r = event_timer_new(delivery->loop, waited, delivery, &pull->timer);
    if (r < 0)
        return r;
    r = mirror_files_open(delivery->options.state_directory, &pull->files);
    if (r < 0) /* no reason to leave the host without protection */
        complain(delivery, "signatures_not_fetched", MIRROR_FILES_FOLDER, log_error_text(r));
    r = console_lists_read(delivery->options.state_directory, &pull->set);
    if (r < 0 && r != -ENOENT)
        log_warning("signatures_unreadable", "error", log_error_text(r), "now",
                    "the console sends them again", NULL);
    return 0;
}

void signature_delivery_free(struct delivery *delivery)
{
    struct signature_pull *pull = &delivery->pull;

    pull->timer = event_timer_free(pull->timer);
    pull->files = mirror_files_close(pull->files);
    wire_signatures_done(&pull->set);
}
