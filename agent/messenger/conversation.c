/* When to say what to the console.
 *
 * Owns: the identity and the token while they are in use, the time of the next try, the state that
 * `yaguractl status` shows. Must not own: any file. Hands off: identities, acknowledgements and
 * signed documents to root, unjudged. */
#include "agent/messenger/conversation.h"

#include "agent/messenger/cloud_source.h"
#include "agent/messenger/console_client.h"
#include "agent/messenger/delay.h"
#include "agent/messenger/link.h"
#include "agent/messenger/news_wait.h"
#include "common/log/log.h"
#include "common/messages/message.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

#define DEFAULT_INTERVAL_NS (60 * NS_PER_SECOND)
#define URGENT_GAP_NS       (1 * NS_PER_SECOND)  /* between heartbeats that cannot wait */
#define BEAT_WAIT_NS        (60 * NS_PER_SECOND) /* for root to write a heartbeat */
#define CLOCKS_APART_MS     600000ULL            /* from here on one of both is wrong */

struct conversation {
    int link;
    bool configured, has_token, activated;
    bool asked;  /* root writes a heartbeat */
    bool urgent; /* something happened since the last heartbeat was written */
    bool halted; /* only root can change anything: refused, or deactivated */
    bool clocks_apart;
    struct link_settings settings;
    struct link_identity identity;
    struct link_token token;
    struct cloud_source *cloud;    /* NULL: root said nothing of AWS */
    bool by_parameters;            /* url and token are Parameter Store's */
    bool wants_files;              /* root opens files for it */
    struct console_client *client; /* for the identity there is, or for none */
    struct news_wait *news;
    struct link_state state;
    struct delay delay;
    uint64_t next_ns, last_beat_ns, policy_after_ns, signatures_after_ns; /* monotonic */
};

int conversation_new(int link, struct conversation **ret_conversation)
{
    struct conversation *conversation = calloc(1, sizeof *conversation);
    if (conversation == NULL)
        return -ENOMEM;
    conversation->link = link;
    conversation->next_ns = UINT64_MAX;
    conversation->delay.interval_ns = DEFAULT_INTERVAL_NS;
    int r = news_wait_new(&conversation->settings, &conversation->identity, &conversation->news);
    if (r < 0) {
        free(conversation);
        return r;
    }
    *ret_conversation = conversation;
    return 0;
}

struct conversation *conversation_free(struct conversation *conversation)
{
    if (conversation == NULL)
        return NULL;
    (void)console_client_free(conversation->client);
    (void)news_wait_free(conversation->news);
    (void)cloud_source_free(conversation->cloud);
    explicit_bzero(conversation, sizeof *conversation);
    free(conversation);
    return NULL;
}

/* ---- state and time ---- */

static void wait_for(struct conversation *conversation, uint64_t delay_ns)
{
    conversation->next_ns = clock_monotonic_ns() + delay_ns;
    conversation->state.next_try_ns = clock_realtime_ns() + delay_ns;
}

static void halt(struct conversation *conversation)
{
    news_wait_stop(conversation->news);
    conversation->halted = true;
    conversation->next_ns = UINT64_MAX;
    conversation->state.next_try_ns = 0;
}

static int tell_state(struct conversation *conversation, enum link_state_code code,
                      const char *text)
{
    conversation->state.code = code;
    (void)text_copy(conversation->state.text, sizeof conversation->state.text, text);
    return link_send_state(conversation->link, &conversation->state);
}

static int connect_anew(struct conversation *conversation)
{
    conversation->client = console_client_free(conversation->client);
    news_wait_stop(conversation->news);
    int r = console_client_new(&conversation->settings,
                               conversation->activated ? &conversation->identity : NULL,
                               &conversation->client);
    if (r == 0)
        return 0;
    halt(conversation);
    return tell_state(conversation, LINK_STATE_REFUSED,
                      "the pin or the identity cannot be read: correct ca_pin (sha256//...), or "
                      "activate again");
}

/* Parameter Store has to be asked before anything else. */
static bool needs_parameters(const struct conversation *conversation)
{
    return !conversation->activated && !conversation->has_token &&
           cloud_source_has_parameters(conversation->cloud);
}

/* Something can be tried: the first try comes at once, or spread when there is an identity already.
 */
