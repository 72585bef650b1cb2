/* Goes through a bucket page by page. A page is handed on whole, and only then is its end the place
 * to go on from. One thread. */
#ifndef STORAGE_BUCKET_BUCKET_SCAN_H
#define STORAGE_BUCKET_BUCKET_SCAN_H

#include "common/attributes.h"
#include "storage/bucket/scan_place.h"
#include "storage/scan/object_scanner.h"

#include <stdbool.h>

#define BUCKET_PAGE 1000 /* what S3 lists at once */

/* Where a page goes. take: returns when all of the page is done with, adds to counts and bytes.
 * -errno: the scan ends, to be taken up again at the beginning of this page. */
struct page_end {
    int (*take)(void *user, const struct storage_object *objects, size_t count,
                struct scan_place *place);
    void *user;
};

struct bucket_scan {
    struct object_scanner *scanner; /* its client lists; its settings say what is wanted */
    const struct page_end *end;
    const char *region;     /* "" = not said */
    unsigned page;          /* objects of a page, up to BUCKET_PAGE */
    const char *place_path; /* NULL = nothing is remembered */
    const bool *stop;
    /* After each page; may be NULL. */
    void (*progress)(void *user, const struct scan_place *place);
    void *progress_user;
};

/* Until the end of the bucket (place->finished), or *stop. -errno with the problem logged. */
int bucket_scan_run(const struct bucket_scan *scan, struct scan_place *place) MUST_USE;
/* How many objects there are: as many requests as pages. */
int bucket_scan_count(const struct bucket_scan *scan, const struct scan_place *place,
                      uint64_t *ret_count) MUST_USE;

/* One end: jobs for the pollers of a queue. */
struct page_queue {
    struct aws_client *client;
    const char *url;
};
/* queue must outlive it. */
struct page_end page_queue_end(struct page_queue *queue);

/* The other: threads of our own. An object that fails is tried PAGE_WORKER_TRIES times. */
#define PAGE_WORKER_TRIES 3
struct page_workers;
int page_workers_new(struct scan_resources *resources, size_t count,
                     struct page_workers **ret_workers) MUST_USE;
/* NULL is legal. */
struct page_workers *page_workers_free(struct page_workers *workers);
struct page_end page_workers_end(struct page_workers *workers);

#endif
