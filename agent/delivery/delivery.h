/* The agent's side of the console: runs yagura-messenger, feeds it heartbeats, keeps the identity,
 * obeys signed policies and commands. Works on without a console for as long as the store holds
 * events.
 *
 * One thread with an event loop of its own; the functions here may be called from any thread but
 * are meant for the main one. */
#ifndef AGENT_DELIVERY_DELIVERY_H
#define AGENT_DELIVERY_DELIVERY_H

#include "agent/messenger/link.h"
#include "agent/messenger/link_cloud.h"
#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/settings/settings.h"

struct delivery;
struct event_loop;
struct application_control;
struct integrity;
struct scan_schedule;
struct protection;
struct responder;
struct scan_pipeline;
struct store;

struct delivery_options {
    /* All texts outlive the delivery. */
    const char *state_directory;
    const char *program_directory;     /* of yagura-messenger and the helpers */
    const char *control_socket;        /* of this agent, for yaguractl diagnose */
    char *const *database_directories; /* of signatures; NULL-terminated */
    const struct link_cloud *cloud;    /* copied: of cloud_access_read */
    struct event_loop *main_loop;
    struct store *store;
    struct scan_pipeline *pipeline;
    struct responder *responder;
    struct integrity *integrity;
    struct scan_schedule *schedule;
    struct application_control *application_control;
    struct protection *protection;
    /* Called in the main loop's thread. */
    int (*write_facts)(void *user, struct buffer *json); /* the agent's state, a JSON object */
    /* Loads and applies the policy at path; "" = the one of the local configuration again. */
    int (*apply_policy)(void *user, const char *path, struct settings_error *ret_error);
    void *user;
};

/* The messenger runs only when the host was told where its console is. */
int delivery_start(const struct delivery_options *options, struct delivery **ret_delivery) MUST_USE;
struct delivery *delivery_stop(struct delivery *delivery);

/* From now on this is the console: settings has url, pin, tenant, policy, group and display name.
 * The token is kept (root only) until it has been used. -EALREADY when this host is activated there
 * and no new token is needed; -errno. */
int delivery_activate(struct delivery *delivery, const struct link_settings *settings,
                      const struct link_token *token) MUST_USE;
/* From now on the console is looked for in Parameter Store, until this host is activated. -EALREADY
 * when it is; -errno. */
int delivery_activate_from_cloud(struct delivery *delivery,
                                 const struct link_cloud *cloud) MUST_USE;
/* Forgets the console and the identity; the events stay. Waits until the console was told, some
 * seconds at most: ret_problem says why it does not know, "" when it does or there is none.
 * -EALREADY while another call does it. */
int delivery_deactivate(struct delivery *delivery,
                        char ret_problem[static LINK_TEXT_BYTES]) MUST_USE;

/* What policy says about the console's mirror. */
struct delivery_mirror {
    bool wanted; /* signatures come from there */
    uint64_t bytes_per_second, jitter_ns;
};
void delivery_set_mirror(struct delivery *delivery, const struct delivery_mirror *mirror);

/* Signatures that the console gives. */
struct delivery_signatures {
    char digest[65]; /* of the set in force; "" = none */
    size_t lists, allowed, files;
    uint64_t newest_ms; /* when the newest of the files was built; 0 = unknown */
    char file[128];     /* that is being fetched; "" = none */
    uint64_t file_offset, file_bytes;
    char problem[LINK_TEXT_BYTES];
};

struct delivery_status {
    bool configured, activated;
    char url[LINK_TEXT_BYTES];
    char agent_id[64];
    struct link_state state;
    uint64_t messenger_starts;
    struct delivery_signatures signatures;
};
void delivery_status(struct delivery *delivery, struct delivery_status *ret_status);

/* The file of the policy that the console delivered and that is in force, into path; "" when the
 * local configuration decides. For the start, before there is a delivery. */
void delivery_policy_path(const char *state_directory, char path[static LINK_TEXT_BYTES]);

#endif
