/* The XML that AWS services answer with: elements and text, no document types, no namespaces.
 * Strict, bounded, one pass; the text may be an outsider's. Not thread-safe per reader. */
#ifndef COMMON_AWS_XML_READER_H
#define COMMON_AWS_XML_READER_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XML_DEPTH      16
#define XML_NAME_BYTES 64
#define XML_TEXT_BYTES 65536

enum xml_token {
    XML_OPEN,   /* an element begins: name */
    XML_CLOSE,  /* it ends: name, and its text when it holds no elements */
    XML_END,    /* the document was whole */
    XML_BROKEN, /* not such a document; also when memory is short */
};

struct xml_reader {
    char name[XML_NAME_BYTES];
    struct buffer text; /* decoded, without NUL inside; of the last XML_CLOSE */
    /* its own: */
    const char *at, *end;
    struct xml_name {
        const char *begin;
        size_t length;
    } open[XML_DEPTH];
    size_t depth;
    bool empty_element, root_seen;
};

/* text must outlive the reader. */
void xml_reader_begin(struct xml_reader *reader, const char *text, size_t length);
void xml_reader_done(struct xml_reader *reader);
enum xml_token xml_reader_next(struct xml_reader *reader) MUST_USE;

#endif
