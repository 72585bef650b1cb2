/* How the agent ends, for those who must hear of it: who stopped it, and, at the next start,
 * whether it was stopped at all. All functions: the main thread. */
#ifndef AGENT_SUPERVISOR_ENDING_H
#define AGENT_SUPERVISOR_ENDING_H

struct agent;

/* At the end of a start. An earlier run of this boot that was not stopped becomes the event
 * agent_died. */
void ending_open(struct agent *agent);
/* In the handler of a signal that stops the agent: who sent it, while that can still be seen. */
void ending_note_stop(struct agent *agent, int signal_number);
/* The event agent_stopped; while the store still takes it. */
void ending_tell_stop(struct agent *agent);
/* After everything has stopped. */
void ending_close(struct agent *agent);

#endif
