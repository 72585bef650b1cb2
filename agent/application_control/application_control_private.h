/* Shared by the files that make up application_control.h. Not for others. */
#ifndef AGENT_APPLICATION_CONTROL_APPLICATION_CONTROL_PRIVATE_H
#define AGENT_APPLICATION_CONTROL_APPLICATION_CONTROL_PRIVATE_H

#include "agent/application_control/application_control.h"
#include "agent/application_control/digest_table.h"
#include "agent/application_control/inventory.h"
#include "agent/prevention/open_judge.h"
#include "agent/store/store.h"
#include "agent/watch/exclusions.h"
#include "common/files/file.h"

#include <pthread.h>
#include <sys/stat.h>

/* The options, copied; immutable, counted with the control's lock. */
struct application_rules {
    unsigned references;
    enum application_mode mode;
    bool trust_packages, deny_late;
    uint64_t most_bytes;
    char **paths;
    struct exclusions *exclusions;
    struct digest_table allow, block;
};

/* A program that somebody wants to run, and that waits for its answer. */
struct application_ask {
    struct application_ask *next;
    struct open_question question;
    open_answered *answered;
    void *answered_user;
    uint64_t due_ns; /* monotonic: not looked at before */
    unsigned tries;
    struct stat status;
    uint8_t sha256[SHA256_BYTES];
    bool digested;                /* sha256 is that of its content */
    bool remembered;              /* nobody wrote to it since before it was read: a lease says so */
    bool all_run;                 /* when it was judged: nothing is enforced */
    enum inventory_origin origin; /* with all_run: why it is known then */
};

struct application_queue {
    struct application_ask *first, *last;
    uid_t last_user; /* whose turn it was */
};

enum { TOLD_PROGRAMS = 64 };
struct told_program {
    uint8_t key[SHA256_BYTES]; /* its SHA-256, or what else tells it from others */
    bool blocked;
    uint64_t until_ns; /* monotonic */
    uint64_t more;     /* not told since */
};

/* Programs in memory whose digests are known, and whose turn it is to be read. The keeper's. */
enum { MEMORY_PROGRAMS = 256 };
struct memory_programs {
    struct known_memory {
        struct file_identity identity;
        uint64_t until_ns; /* monotonic: a write through a mapping moves no time */
        int result;        /* of reading it: 0 or -errno */
        bool told;         /* that it is unknown */
        uint8_t sha256[SHA256_BYTES];
    } known[MEMORY_PROGRAMS];
    pid_t after; /* the turn begins with the process after this one */
    uint64_t left_bytes;
};

struct application_control {
    struct store *store;
    struct prevention *guard;     /* NULL until it is first needed */
    struct open_judge open_judge; /* what it asks */
    struct inventory *inventory;  /* NULL until it is first needed, or when it cannot be had */
    char *guard_program, *inspector_program, *inventory_path, *key_path;
    struct memory_programs memory;
    pthread_t judge, keeper, walker;
    bool has_threads;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool stopping;
    struct application_rules *rules;
    struct application_queue asked;    /* for the judge */
    struct application_queue packaged; /* for the keeper: is it a package's? */
    bool walk_wanted, walking, walk_stops;
    bool clearing;          /* the inventory: no walk begins */
    bool maintenance_ends;  /* its walk is wanted or under way */
    uint64_t walk_retry_ns; /* monotonic: a failed one is not tried before */
    bool walk_everything;   /* or only what came in maintenance */
    uint64_t added;         /* programs, during maintenance */
    uint64_t generation;    /* moves when what the guard remembers counts no more */
    int start_problem, write_problem, walk_problem; /* 0, or -errno: of the last try */
    char walk_place[128]; /* of the policy's paths: where the last walk failed, escaped; "" */
    uint64_t known, unknown, blocked, trusted, looked_at;
    struct told_program told[TOLD_PROGRAMS];
};

/* ---- application_control.c ---- */

/* A reference to the rules in force. */
struct application_rules *application_rules_take(struct application_control *control);
void application_rules_drop(struct application_control *control, struct application_rules *rules);
/* With the lock: nothing is enforced yet. */
bool application_control_is_learning(struct application_control *control);
/* With the lock: until what came meanwhile has been looked for. */
bool application_control_in_maintenance(struct application_control *control);
/* While programs are learned, and in maintenance before its time is over, all may run; ret_origin
 * is why it is known then. */
bool application_control_lets_all_run(struct application_control *control,
                                      enum inventory_origin *ret_origin);
/* Whether a file last changed in maintenance, while its time was not over. */
bool application_control_came_in_maintenance(const struct inventory_marks *marks,
                                             const struct stat *status);
void application_control_record(struct application_control *control, const char *kind,
                                enum event_severity severity, const char *subject,
                                const char *detail);
/* Adds a program, and counts it in maintenance. False: it could not be added. */
bool application_control_add(struct application_control *control,
                             const struct inventory_program *program);

/* ---- application_queue.c, with the lock ---- */

void application_queue_add(struct application_queue *queue, struct application_ask *ask);
/* The oldest that is due, of another user than the last one if there is one. NULL: none; then
 * ret_wait_ns says for how long (UINT64_MAX: for ever). */
struct application_ask *application_queue_take(struct application_queue *queue, uint64_t now_ns,
                                               uint64_t *ret_wait_ns);
/* Waits on changed for so long. */
void application_control_wait(struct application_control *control, uint64_t wait_ns);

/* ---- judge.c ---- */

void *application_judge_run(void *control);
/* What the guard asks, see open_judge.h. */
int application_judge_ask(void *control, const struct open_question *question,
                          open_answered *answered, void *answered_user);
/* Answers an ask, for the keeper: not in the inventory, and no package's. */
void application_judge_unknown(struct application_control *control, struct application_ask *ask,
                               const char *reason);

/* ---- answers.c ---- */

/* Told, and answered so. */
void application_answers_give_told(struct application_control *control, struct application_ask *ask,
                                   const char *reason, bool deny);
/* Answers, and frees ask. */
void application_answers_give(struct application_ask *ask, bool allow, bool remember);
/* The guard has answered it by its deadline. */
bool application_answers_are_late(const struct application_ask *ask);
/* Whether that was told lately: then it is only counted. */
bool application_answers_told(struct application_control *control,
                              const uint8_t key[static SHA256_BYTES], bool blocked,
                              uint64_t *ret_more);

/* ---- keeper.c ---- */

void *application_keeper_run(void *control);

/* ---- walker.c ---- */

void *application_walker_run(void *control);

/* ---- memory_programs.c ---- */

/* Looks for processes whose program lies in memory alone (memfd_create), which newer kernels do not
 * tell of: learned, or told. */
void memory_programs_look(struct application_control *control);

#endif
