/* Who is never asked: the agent and all it starts, and whoever takes our log lines. */
#ifndef AGENT_GUARD_OWN_PROCESSES_H
#define AGENT_GUARD_OWN_PROCESSES_H

#include <stdbool.h>
#include <sys/types.h>

struct own_processes {
    pid_t self, agent;
    char service[1024]; /* the control group of the agent's unit; "": it is none's */
};

/* Reads the guard's own control group, once. */
void own_processes_init(struct own_processes *own);
/* Cuts a group below the agent's unit at the unit, whatever slice that is in; "" when it is not
 * below it. */
void own_processes_cut_service(char *group);
/* Told by the number alone: the guard, the agent, and the host's first process. */
bool own_processes_contain(const struct own_processes *own, pid_t pid);
/* Reads /proc: descendants of the agent, the members of its unit's control group, and the journal.
 * The process waits in its open, so that it cannot change under us. */
bool own_processes_include(const struct own_processes *own, pid_t pid);
/* As whom it runs; that of nobody when it cannot be told. */
uid_t own_processes_user(pid_t pid);

#endif