static int begin(struct conversation *conversation)
{
    conversation->halted = false;
    conversation->asked = false;
    conversation->delay.failures = 0;
    if (needs_parameters(conversation)) {
        wait_for(conversation, 0);
        return tell_state(conversation, LINK_STATE_ACTIVATING,
                          "Parameter Store is asked where the console is");
    }
    if (!conversation->configured)
        return 0;
    int r = connect_anew(conversation);
    if (r < 0 || conversation->halted)
        return r;
    if (conversation->activated) {
        /* A token beside the identity: somebody waits for it. */
        wait_for(conversation, conversation->has_token ? 0 : delay_first(&conversation->delay));
        return tell_state(conversation, LINK_STATE_OFFLINE, "");
    }
    if (conversation->has_token) {
        wait_for(conversation, 0);
        return tell_state(conversation, LINK_STATE_ACTIVATING, "");
    }
    return tell_state(conversation, LINK_STATE_IDLE, "");
}

/* ---- failures ---- */

static int back_off(struct conversation *conversation, const struct console_result *result)
{
    bool lost =
        result->outcome == CONSOLE_UNREACHABLE && conversation->state.code == LINK_STATE_ONLINE;

    wait_for(conversation, delay_after_failure(&conversation->delay, result->retry_after_ns, lost));
    return tell_state(conversation,
                      conversation->activated ? LINK_STATE_OFFLINE : LINK_STATE_ACTIVATING,
                      result->problem);
}

/* The administrator may mend it at the console, a clock may be set right, a backup restored: soon,
 * or never, so it is tried ever more rarely. */
static int try_ever_more_rarely(struct conversation *conversation,
                                const struct console_result *result)
{
    wait_for(conversation, delay_after_failure(&conversation->delay, 0, false));
    return tell_state(conversation, LINK_STATE_REFUSED, result->problem);
}

/* The identity is not accepted. The host activates again, at once, and shows the old certificate:
 * as itself with a token at hand, as a new computer when the console says that it is a copy, also
 * without a token. Once: what then fails waits as every activation does. */
static int activate_again(struct conversation *conversation, const struct console_result *result)
{
    if (!conversation->has_token && result->outcome != CONSOLE_CLONE)
        return try_ever_more_rarely(conversation, result); /* a console may get its memory back */
    conversation->activated = false;
    wait_for(conversation, 0);
    return tell_state(conversation, LINK_STATE_ACTIVATING, result->problem);
}

static void drop_token(struct conversation *conversation)
{
    explicit_bzero(&conversation->token, sizeof conversation->token);
    conversation->has_token = conversation->by_parameters = false;
}

/* What Parameter Store said was of no use: it is asked again, because somebody may correct it. A
 * console that only asks for patience keeps what it was shown. */
static bool takes_back(const struct conversation *conversation, enum console_outcome outcome)
{
    return conversation->by_parameters && !conversation->activated && outcome != CONSOLE_BUSY &&
           outcome != CONSOLE_CLONE;
}

static int ask_parameters_later(struct conversation *conversation, enum parameter_outcome outcome,
                                const char *problem)
{
    drop_token(conversation);
    wait_for(conversation, cloud_source_delay(conversation->cloud, outcome, &conversation->delay));
    return tell_state(conversation,
                      outcome == PARAMETERS_REFUSED ? LINK_STATE_REFUSED : LINK_STATE_ACTIVATING,
                      problem);
}

static int take_failure(struct conversation *conversation, const struct console_result *result)
{
    if (takes_back(conversation, result->outcome))
        return ask_parameters_later(conversation,
                                    result->outcome == CONSOLE_UNREACHABLE ||
                                            result->outcome == CONSOLE_NOTHING
                                        ? PARAMETERS_LATER
                                        : PARAMETERS_REFUSED,
                                    result->problem);
    switch (result->outcome) {
    case CONSOLE_CLONE:
        if (!conversation->activated)
            break; /* refused to activate: another computer is this instance, for now */
        return activate_again(conversation, result);
    case CONSOLE_UNKNOWN:
        return activate_again(conversation, result);
    case CONSOLE_GONE:
        if (conversation->activated && conversation->has_token)
            return activate_again(conversation, result);
        halt(conversation);
        return tell_state(conversation, LINK_STATE_DEACTIVATED, result->problem);
    case CONSOLE_REFUSED:
    case CONSOLE_UNTRUSTED:
        return try_ever_more_rarely(conversation, result);
    case CONSOLE_OK:
    case CONSOLE_UNREACHABLE:
    case CONSOLE_BUSY:
    case CONSOLE_NOTHING:
        break;
    }
    return back_off(conversation, result);
}

/* ---- activation and renewal ---- */

