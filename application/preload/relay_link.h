/* The way to the extension: its shared area, and findings. Everything fails softly. */
#ifndef APPLICATION_PRELOAD_RELAY_LINK_H
#define APPLICATION_PRELOAD_RELAY_LINK_H

#include "application/runtime_area.h"

#include <stdbool.h>

/* Maps the area for reading; waits a tenth of a second at most. NULL: there is none. */
const struct runtime_area *relay_link_map(void);
/* False: it could not be sent. */
bool relay_link_tell(const struct runtime_finding *finding);

#endif
