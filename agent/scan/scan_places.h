/* What a quick scan looks at: where malware lands first. */
#ifndef AGENT_SCAN_SCAN_PLACES_H
#define AGENT_SCAN_SCAN_PLACES_H

#define SCAN_PLACES_MOST 16

/* Those that are there, static text; NULL-terminated. */
void scan_places_quick(const char *ret_paths[static SCAN_PLACES_MOST]);

#endif
