/* Values that stand behind one more encoding, or where the rule set does not look: added to the
 * request's arguments, so that every rule for arguments sees them. */
#ifndef APPLICATION_DETECTION_DERIVED_VALUES_H
#define APPLICATION_DETECTION_DERIVED_VALUES_H

#include "application/detection/judgement.h"

void derived_values_add(struct judgement *judgement);

#endif
