/* The programs that may run: SHA-256 of their content, wherever it lies. All of them in memory, so
 * that a decision waits for no disk, and in a SQLite file of its own, each row sealed, the number
 * and the sum of the seals signed (common/crypto/seals.h): a row that somebody else wrote is no
 * program of ours, one that is missing is noticed.
 *
 * Thread-safe; what is added counts at once and is on disk after the next inventory_commit. */
#ifndef AGENT_APPLICATION_CONTROL_INVENTORY_H
#define AGENT_APPLICATION_CONTROL_INVENTORY_H

#include "common/attributes.h"
#include "common/crypto/hash.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct inventory;

/* Why it may run. The numbers are on disk. */
enum inventory_origin {
    INVENTORY_FOUND = 1,       /* it was there when the inventory was made */
    INVENTORY_RUN = 2,         /* it was run while learning */
    INVENTORY_PACKAGE = 3,     /* it is as its package brought it */
    INVENTORY_SCRIPT = 4,      /* a package manager's own script */
    INVENTORY_MAINTENANCE = 5, /* it came during maintenance */
};

struct inventory_program {
    uint8_t sha256[SHA256_BYTES];
    uint64_t size;
    const char *path; /* where it was first met, raw; "" unknown */
    enum inventory_origin origin;
    const char *package; /* "" none */
};

/* What is signed beside the programs. Times are realtime, 0: none. */
struct inventory_marks {
    uint64_t complete_ns; /* when everything there was had been looked at */
    uint64_t maintenance_from_ns, maintenance_until_ns;
    uint64_t gap_from_ns, gap_until_ns; /* of it: its time was over, then it was put on again */
};

/* key_path: made when it is missing. ret_notice: "" or what had to be done. A file that was corrupt
 * is moved aside; the inventory is then empty. -errno. */
int inventory_open(const char *path, const char *key_path, struct inventory **ret_inventory,
                   char ret_notice[static 512]) MUST_USE;
struct inventory *inventory_close(struct inventory *inventory);

bool inventory_has(struct inventory *inventory, const uint8_t sha256[static SHA256_BYTES]);
/* 1: it is new, 0: it was there. -ENOSPC: LIMIT_PROGRAMS of them; -ENOMEM. */
int inventory_add(struct inventory *inventory, const struct inventory_program *program) MUST_USE;
uint64_t inventory_count(struct inventory *inventory);
bool inventory_is_full(struct inventory *inventory);
/* Somebody else wrote to the file since it was last made anew. */
bool inventory_is_tampered(struct inventory *inventory);

struct inventory_marks inventory_marks(struct inventory *inventory);
void inventory_set_marks(struct inventory *inventory, const struct inventory_marks *marks);

/* Writes what was added or set; waits for the disk. On failure it stays to be written. -errno. */
int inventory_commit(struct inventory *inventory) MUST_USE;
/* Forgets all programs and marks, on disk too, and that it was tampered with. -errno. */
int inventory_clear(struct inventory *inventory) MUST_USE;

#endif
