/* The baseline: what every cared-for file was when somebody last approved it, and what it was when
 * it was last looked at. A SQLite file of its own beside the event store (a corrupt one takes no
 * events with it), used by one thread; readers of `yaguractl integrity show` have connections of
 * their own.
 *
 * It is signed. Each directory's rows are sealed by an HMAC-SHA256; the header (how many
 * directories, the sum of their seals, when and by which rules it was approved) is signed with an
 * Ed25519 key that only root can read, from which the HMAC's key is derived. Whoever changes the
 * file without that key is noticed when the directory is next compared, or at the next start. Root
 * can read the key: against root, the key id and the time of approval also stand in the events that
 * the console has. */
#ifndef AGENT_INTEGRITY_BASELINE_H
#define AGENT_INTEGRITY_BASELINE_H

#include "agent/integrity/file_facts.h"
#include "common/attributes.h"
#include "common/database/database.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct baseline;

/* key_path: made when it is missing. ret_notice: "" or what had to be done. A file that was corrupt
 * is moved aside; the baseline is then empty. -errno. */
int baseline_open(const char *path, const char *key_path, struct baseline **ret_baseline,
                  char ret_notice[static 512]) MUST_USE;
struct baseline *baseline_close(struct baseline *baseline);

/* The key's id, hexadecimal. */
const char *baseline_key_id(const struct baseline *baseline);

/* Nothing was ever approved: there is nothing to compare with. */
bool baseline_is_empty(const struct baseline *baseline);
/* By which rules it was made; "" for none. */
const char *baseline_rules_text(const struct baseline *baseline);
uint64_t baseline_approved_ns(const struct baseline *baseline); /* realtime */
uint64_t baseline_count(const struct baseline *baseline);       /* files, directories and links */
/* How many are not as they were approved. */
uint64_t baseline_changed(const struct baseline *baseline);
/* Somebody else wrote to it since it was last approved. */
bool baseline_is_tampered(const struct baseline *baseline);
void baseline_note_tampering(struct baseline *baseline);

/* Checks every seal and the signature: 0, -EBADMSG (and notes it), -errno. */
int baseline_verify(struct baseline *baseline) MUST_USE;

/* ---- reading ---- */

struct baseline_row {
    const char *name;
    size_t name_length;
    const uint8_t *facts; /* encoded; NULL: it is gone since */
    size_t facts_length;
    bool approved_differs; /* not as it was approved */
    bool seen;             /* the caller's */
};

/* The rows of a directory, sorted by name. */
struct baseline_page {
    char *directory;
    size_t directory_length;
    struct baseline_row *rows;
    size_t count, capacity;
    uint8_t *bytes;
    size_t bytes_length, bytes_capacity;
};

/* Reads the directory's rows and checks their seal: -EBADMSG when it does not hold (the page is
 * filled all the same). */
int baseline_load(struct baseline *baseline, const char *directory, size_t length,
                  struct baseline_page *page) MUST_USE;
struct baseline_row *baseline_page_find(struct baseline_page *page, const char *name,
                                        size_t length);
void baseline_page_done(struct baseline_page *page);

/* Calls take for each directory with rows, in order; it must not write. < 0 ends it. */
int baseline_each_directory(struct baseline *baseline,
                            int (*take)(void *user, const char *directory, size_t length),
                            void *user) MUST_USE;

/* The same for a directory and those below it. */
int baseline_each_below(struct baseline *baseline, const char *path, size_t length,
                        int (*take)(void *user, const char *directory, size_t length),
                        void *user) MUST_USE;

/* ---- writing, between begin and commit ---- */

int baseline_begin(struct baseline *baseline) MUST_USE;
/* Seals what was touched, signs the header. On failure nothing of it happened. */
int baseline_commit(struct baseline *baseline) MUST_USE;
void baseline_rollback(struct baseline *baseline);

enum baseline_put {
    BASELINE_SEEN,     /* nothing that matters has changed: approved or not, it stays that */
    BASELINE_CHANGED,  /* it is not what it was; approved again when it is as it was approved */
    BASELINE_APPROVED, /* that is how it shall be */
};
/* The file as it is now; facts NULL: it is gone. */
int baseline_put(struct baseline *baseline, const char *path, size_t length,
                 const struct file_facts *facts, enum baseline_put how) MUST_USE;
/* Nobody cares about it any more. */
int baseline_forget(struct baseline *baseline, const char *path, size_t length) MUST_USE;
/* From now on it is kept by these rules. */
int baseline_use_rules(struct baseline *baseline, const char *rules_text) MUST_USE;
/* All that was put since shall be so: the moment is noted, and tampering forgotten. */
int baseline_approve(struct baseline *baseline) MUST_USE;

/* Texts that differences are told of. content NULL: forgotten. */
int baseline_put_text(struct baseline *baseline, const char *path, size_t length,
                      const void *content, size_t content_length) MUST_USE;
/* -ENOENT. */
int baseline_read_text(struct baseline *baseline, const char *path, size_t length,
                       struct buffer *content) MUST_USE;

/* ---- for readers with a connection of their own ---- */

struct baseline_entry {
    const char *path;
    size_t path_length;
    const uint8_t *facts, *approved; /* encoded; NULL: gone; was not there */
    size_t facts_length, approved_length;
};
/* Entries at prefix or below it ("": all); only those that are not as approved, when changed. take
 * returns non-zero to stop. */
int baseline_read(const char *path, const char *prefix, bool changed,
                  int (*take)(void *user, const struct baseline_entry *entry), void *user) MUST_USE;

#endif
