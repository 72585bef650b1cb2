/* What yaguractl shows to people: escaped texts, colours on a terminal, numbers and times that can
 * be read, a progress bar. */
#ifndef AGENT_CONTROL_DISPLAY_H
#define AGENT_CONTROL_DISPLAY_H

#include "common/attributes.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Control, bidirectional and invisible characters become \xNN; a backslash stays, because what the
 * agent sends is escaped already. NULL when out of memory. */
char *display_text_new(const char *text);
void display_print(const char *text);       /* the same to standard output */
void display_sentence(const char *english); /* the same in the reader's language */

enum display_colour { COLOUR_PLAIN, COLOUR_BOLD, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED };
/* The control sequence, or "" when standard output is no terminal or NO_COLOR is set. */
const char *display_colour(enum display_colour colour);

#define DISPLAY_BYTES 48
/* 1,234,567 */
const char *display_count(char text[static DISPLAY_BYTES], uint64_t number);
/* 12.3 MiB */
const char *display_size(char text[static DISPLAY_BYTES], uint64_t bytes);
/* 350 ms, 2 s, 5 min, 3 h, 4 days */
const char *display_duration(char text[static DISPLAY_BYTES], uint64_t ns);
/* 2026-11-22 10:11:12, local time */
const char *display_time(char text[static DISPLAY_BYTES], uint64_t realtime_ns);

/* Members of an object; "" and 0 when they are not there. */
const char *member_text(const json_t *object, const char *key);
uint64_t member_number(const json_t *object, const char *key);

/* A bar on standard error, when that is a terminal: line is drawn over the last one. */
void display_progress(uint64_t done, uint64_t total, const char *line);
void display_progress_clear(void);

/* Moments as people write them: "2h" or "2h ago", "2026-11-22", "2026-11-22 10:00[:00]" in local
 * time, "2026-11-22T10:00:00Z". -EINVAL. */
int display_parse_moment(const char *text, uint64_t *ret_realtime_ns) MUST_USE;

#endif
