/* Who a process is, as /proc tells: for events that say who did something. Best effort: a process
 * that has gone, or that may not be looked at, has fewer facts. Thread-safe: no state. */
#ifndef AGENT_PREVENTION_PROCESS_FACTS_H
#define AGENT_PREVENTION_PROCESS_FACTS_H

#include "common/attributes.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_USER_BYTES      64
#define PROCESS_CONTAINER_BYTES 65
#define PROCESS_NO_USER         UINT32_MAX

struct json_writer;

struct process_facts {
    pid_t pid;
    char executable[PATH_MAX]; /* raw bytes; "" unknown */
    uint32_t user;             /* effective; PROCESS_NO_USER: unknown */
    uint32_t real_user;        /* who started it, of a set-user-id program; the same */
    uint32_t login_user; /* who logged in, whoever it has become since; PROCESS_NO_USER: nobody
                            did, as for services */
    char container[PROCESS_CONTAINER_BYTES]; /* 64 hexadecimal digits; "" none */
};

void process_facts_read(pid_t pid, struct process_facts *ret_facts);
/* "pid", "executable", "uid", "user", "login_uid", "login_user", "container": those known. */
void process_facts_write(const struct process_facts *facts, struct json_writer *json);

/* Its parent, and the name that it gave itself (any name), from /proc/PID/stat, which everybody may
 * read. 0: it has gone, or has none. */
#define PROCESS_NAME_BYTES 64
pid_t process_facts_parent(pid_t pid, char ret_name[static PROCESS_NAME_BYTES]);

/* The container in the text of a /proc/PID/cgroup: the last 64 hexadecimal digits that stand alone.
 * "" when there is none. */
void process_facts_find_container(const char *groups,
                                  char ret_container[static PROCESS_CONTAINER_BYTES]);

#endif
