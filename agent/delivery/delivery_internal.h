/* Shared by the files of agent/delivery that run in its thread: one struct, each part of it owned
 * by the file that its comment names. Included by nobody else. */
#ifndef AGENT_DELIVERY_DELIVERY_INTERNAL_H
#define AGENT_DELIVERY_DELIVERY_INTERNAL_H

#include "agent/delivery/cloud_access.h"
#include "agent/delivery/command_results.h"
#include "agent/delivery/commands.h"
#include "agent/delivery/console_files.h"
#include "agent/delivery/delivery.h"
#include "agent/delivery/heartbeat_body.h"
#include "agent/delivery/signed_command.h"
#include "agent/delivery/signed_policy.h"
#include "agent/signatures/console_lists.h"
#include "agent/signatures/mirror_files.h"
#include "agent/store/store.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sys/types.h>

struct event_timer;
struct message;
struct order;

#define NEWS_INTERVAL_NS (1 * NS_PER_SECOND)
#define GOODBYE_NS       (8 * NS_PER_SECOND) /* packages wait for 10 s when they are removed */

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

/* signature_delivery.c's. */
struct signature_pull {
    struct wire_signatures set; /* in force; root NULL: none */
    struct mirror_files *files;
    struct event_timer *timer;
    bool wanted; /* policy takes the mirror's files */
    bool asked;  /* a piece, of the messenger */
    bool waits;  /* the timer runs */
    uint64_t bytes_per_second, jitter_ns;
    uint64_t again_ns; /* monotonic: a refused set is not asked for before */
    uint32_t failures;
    char problem[LINK_TEXT_BYTES];
};

struct delivery {
    struct delivery_options options;
    char messenger_program[LINK_TEXT_BYTES];
    pthread_t thread;
    struct event_loop *loop;
    struct console_files *files;
    struct cloud_access *cloud;
    struct command_results *results;
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
    bool greeted;            /* this run knows what the console has of the store's epoch */
    int64_t clock_offset_ns; /* of the wall clock, at the last heartbeat; 0: none yet */
    struct beat beat;
    struct application application;
    char bundle_id[40];    /* of the bundle that the messenger is sending; "" = none */
    struct order *goodbye; /* console_choice.c: it waits until the messenger has told the console */
    struct signature_pull pull;
    int socket;
    pid_t pid;
    uint64_t started_ns, restart_delay_ns;
    uint64_t news_number; /* events up to here have been looked at for urgency */
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];

    pthread_mutex_t lock; /* of all below */
    struct delivery_status status;
    struct delivery_mirror mirror; /* what policy says, until the thread obeys it */
};

/* delivery.c. kind is an event's; reason may be NULL. */
void delivery_note_status(struct delivery *delivery);
void delivery_note_state(struct delivery *delivery, const struct link_state *state);
void delivery_record(struct delivery *delivery, const char *kind, enum event_severity severity,
                     const char *subject, const char *reason);
/* The event about an order that is not obeyed. why NULL or "": what error says. */
void delivery_refuse_order(struct delivery *delivery, const char *what, int error, const char *why);

/* The console is to be found in Parameter Store. */
bool delivery_asks_cloud(const struct delivery *delivery);

/* messenger_process.c */
void messenger_process_close(struct delivery *delivery);
/* Ends it, and starts another when there is something to say; for event_timer_new. */
void messenger_process_restart(void *delivery);
void messenger_process_restart_later(struct delivery *delivery, int error);
/* A heartbeat is worth sending now. */
void messenger_process_hurry(struct delivery *delivery);

/* identity.c */
int identity_use(struct delivery *delivery) MUST_USE;
void identity_forget(struct delivery *delivery);
int identity_take(void *delivery, struct message *message);
int identity_take_move(void *delivery, struct message *message);
/* The key that a document must be signed with, after the successors it tells of; freed by the
 * caller. */
int identity_judge_key(struct delivery *delivery, const char *document, size_t length,
                       EVP_PKEY **ret_key) MUST_USE;

/* heartbeats.c */
int heartbeats_take_want(void *delivery, struct message *message);
int heartbeats_take_done(void *delivery, struct message *message);
/* Severe events do not wait for the next heartbeat; for event_timer_new. */
void heartbeats_look_for_news(void *delivery);

/* command_delivery.c */
int command_delivery_take(void *delivery, struct message *message);
int command_delivery_new(struct delivery *delivery) MUST_USE;
/* Once the thread runs: what an earlier run left. */
void command_delivery_resume(struct delivery *delivery);

/* bundle_delivery.c: bundles of diagnostics. */
void bundle_delivery_send(void *delivery);
int bundle_delivery_take_done(void *delivery, struct message *message);

/* policy_delivery.c */
int policy_delivery_take(void *delivery, struct message *message);
/* What this host should obey: asked for when it is not in force, unless it was refused already. */
int policy_delivery_compare(struct delivery *delivery, const struct link_beat_done *done) MUST_USE;
/* The local configuration decides from now on. */
void policy_delivery_drop(struct delivery *delivery);

/* signature_delivery.c */
int signature_delivery_new(struct delivery *delivery) MUST_USE;
void signature_delivery_free(struct delivery *delivery);
int signature_delivery_take(void *user, struct message *message);
int signature_delivery_take_piece(void *user, struct message *message);
/* Only what is newer than what was in force, for this host, and in time; -errno, and why. What was
 * in force counts for nothing while it is more than ten minutes ahead of this host's clock. */
int signature_delivery_judge(const struct wire_signatures *had, const struct wire_signatures *set,
                             const char *agent_id, const char **ret_why) MUST_USE;
/* A delay below most_ns, another one at each call, so that hosts which hear of new files at the
 * same time do not fetch them at the same time. 0: none, also without random numbers. */
uint64_t signature_delivery_spread(uint64_t most_ns);
/* What this host should have: asked for when it is not in force; goes on with files. */
int signature_delivery_compare(struct delivery *delivery, const char *digest) MUST_USE;
/* The console decides no more; files of its mirror stay. */
void signature_delivery_drop(struct delivery *delivery);

/* console_choice.c: the console has sent this host away. */
void console_choice_leave(struct delivery *delivery);
/* While there is a goodbye: whether the console knows; and that the messenger has ended. */
void console_choice_take_goodbye(struct delivery *delivery, const struct link_state *state);
void console_choice_end_goodbye(struct delivery *delivery);
/* The messenger asks Parameter Store, and says what it found. */
int console_choice_take_want_files(void *delivery, struct message *message);
int console_choice_take(void *delivery, struct message *message);

#endif
