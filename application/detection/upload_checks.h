/* Files in multipart bodies: how many and how large, what their names would make a server do,
 * whether they are what they say, and whether they are known to be bad. Looks at their beginnings
 * in place; only a list of denied hashes makes it read them whole. */
#ifndef APPLICATION_DETECTION_UPLOAD_CHECKS_H
#define APPLICATION_DETECTION_UPLOAD_CHECKS_H

#include "application/detection/judgement.h"

void upload_checks_run(struct judgement *judgement);

#endif
