/* The moments at which a crash must lose nothing. Tests replace respond_step to end the process
 * there; in the product it does nothing. */
#ifndef AGENT_RESPOND_RESPOND_STEP_H
#define AGENT_RESPOND_RESPOND_STEP_H

enum respond_step {
    RESPOND_STEP_INTENT_COMMITTED,
    RESPOND_STEP_MOVED,
    RESPOND_STEP_DISARMED,
    RESPOND_STEP_SEALED,
    RESPOND_STEP_SYNCED, /* unless it is committed with the result */
    RESPOND_STEP_RESULT_COMMITTED,
    RESPOND_STEP_BEFORE_SYNC,
    RESPOND_STEP_DURABLE,
    RESPOND_STEP_UNLINKED,
    RESPOND_STEP_FORGOTTEN,
    RESPOND_STEP_COUNT
};

void respond_step(enum respond_step step);

#endif
