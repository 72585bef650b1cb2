/* Every limit of application protection that the engine keeps. What a client sends is at most 6 MB
 * (the service's own limit); nothing made out of it grows without one of these. */
#ifndef APPLICATION_LIMITS_H
#define APPLICATION_LIMITS_H

#include <stddef.h>

enum application_limit {
    APPLICATION_LIMIT_EVENT = 8 << 20,       /* bytes of an event that is looked into */
    APPLICATION_LIMIT_ARENA = 160 << 20,     /* bytes of address space for one request */
    APPLICATION_LIMIT_INFLATED = 8 << 20,    /* bytes a compressed body may become */
    APPLICATION_LIMIT_INFLATE_RATIO = 200,   /* times its size; beyond, inflating ends */
    APPLICATION_LIMIT_CODINGS = 4,           /* of a body, one over the other */
    APPLICATION_LIMIT_DECODINGS = 3,         /* of a value, one inside the other */
    APPLICATION_LIMIT_FIELDS = 512,          /* headers, cookies */
    APPLICATION_LIMIT_ARGUMENTS = 16384,     /* arguments of one request */
    APPLICATION_LIMIT_NAME = 4096,           /* bytes of an argument's name */
    APPLICATION_LIMIT_PARTS = 512,           /* parts of a multipart body */
    APPLICATION_LIMIT_PASSED_OVER = 8,       /* pieces of a body that its reader left out */
    APPLICATION_LIMIT_JSON_DEPTH = 128,      /* levels of a JSON body */
    APPLICATION_LIMIT_WINDOW = 65536,        /* bytes of a value inspected in one piece */
    APPLICATION_LIMIT_WINDOW_OVERLAP = 1024, /* bytes that two such pieces share */
    APPLICATION_LIMIT_FINDINGS = 32,         /* findings of one request */
    APPLICATION_LIMIT_EXCERPT = 512,         /* bytes of an excerpt */
    APPLICATION_LIMIT_MATCHED = 64,          /* bytes of the name of a matched part */
    APPLICATION_LIMIT_TABLE = 16 << 20,      /* bytes of a rule table */
    APPLICATION_LIMIT_RULES = 16384,         /* rules in it */
    APPLICATION_LIMIT_PIPELINES = 4096,      /* different rows of transformations in it */
    APPLICATION_LIMIT_PIPELINE_DEPTH = 64,   /* transformations in a row */
    APPLICATION_LIMIT_POLICY_ENTRIES = 1024, /* exclusions, addresses, hosts, hashes: each */
    APPLICATION_LIMIT_PCRE_MATCH = 100000,   /* PCRE2's match limit */
    APPLICATION_LIMIT_PCRE_HEAP_KIB = 4096,  /* PCRE2's heap limit */
    APPLICATION_LIMIT_SOURCE = 4 << 20,      /* bytes of one SecLang or data file */
    APPLICATION_LIMIT_SOURCES = 512,         /* such files */
};

#endif