static int take_identity(struct conversation *conversation, const struct link_identity *identity)
{
    conversation->identity = *identity;
    conversation->activated = true;
    if (identity->heartbeat_seconds > 0)
        conversation->delay.interval_ns = identity->heartbeat_seconds * NS_PER_SECOND;
    int r = link_send_identity(conversation->link, identity);
    return r < 0 ? r : connect_anew(conversation);
}

/* The instance's identity, where there is one; root keeps the instance's name for heartbeats. */
static int identify_instance(struct conversation *conversation,
                             const struct instance_identity **ret_identity)
{
    char problem[LINK_TEXT_BYTES];

    *ret_identity = NULL;
    if (conversation->cloud == NULL)
        return 0;
    *ret_identity = cloud_source_identity(conversation->cloud, problem, sizeof problem);
    if (problem[0] != '\0')
        log_warning("instance_identity_missing", "problem", problem, NULL);
    struct link_settings *settings = &conversation->settings;
    if (settings->instance_id[0] != '\0' || (*ret_identity)->instance_id[0] == '\0')
        return 0;
    (void)text_copy(settings->instance_id, sizeof settings->instance_id,
                    (*ret_identity)->instance_id);
    return link_send_console(conversation->link, settings);
}

static int activate(struct conversation *conversation)
{
    struct console_activation activation = {.settings = &conversation->settings,
                                            .token = &conversation->token};
    AUTO_BUFFER struct buffer move = BUFFER_WITH_MAXIMUM(LINK_PEM_BYTES);
    struct link_identity identity;
    struct console_result result;

    int r = identify_instance(conversation, &activation.instance);
    if (r < 0)
        return r;
    console_client_activate(conversation->client, &activation, &identity, &move, &result);
    if (result.outcome == CONSOLE_OK && move.length > 0)
        r = link_send_document(conversation->link, LINK_MOVE, buffer_text(&move), move.length);
    if (r == 0)
        r = result.outcome == CONSOLE_OK ? take_identity(conversation, &identity)
                                         : take_failure(conversation, &result);
    explicit_bzero(&identity, sizeof identity);
    if (r == 0 && conversation->activated) {
        drop_token(conversation);
        cloud_source_settle(conversation->cloud);
        conversation->delay.failures = 0;
        wait_for(conversation,
                 0); /* the person who waits for it sees the first heartbeat at once */
    }
    return r;
}

/* One that fails is tried again after the next heartbeat. Also when the console says nothing of it:
 * it may take the certificate for renewed although its answer was lost. */
static int renew(struct conversation *conversation)
{
    struct link_identity identity;
    struct console_result result;

    console_client_renew(conversation->client, &conversation->identity, &identity, &result);
    int r = result.outcome == CONSOLE_OK ? take_identity(conversation, &identity) : 0;
    /* It counts when a heartbeat shows it. One that is due at once is of a host whose clock is
     * ahead: that may wait. */
    conversation->urgent |= result.outcome == CONSOLE_OK &&
                            !console_client_is_due(&conversation->identity, clock_realtime_ns());
    explicit_bzero(&identity, sizeof identity);
    return r;
}

/* ---- heartbeats ---- */

/* One that fails is asked for again after the next heartbeat. */
static int fetch_policy(struct conversation *conversation)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(0);
    struct console_result result;

    if (clock_monotonic_ns() < conversation->policy_after_ns)
        return 0; /* asked to wait */
    console_client_policy(conversation->client, &body, &result);
    conversation->policy_after_ns = clock_monotonic_ns() + result.retry_after_ns;
    if (result.outcome != CONSOLE_OK)
        return 0;
    return link_send_document(conversation->link, LINK_POLICY, buffer_text(&body), body.length);
}

static int fetch_signatures(struct conversation *conversation)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(0);
    struct console_result result;

    if (clock_monotonic_ns() < conversation->signatures_after_ns)
        return 0; /* asked to wait */
    console_client_signatures(conversation->client, &body, &result);
    conversation->signatures_after_ns = clock_monotonic_ns() + result.retry_after_ns;
    if (result.outcome != CONSOLE_OK)
        return 0;
    return link_send_document(conversation->link, LINK_SIGNATURES, buffer_text(&body), body.length);
}

static int hand_on_commands(struct conversation *conversation, const json_t *commands)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < json_array_size(commands); i++) {
        AUTO_FREE char *text = json_dumps(json_array_get(commands, i), JSON_COMPACT);
        r = text != NULL ? link_send_document(conversation->link, LINK_COMMAND, text, strlen(text))
                         : -ENOMEM;
    }
    return r;
}

