/* Loads what libraries would load lazily, while files may still be opened. */
#ifndef SCANNER_WARM_UP_H
#define SCANNER_WARM_UP_H

/* Character converters, time zone, random numbers. A converter that this C library lacks is left
 * out. Without this a confined worker silently misses UTF-16BE and UTF-32 HTML. */
void warm_up_libraries(void);

#endif
