/* What the inspecting process gives up once its rules are loaded: everything but thinking. */
#ifndef APPLICATION_RELAY_INSPECTOR_SANDBOX_H
#define APPLICATION_RELAY_INSPECTOR_SANDBOX_H

#include "common/attributes.h"

/* A step that the kernel lacks is left out and said; -errno otherwise. */
int inspector_sandbox_enter(void) MUST_USE;

#endif