/* One line when they part, and one when they agree again. */
static void compare_clocks(struct conversation *conversation, uint64_t console_ms)
{
    uint64_t host_ms = clock_realtime_ns() / NS_PER_MS;
    bool ahead = host_ms > console_ms;
    uint64_t apart_ms = ahead ? host_ms - console_ms : console_ms - host_ms;
    bool apart = console_ms != 0 && apart_ms >= CLOCKS_APART_MS;

    if (apart == conversation->clocks_apart)
        return;
    conversation->clocks_apart = apart;
    if (apart)
        log_warning("clocks_apart", "seconds", log_number((int64_t)(apart_ms / 1000)), "host",
                    ahead ? "ahead" : "behind", "effect", "events tell other times than happened",
                    "cure", "set the clock of this host, or the console's", NULL);
    else
        log_event(LOG_LEVEL_INFO, "clocks_agree", NULL);
}

static int take_reply(struct conversation *conversation, const struct wire_heartbeat_reply *reply)
{
    struct link_beat_done done = {.delivered = true,
                                  .acknowledged = reply->acknowledged,
                                  .has_group = reply->group_id != NULL};

    if (text_copy(done.epoch, sizeof done.epoch, reply->epoch) < 0 ||
        text_copy(done.signatures_digest, sizeof done.signatures_digest, reply->signatures_digest) <
            0 ||
        text_copy(done.policy_digest, sizeof done.policy_digest, reply->policy_digest) < 0 ||
        text_copy(done.group_id, sizeof done.group_id, done.has_group ? reply->group_id : "") < 0)
        return -EBADMSG;
    int r = link_send_beat_done(conversation->link, &done);
    if (r == 0)
        r = hand_on_commands(conversation, reply->commands_json);
    if (r == 0 &&
        (reply->renew || console_client_is_due(&conversation->identity, clock_realtime_ns())))
        r = renew(conversation);
    return r;
}

static int beat_succeeded(struct conversation *conversation, const struct buffer *answer)
{
    struct wire_heartbeat_reply reply;
    struct wire_problem problem;

    if (wire_heartbeat_reply_decode(buffer_text(answer), answer->length, &reply, &problem) < 0) {
        struct console_result result = {.outcome = CONSOLE_BUSY};
        (void)text_format(result.problem, sizeof result.problem,
                          "the console's answer is not understood (%s): update the older side",
                          problem.text);
        return back_off(conversation, &result);
    }
    if (reply.next_seconds > 0)
        conversation->delay.interval_ns = MIN(reply.next_seconds, 86400U) * NS_PER_SECOND;
    conversation->state.last_contact_ns = clock_realtime_ns();
    wait_for(conversation, delay_next(&conversation->delay));
    news_wait_told(conversation->news, &reply);
    compare_clocks(conversation, reply.server_ms);
    int r = take_reply(conversation, &reply);
    wire_heartbeat_reply_done(&reply);
    return r < 0 ? r : tell_state(conversation, LINK_STATE_ONLINE, "");
}

static int beat(struct conversation *conversation, int document_fd)
{
    AUTO_FREE char *body = NULL;
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(0);
    struct console_result result;
    size_t length;

    int r = link_read_document(document_fd, &body, &length);
    if (r < 0)
        return r;
    conversation->last_beat_ns = clock_monotonic_ns();
    console_client_beat(conversation->client, body, length, &answer, &result);
    if (result.outcome == CONSOLE_OK)
        return beat_succeeded(conversation, &answer);
    const struct link_beat_done failed = {.delivered = false};
    r = link_send_beat_done(conversation->link, &failed);
    return r < 0 ? r : take_failure(conversation, &result);
}

/* ---- Parameter Store ---- */

static int want_files(struct conversation *conversation)
{
    cloud_source_begin(conversation->cloud);
    conversation->wants_files = true;
    wait_for(conversation, BEAT_WAIT_NS);
    return link_send_plain(conversation->link, LINK_WANT_FILES);
}

static int ask_parameters(struct conversation *conversation, const struct link_files *errors)
{
    char problem[LINK_TEXT_BYTES];

    enum parameter_outcome outcome =
        cloud_source_fetch(conversation->cloud, errors, &conversation->settings,
                           &conversation->token, problem, sizeof problem);
    if (outcome != PARAMETERS_FOUND)
        return ask_parameters_later(conversation, outcome, problem);
    conversation->configured = conversation->has_token = conversation->by_parameters = true;
    int r = link_send_console(conversation->link, &conversation->settings);
    if (r == 0)
        r = connect_anew(conversation);
    if (r < 0)
        return r;
    if (conversation->halted) {
        conversation->halted = false;
        return ask_parameters_later(conversation, PARAMETERS_REFUSED,
                                    "the pin in Parameter Store cannot be read: write sha256// "
                                    "and 44 characters, as yagura-console pin prints them");
    }
    wait_for(conversation, 0);
    return tell_state(conversation, LINK_STATE_ACTIVATING, "");
}

