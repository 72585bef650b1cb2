/* The two questions libinjection answers. It comes without a header of its own: its object files
 * stand in libmodsecurity's static archive, need nothing of the rest and are all that is linked.
 * Pure functions. Source: libinjection's README; libmodsecurity 3.0 packages. */
#ifndef APPLICATION_DETECTION_LIBINJECTION_H
#define APPLICATION_DETECTION_LIBINJECTION_H

#include <stddef.h>

/* 1 when text reads like injected SQL; fingerprint gets up to 5 letters and a NUL. */
int libinjection_sqli(const char *text, size_t length, char fingerprint[8]);
/* 1 when text reads like injected HTML or script. */
int libinjection_xss(const char *text, size_t length);

#endif
