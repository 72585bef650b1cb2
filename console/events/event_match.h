/* Which events somebody wants: for alert rules and for destinations. Written by people as JSON:
 * {"severity": the lowest, "modules": [...], "kinds": [...], "signature": text it begins with,
 * "groups": [ids]}; what is missing narrows nothing. Thread-safe once parsed. */
#ifndef CONSOLE_EVENTS_EVENT_MATCH_H
#define CONSOLE_EVENTS_EVENT_MATCH_H

#include "common/attributes.h"
#include "common/crypto/random.h"
#include "common/wire/wire_read.h"

#define EVENT_MATCH_WORDS 32
#define EVENT_MATCH_WORD  65

struct event_match {
    unsigned severity;
    char modules[EVENT_MATCH_WORDS][EVENT_MATCH_WORD], kinds[EVENT_MATCH_WORDS][EVENT_MATCH_WORD];
    char groups[EVENT_MATCH_WORDS][UUID_TEXT_BYTES];
    char signature[257];
    size_t module_count, kind_count, group_count;
};

/* The names an object of it may have, NULL at the end; others of the reader's object are left. */
extern const char *const EVENT_MATCH_NAMES[];
/* Fails the reader when something is wrong. */
void event_match_read(struct wire_reader *reader, struct event_match *ret_match);
/* From stored JSON; -EBADMSG. */
int event_match_parse(const char *json, struct event_match *ret_match) MUST_USE;

struct event_facts {
    unsigned severity;
    const char *module, *kind, *group; /* group "": none */
    const char *detail;                /* JSON */
};
bool event_matches(const struct event_match *match, const struct event_facts *event);
/* The "signature" of a detail; "" when it has none. */
void event_signature(const char *detail, char ret_signature[static 257]);

#endif