static int take_cloud(void *user, struct message *message)
{
    struct conversation *conversation = user;
    AUTO_FREE struct link_cloud *cloud = calloc(1, sizeof *cloud);

    int r = cloud != NULL ? link_read_cloud(message, cloud) : -ENOMEM;
    conversation->cloud = cloud_source_free(conversation->cloud);
    if (r == 0)
        r = cloud_source_new(cloud, &conversation->cloud);
    if (cloud != NULL)
        explicit_bzero(cloud, sizeof *cloud);
    return r;
}

static int take_file(void *user, struct message *message)
{
    struct conversation *conversation = user;
    enum aws_file file;

    int r = link_read_file(message, &file);
    if (r == 0)
        cloud_source_take_file(conversation->cloud, file, TAKE_FD(message->fds[0]));
    return r;
}

static int take_files_done(void *user, struct message *message)
{
    struct conversation *conversation = user;
    struct link_files errors;

    conversation->wants_files = false;
    int r = link_read_files_done(message, &errors);
    return r < 0 || !needs_parameters(conversation) ? r : ask_parameters(conversation, &errors);
}

/* ---- root ---- */

static int take_settings(void *user, struct message *message)
{
    struct conversation *conversation = user;

    int r = link_read_settings(message, &conversation->settings);
    if (r < 0)
        return r;
    conversation->configured = conversation->settings.url[0] != '\0';
    return begin(conversation);
}

static int take_old_identity(void *user, struct message *message)
{
    struct conversation *conversation = user;

    int r = link_read_identity(message, &conversation->identity);
    if (r < 0)
        return r;
    conversation->activated = true;
    if (conversation->identity.heartbeat_seconds > 0)
        conversation->delay.interval_ns = conversation->identity.heartbeat_seconds * NS_PER_SECOND;
    return begin(conversation);
}

static int take_token(void *user, struct message *message)
{
    struct conversation *conversation = user;

    int r = link_read_token(message, &conversation->token);
    if (r < 0)
        return r;
    conversation->has_token = true;
    return begin(conversation);
}

static int take_beat(void *user, struct message *message)
{
    struct conversation *conversation = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);

    conversation->asked = false;
    return conversation->activated && conversation->client != NULL ? beat(conversation, fd) : 0;
}

static int take_want_policy(void *user, struct message *message UNUSED)
{
    struct conversation *conversation = user;

    return conversation->activated && conversation->client != NULL ? fetch_policy(conversation) : 0;
}

static int take_want_signatures(void *user, struct message *message UNUSED)
{
    struct conversation *conversation = user;

    return conversation->activated && conversation->client != NULL ? fetch_signatures(conversation)
                                                                   : 0;
}

/* One small exchange: a heartbeat never waits behind a whole file. */
static int take_want_piece(void *user, struct message *message)
{
    struct conversation *conversation = user;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(0);
    struct console_result result = {.outcome = CONSOLE_UNREACHABLE};
    struct link_piece piece;

    int r = link_read_piece(message, &piece);
    if (r == 0 && (!wire_is_sha256(piece.sha256) || piece.length == 0))
        r = -EBADMSG;
    if (r < 0)
        return r;
    if (conversation->activated && conversation->client != NULL)
        console_client_piece(conversation->client, piece.sha256, piece.offset, piece.length, &body,
                             &result);
    piece.delivered =
        result.outcome == CONSOLE_OK && body.length > 0 && body.length <= piece.length;
    piece.gone = result.outcome == CONSOLE_NOTHING;
    piece.retry_after_ns = result.retry_after_ns;
    piece.length = piece.delivered ? body.length : 0;
    (void)text_copy(piece.problem, sizeof piece.problem, result.problem);
    return link_send_piece(conversation->link, &piece, body.data);
}

static enum link_bundle_outcome bundle_outcome(enum console_outcome outcome)
{
    switch (outcome) {
    case CONSOLE_OK:
        return LINK_BUNDLE_DELIVERED;
    case CONSOLE_REFUSED:
    case CONSOLE_NOTHING:
        return LINK_BUNDLE_REFUSED;
    default:
        return LINK_BUNDLE_LATER;
    }
}

