/* Shared by the files that make up store.h. Not for others. */
#ifndef AGENT_STORE_STORE_PRIVATE_H
#define AGENT_STORE_STORE_PRIVATE_H

#include "agent/store/event_table.h"
#include "agent/store/store.h"

#include <pthread.h>

struct entry {
    struct entry *next;
    struct event_record event; /* its strings stand behind the entry */
    bool has_event;
    bool with_next; /* it and the one behind it stand or fall together */
    store_work *work;
    store_committed *committed;
    void *user;
    size_t bytes;
    int result;
};

struct queue {
    struct entry *first, **last;
};

struct store {
    char *path;
    pthread_t writer;

    pthread_mutex_t mutex; /* guards what follows, up to the writer's own */
    pthread_cond_t changed;
    pthread_cond_t published; /* status has moved on */
    struct queue waiting;
    uint64_t waiting_entries, waiting_bytes;
    struct store_options caps;
    struct store_status status;
    bool stopping, hurried, suspect; /* hurried: what fails is not tried again */
    struct database *reader;         /* an idle connection of the present file; NULL */
    unsigned file_generation;        /* grows when the file is closed */
    void (*rebuilt)(void *user);
    void *rebuilt_user;

    /* the writer's own */
    struct database *database;
    struct event_table table;
    int log_pages;
    uint64_t retry_ns;
    uint64_t failing_since_ns; /* monotonic; 0: the last commit was good */
    int failure;               /* of the last commit that failed */
};

/* ---- the queue ---- */

void store_queue_init(struct queue *queue);
void store_queue_push(struct queue *queue, struct entry *entry);
struct entry *store_queue_pop(struct queue *queue); /* NULL when empty */

/* ---- the file: the writer's, and store_open's before there is one ---- */

/* Errors of the file rather than of one entry: the group is kept and tried again. */
bool store_is_file_problem(int error);
void store_set_problem(struct store *store, int problem);
void store_publish_status(struct store *store);
/* ret_moved_to: "" or where a corrupt file was moved. */
int store_open_file(struct store *store, char ret_moved_to[static 4096]) MUST_USE;
/* Opens the file again after it was found corrupt or could not be opened. */
int store_ensure_open(struct store *store) MUST_USE;
void store_close_file(struct store *store);
/* Copies the log into the file when it is long; longer, when others wait. */
bool store_log_is_long(const struct store *store, bool busy);
void store_copy_log(struct store *store);

void *store_writer_main(void *user);

#endif
