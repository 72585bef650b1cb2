/* The rule language of ModSecurity, as far as the OWASP Core Rule Set uses it for requests, made
 * into a rule table. Rules of the response phases, and what needs more than a request (reputation,
 * geography, collections that outlive a request), are left out or never match, and counted.
 *
 * Reads only; writes nothing but the buffer. Not thread-safe: one compiler a thread.
 * Source: ModSecurity Reference Manual (v3.x). */
#ifndef APPLICATION_COMPILER_SECLANG_H
#define APPLICATION_COMPILER_SECLANG_H

#include "application/compiler/table_builder.h"
#include "application/detection/inspection.h"

struct seclang;
struct seclang_error {
    char text[512]; /* "file:line: what is wrong" */
};

struct seclang_counts {
    size_t rules;    /* chains count once */
    size_t left_out; /* of the response phases */
    size_t unknown;  /* directives, variables, operators, transformations that were passed over */
};

struct seclang *seclang_new(void); /* NULL: no memory */
struct seclang *seclang_free(struct seclang *seclang);
/* Rules from a text; directory (may be NULL: then they must name none) is where its data files
 * stand. -EINVAL with ret_error, -ENOMEM. */
int seclang_add_text(struct seclang *seclang, const char *name, const char *directory,
                     struct span text, struct seclang_error *ret_error) MUST_USE;
/* A file, or a directory: crs-setup.conf of it when there is one, then *.conf of its rules/ or of
 * itself, by name. */
int seclang_add_path(struct seclang *seclang, const char *path,
                     struct seclang_error *ret_error) MUST_USE;
/* The table's file. -EINVAL: a marker is missing; -ENOMEM, -EMSGSIZE. */
int seclang_finish(struct seclang *seclang, struct buffer *file,
                   struct seclang_error *ret_error) MUST_USE;
struct seclang_counts seclang_counts(const struct seclang *seclang);

#endif