/* What a failure means for the identity, the next heartbeat finds out. */
static int take_bundle(void *user, struct message *message)
{
    struct conversation *conversation = user;
    AUTO_CLOSE int fd = TAKE_FD(message->fds[0]);
    struct link_bundle_done done = {.outcome = LINK_BUNDLE_LATER};
    AUTO_FREE char *bundle = NULL;
    struct console_result result;
    size_t length = 0;

    int r = link_read_bundle(message, done.id);
    if (r == 0)
        r = link_read_document(fd, &bundle, &length);
    if (r < 0)
        return r;
    if (conversation->activated && conversation->client != NULL) {
        console_client_bundle(conversation->client, done.id, bundle, length, &result);
        done.outcome = bundle_outcome(result.outcome);
        (void)text_copy(done.problem, sizeof done.problem, result.problem);
    }
    return link_send_bundle_done(conversation->link, &done);
}

/* A console that cannot be told sees the computer go offline. */
static int take_leave(void *user, struct message *message UNUSED)
{
    struct conversation *conversation = user;
    struct console_result result;

    if (conversation->activated && conversation->client != NULL) {
        console_client_leave(conversation->client, &result);
        bool told = result.outcome == CONSOLE_OK || result.outcome == CONSOLE_GONE;
        (void)!tell_state(conversation, told ? LINK_STATE_DEACTIVATED : LINK_STATE_OFFLINE,
                          result.problem);
    }
    return -EPIPE; /* the end, as if root were gone */
}

static int take_urgent(void *user, struct message *message UNUSED)
{
    struct conversation *conversation = user;

    conversation->urgent = true;
    return 0;
}

int conversation_take(struct conversation *conversation, struct message *message)
{
    bool files = conversation->wants_files;
    struct message_route routes[] = {
        {LINK_CLOUD, "cloud", true, false, take_cloud},
        {LINK_FILE, "file", files, true, take_file},
        {LINK_FILES_DONE, "files-done", files, false, take_files_done},
        {LINK_SETTINGS, "settings", true, false, take_settings},
        {LINK_IDENTITY, "identity", true, false, take_old_identity},
        {LINK_TOKEN, "token", true, false, take_token},
        {LINK_BEAT, "beat", conversation->asked, true, take_beat},
        {LINK_URGENT, "urgent", true, false, take_urgent},
        {LINK_LEAVE, "leave", true, false, take_leave},
        {LINK_WANT_POLICY, "want-policy", true, false, take_want_policy},
        {LINK_BUNDLE, "bundle", true, true, take_bundle},
        {LINK_WANT_SIGNATURES, "want-signatures", true, false, take_want_signatures},
        {LINK_WANT_PIECE, "want-piece", true, false, take_want_piece},
    };

    return message_dispatch(routes, ARRAY_LENGTH(routes), conversation, message);
}

/* ---- time ---- */

/* News brings the next heartbeat forward, but not the next try after a failure, nor one that root
 * is writing. */
static uint64_t due_ns(const struct conversation *conversation)
{
    bool now = conversation->urgent && !conversation->asked &&
               conversation->state.code == LINK_STATE_ONLINE;

    return now ? MIN(conversation->next_ns, conversation->last_beat_ns + URGENT_GAP_NS)
               : conversation->next_ns;
}

static uint64_t beat_wait_ns(const struct conversation *conversation)
{
    uint64_t now = clock_monotonic_ns(), due = due_ns(conversation);

    if (due == UINT64_MAX)
        return UINT64_MAX;
    return due > now ? due - now : 0;
}

size_t conversation_polls(struct conversation *conversation, struct pollfd *polls, size_t most,
                          uint64_t *ret_wait_ns)
{
    uint64_t wait_ns;

    size_t count = news_wait_polls(conversation->news, polls, most, &wait_ns);
    *ret_wait_ns = MIN(wait_ns, beat_wait_ns(conversation));
    return count;
}

int conversation_act(struct conversation *conversation)
{
    conversation->urgent |= news_wait_act(conversation->news);
    if (beat_wait_ns(conversation) > 0)
        return 0;
    if (needs_parameters(conversation))
        return want_files(conversation);
    if (!conversation->activated)
        return activate(conversation);
    conversation->asked = true;
    conversation->urgent = false;
    wait_for(conversation, BEAT_WAIT_NS);
    return link_send_plain(conversation->link, LINK_WANT_BEAT);
}
