/* Whether a value is text that somebody wrote for people: words beside words. Such text now and
 * then has in it what some rules take for a command ("... in\ntime for") without meaning one. */
#ifndef APPLICATION_DETECTION_PROSE_H
#define APPLICATION_DETECTION_PROSE_H

#include "application/events/span.h"

bool prose_like(struct span text);

#endif
