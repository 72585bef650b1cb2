/* A state directory, a store, a responder and a folder of files to detect, for tests. */
#ifndef TESTS_UNIT_AGENT_RESPOND_RESPOND_FIXTURE_H
#define TESTS_UNIT_AGENT_RESPOND_RESPOND_FIXTURE_H

#include "agent/respond/quarantine.h"
#include "agent/respond/responder.h"
#include "agent/store/store.h"

struct respond_fixture {
    char directory[64];
    char state[96], files[96];
    struct store *store;
    struct responder *responder;
    struct responder_options options;
};

/* parent: where the directories are made, "/tmp" usually. */
void fixture_open(struct respond_fixture *fixture, const char *parent);
void fixture_start(struct respond_fixture *fixture);
void fixture_stop(struct respond_fixture *fixture);
void fixture_close(struct respond_fixture *fixture);

/* FILES/name, made with content and mode. */
void fixture_make(const struct respond_fixture *fixture, const char *name, const char *content);
char *fixture_path(const struct respond_fixture *fixture, const char *name); /* freed by caller */
bool fixture_exists(const struct respond_fixture *fixture, const char *name);
/* Submits it as signature and waits for done. Returns its result. */
int fixture_detect(struct respond_fixture *fixture, const char *name, const char *signature);
int fixture_detect_path(struct respond_fixture *fixture, const char *path, const char *signature);
/* Waits until nothing is waiting or pending. */
void fixture_settle(struct respond_fixture *fixture);
/* How many events of kind ("" all) there are. */
unsigned fixture_events(struct respond_fixture *fixture, const char *kind);
/* Detail of the last event of kind; freed by caller, NULL when there is none. */
char *fixture_detail(struct respond_fixture *fixture, const char *kind);
/* Rows of the quarantine; ret_id: the newest, may be NULL. */
unsigned fixture_rows(struct respond_fixture *fixture, char ret_id[UUID_TEXT_BYTES]);

#endif
