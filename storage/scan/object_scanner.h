/* One object from its event to its verdict: fetch, scan, tag, publish. Each step may be repeated
 * from the beginning: whoever is not told that all is done gives the event back.
 * One object_scanner a thread; what they share is struct scan_resources. */
#ifndef STORAGE_SCAN_OBJECT_SCANNER_H
#define STORAGE_SCAN_OBJECT_SCANNER_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"
#include "storage/events/storage_event.h"
#include "storage/scan/fetch.h"
#include "storage/scan/publisher.h"
#include "storage/scan/scan_service.h"
#include "storage/scan/storage_result.h"
#include "storage/scan/tag_sight.h"
#include "storage/scan/tagger.h"

#include <stdbool.h>

/* Shared by all threads; read only but for what is thread-safe itself. */
struct scan_resources {
    const struct storage_settings *settings;
    struct aws_settings aws;
    struct signature_mirror *mirror; /* NULL = none */
    struct scan_service *service;
    struct fetch_pool *pool;
    struct tagger tagger;
    struct tag_sight *tag_sight;
    struct publisher *publisher; /* NULL = no topic */
    char name[256];              /* of this scanner */
    uint64_t begun_ns;           /* when its start began; monotonic */
    bool stopping;               /* atomic: requests end early */
    /* Told of each result, whatever thread; NULL = nobody. */
    void (*told)(void *user, const struct storage_result *result);
    void *told_user;
};
/* scans: starts the scanner, too. -errno with the problem logged. */
int scan_resources_start(const struct storage_settings *settings, bool scans,
                         struct scan_resources *ret_resources) MUST_USE;
void scan_resources_stop(struct scan_resources *resources);
/* In a function: until there is an engine, or it must ask for its first event. As
 * scan_service_wait. */
int scan_resources_wait(struct scan_resources *resources) MUST_USE;
/* Which engine a result is of, with which signatures, and how it was confined. */
void scan_resources_note_engine(struct scan_resources *resources, struct storage_result *result);
/* Requests and scans end as soon as they can. */
void scan_resources_hurry(struct scan_resources *resources);

struct object_scanner;
int object_scanner_new(struct scan_resources *resources,
                       struct object_scanner **ret_scanner) MUST_USE;
struct object_scanner *object_scanner_free(struct object_scanner *scanner);
struct aws_client *object_scanner_client(struct object_scanner *scanner);
/* Where unnamed files are. */
const char *object_scanner_directory(const struct object_scanner *scanner);

/* Whether the settings want this object scanned. */
bool object_scanner_wants(const struct object_scanner *scanner,
                          const struct storage_object *object);
struct scan_order {
    const char *message_id; /* "" = none */
    uint64_t deadline_ns;   /* monotonic */
    bool again;             /* the message came before, and who knows how far it got */
};
/* 0: all is done, the result was tagged and published as far as that can be. -EAGAIN: try again
 * later, the problem is logged. */
int object_scanner_run(struct object_scanner *scanner, const struct storage_object *object,
                       const struct scan_order *order, struct storage_result *ret_result) MUST_USE;
/* Fetches and scans without telling anybody: -EAGAIN as above; other outcomes are a verdict. */
int object_scanner_look(struct object_scanner *scanner, const struct storage_object *object,
                        uint64_t deadline_ns, struct storage_result *ret_result) MUST_USE;
/* Publishes a result that was made elsewhere, and tells it as _run does; 0 also when no topic is
 * set. -EAGAIN. */
int object_scanner_tell(struct object_scanner *scanner, const struct storage_result *result,
                        const char *message_id) MUST_USE;

#endif
