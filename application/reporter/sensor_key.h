/* The sensor key of a function: from Parameter Store by the name of a SecureString, or from a file.
 * Never from the environment, which everything in the function can read. */
#ifndef APPLICATION_REPORTER_SENSOR_KEY_H
#define APPLICATION_REPORTER_SENSOR_KEY_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

#define SENSOR_KEY_BYTES 512

/* YAGURA_CONSOLE_KEY_PARAMETER or YAGURA_CONSOLE_KEY_FILE, the first that is set. Within wait_ns.
 * 0; -ENOKEY none is set; -EAGAIN later perhaps; -EACCES a person must act; with ret_problem, 512
 * bytes. Wipe the key after use. */
int sensor_key_find(uint64_t wait_ns, char ret_key[static SENSOR_KEY_BYTES],
                    char ret_problem[static 512]) MUST_USE;

/* The value in an answer of GetParameter. -EBADMSG. */
int sensor_key_read(const char *json, size_t length,
                    char ret_key[static SENSOR_KEY_BYTES]) MUST_USE;

#endif
