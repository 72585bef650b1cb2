/* How the agent ends, for those who must hear of it: who stopped it, and, at the next start,
 * whether it was stopped at all. All functions: the main thread. */
#ifndef AGENT_SUPERVISOR_ENDING_H
#define AGENT_SUPERVISOR_ENDING_H

struct agent;

/* At the end of a start, before the loop turns. An earlier run of this boot that was not stopped
 * becomes the event agent_died, with the time from which on nothing was seen: that of its last
 * event, or of a sign of life that each run leaves once a minute. */
void ending_open(struct agent *agent);
/* In the handler of a signal that stops the agent: who sent it, while that can still be seen. */
void ending_note_stop(struct agent *agent, int signal_number);
/* The event agent_stopped, while the store still takes it; no more signs of life. */
void ending_tell_stop(struct agent *agent);
/* After everything has stopped. */
void ending_close(struct agent *agent);

#endif
