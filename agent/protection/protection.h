/* Whether this agent may be taken away: while policy protects it, the console is not left, the host
 * is not reset and its package is not removed before the console has released it, by a command or
 * by a removal code. What says so to package scripts is a file in the state directory.
 *
 * This holds off mistakes and scripts, not root: root can stop the unit and remove the file. It is
 * told: the stop of a protected agent is an event of high severity, and the console misses its
 * heartbeats. */
#ifndef AGENT_PROTECTION_PROTECTION_H
#define AGENT_PROTECTION_PROTECTION_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct event_loop;
struct protection;
struct store;

#define PROTECTION_FILE "protection"
/* A release that was given while no agent ran. */
#define PROTECTION_RELEASE_FILE "protection-released"
#define PROTECTION_RELEASE_NS   (3600ULL * 1000000000ULL)
#define PROTECTION_REFUSAL                                                                       \
    "this agent is protected: give yaguractl release a removal code of the console, or send it " \
    "release_protection from there"

/* Not protected yet; a file that an earlier run left stays until protection_set. A release that was
 * given before the start goes on. In the loop's thread. */
int protection_start(struct event_loop *loop, struct store *store, const char *state_directory,
                     struct protection **ret_protection) MUST_USE;
/* The file stays as it is. NULL is legal. */
struct protection *protection_stop(struct protection *protection);
/* As policy says, and with it the file. A file that cannot be brought in line is logged and is
 * protection_problem's: it keeps nothing else from being protected. In the loop's thread. */
void protection_set(struct protection *protection, bool enabled);

/* Thread-safe. */
bool protection_is_on(struct protection *protection);
/* 0, or why the file does not say what holds (-errno). Thread-safe. */
int protection_problem(struct protection *protection);
/* By the console's signed word: off for this time, then on again by itself. The file is gone when
 * it returns. detail: of the event, a JSON object that says whose word it was. Thread-safe. */
void protection_release(struct protection *protection, uint64_t duration_ns, const char *detail);
/* A word that was not good enough; reason is a stable word. Thread-safe. */
void protection_record_refusal(struct protection *protection, const char *reason);
/* The same as a release where no agent runs, whose lock the caller holds: the next start tells of
 * it, and goes on with what is left of the time. -errno. */
int protection_release_stopped(const char *state_directory, uint64_t duration_ns,
                               const char *detail) MUST_USE;

#endif
