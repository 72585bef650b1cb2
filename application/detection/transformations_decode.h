/* The decoders among the transformations: each reads text, writes at most as many bytes to `to`,
 * and returns how many. Thread-safe: no state. */
#ifndef APPLICATION_DETECTION_TRANSFORMATIONS_DECODE_H
#define APPLICATION_DETECTION_TRANSFORMATIONS_DECODE_H

#include "application/events/span.h"

size_t css_decode(struct span text, char *to);
size_t escape_sequence_decode(struct span text, char *to);
size_t hex_decode(struct span text, char *to);
size_t html_entity_decode(struct span text, char *to);
size_t js_decode(struct span text, char *to);
/* unicode: also %uHHHH. */
size_t url_decode(struct span text, char *to, bool unicode);
/* The character text begins with; *ret_used bytes, 0 when it is no valid UTF-8. */
uint32_t utf8_read(struct span text, size_t *ret_used);

#endif
