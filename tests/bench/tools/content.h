/* File contents of the kinds a Linux host has, each different from every other by its index. */
#ifndef TESTS_BENCH_TOOLS_CONTENT_H
#define TESTS_BENCH_TOOLS_CONTENT_H

#include "tests/bench/tools/tool.h"

enum content_kind {
    CONTENT_TEXT,
    CONTENT_HTML,
    CONTENT_SCRIPT,
    CONTENT_JSON,
    CONTENT_ELF,
    CONTENT_PE,
    CONTENT_ZIP,
    CONTENT_BINARY,
    CONTENT_EICAR,
};

enum {
    CONTENT_EICAR_BYTES = 68,
    CONTENT_INDEX_BYTES = 40, /* white space after EICAR that makes a file unlike every other */
    CONTENT_OVERHEAD = 4096,  /* room beyond the asked size that content_fill may need */
};

/* A kind as often as it stands on a small Linux server: mostly text, few executables. */
enum content_kind content_some_kind(struct tool_random *random);

/* ".txt", ".html", ... */
const char *content_extension(enum content_kind kind);

/* Fills buffer (size + CONTENT_OVERHEAD bytes) with about size bytes; answers how many. EICAR keeps
 * its own length: 68 bytes and at most 60 of white space, as eicar.org allows. */
size_t content_fill(enum content_kind kind, struct tool_random *random, uint64_t index,
                    uint8_t *buffer, size_t size);

#endif
