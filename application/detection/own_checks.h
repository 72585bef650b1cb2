/* What the rule set does not look for, or not well: run after it, and alone when there is none. */
#ifndef APPLICATION_DETECTION_OWN_CHECKS_H
#define APPLICATION_DETECTION_OWN_CHECKS_H

#include "application/detection/judgement.h"

/* True when the address is allowed, so that nothing else is looked at. */
bool own_check_address(struct judgement *judgement);
/* libinjection on every argument and cookie: only where no rule table does the same. */
void own_check_injection(struct judgement *judgement);

#endif
