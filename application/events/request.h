/* An HTTP request taken apart into what rules look at: lists of named values, each list under the
 * name the rule language has for it. Everything points into the event or the arena.
 *
 * Owns: nothing but the order of the lists. Hands off: values to application/detection. */
#ifndef APPLICATION_EVENTS_REQUEST_H
#define APPLICATION_EVENTS_REQUEST_H

#include "application/events/event_view.h"
#include "application/limits.h"

enum request_list {
    REQUEST_URI,     /* decoded once, with the query */
    REQUEST_URI_RAW, /* as sent */
    REQUEST_FILENAME,
    REQUEST_BASENAME,
    REQUEST_LINE,
    REQUEST_METHOD,
    REQUEST_PROTOCOL,
    REQUEST_QUERY,
    REQUEST_BODY,
    REQUEST_BODY_PROCESSOR, /* URLENCODED, JSON, XML, MULTIPART */
    REQUEST_ADDRESS,
    REQUEST_HEADERS,
    REQUEST_HEADER_NAMES,
    REQUEST_COOKIES,
    REQUEST_COOKIE_NAMES,
    REQUEST_ARGUMENTS_GET,
    REQUEST_ARGUMENTS_GET_NAMES,
    REQUEST_ARGUMENTS_POST, /* of forms, JSON and multipart */
    REQUEST_ARGUMENTS_POST_NAMES,
    REQUEST_FILES,       /* file names of uploads */
    REQUEST_FILES_NAMES, /* the fields they came in */
    REQUEST_PART_HEADERS,
    REQUEST_XML_TEXT, /* all of it in one */
    REQUEST_XML_ATTRIBUTES,
    REQUEST_XML_PIECES, /* each text, CDATA section, comment and instruction for itself */
    REQUEST_LIST_COUNT
};

/* One form of a value after some transformations; application/detection's. */
struct value_form;

struct request_value {
    struct span name;
    struct span text;
    struct value_form **forms; /* by pipeline, NULL until the first is asked for */
};

struct request_values {
    struct request_value *values;
    size_t count;
    size_t capacity;
};

/* An uploaded file, in place. */
struct request_upload {
    struct span field;
    struct span file_name;
    struct span type; /* its part's Content-Type */
    struct span content;
};

struct request {
    struct arena *arena;
    const struct event_view *view;
    struct request_values lists[REQUEST_LIST_COUNT];
    struct request_upload *uploads;
    size_t upload_count;
    struct span body;     /* as the application gets it; decompressed where asked for */
    bool body_malformed;  /* its processor could not read it to the end */
    size_t uploads_bytes; /* of all uploads */
    bool partial;         /* a limit was hit */
    /* Parts of the body that its reader did not look into; what does not fit is partial. */
    struct span passed_over[APPLICATION_LIMIT_PASSED_OVER];
    size_t passed_over_count;
};

struct request_options {
    bool inflate;    /* undo Content-Encoding */
    bool whole_body; /* REQUEST_BODY of multipart too: files and all */
    bool length;     /* a Content-Length where the event has lost it, for rules that ask for one */
};

/* view and arena must outlive request. What does not fit is left out: request->partial. */
void request_read(const struct event_view *view, const struct request_options *options,
                  struct arena *arena, struct request *request);
void request_add(struct request *request, enum request_list list, struct span name,
                 struct span text);
/* An argument of the body: its value and its name. */
void request_add_argument(struct request *request, struct span name, struct span text);

/* Notes a part of the body that no reader looked into; blanks are nothing. */
void request_pass_over(struct request *request, struct span text);

/* The body's readers; each appends to request's lists. */
void body_form_read(struct request *request, struct span text, enum request_list values,
                    enum request_list names);
void body_json_read(struct request *request, struct span text);
void body_xml_read(struct request *request, struct span text);
void body_multipart_read(struct request *request, struct span text, struct span content_type);

/* Percent signs and '+' undone once, what is malformed kept. text itself when nothing changes. */
struct span percent_decode(struct arena *arena, struct span text, bool plus);
/* Base64 of either alphabet, blanks skipped, up to the first other byte. */
struct span base64_read(struct arena *arena, struct span text);
enum inflate_outcome {
    INFLATE_WHOLE,
    INFLATE_CUT,    /* there is more than the limits allow */
    INFLATE_FAILED, /* it is damaged, or no such thing at all */
};
struct inflated {
    enum inflate_outcome outcome;
    struct span plain; /* what came out, also of what failed */
    struct span rest;  /* what follows in the text */
};
/* gzip (all its members), zlib or raw deflate, up to the limits. */
struct inflated inflate_read(struct arena *arena, struct span text);
/* The same for Brotli. */
struct inflated brotli_read(struct arena *arena, struct span text);

#endif
