/* The inspecting process: loads the rules, confines itself, judges what stands in shared memory.
 * It may crash; whoever started it goes on. */
#ifndef APPLICATION_RELAY_INSPECTOR_H
#define APPLICATION_RELAY_INSPECTOR_H

/* Until the other end closes the socket. table: path of the compiled rules, "" = none. The rest
 * comes by descriptors: see inspector_area.h. The status to exit with. */
int inspector_run(const char *table);

#endif
