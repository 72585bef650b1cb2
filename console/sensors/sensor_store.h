/* Sensor keys and the records of sensors. A key is "ysk1_" + 32 random bytes in base64url, of one
 * kind; only its SHA-256 is stored. A key may serve many sensors: a record is named by kind, scope
 * (the key's group), account, region and name, so that a key that is renewed goes on with the same
 * records, and one of another group cannot speak for them. */
#ifndef CONSOLE_SENSORS_SENSOR_STORE_H
#define CONSOLE_SENSORS_SENSOR_STORE_H

#include "common/attributes.h"
#include "common/wire/wire.h"
#include "console/agents/tokens.h"
#include "console/store/sql.h"

struct sensor_key_draft {
    const char *name, *kind, *created_by;
    const char *group_id, *policy_id; /* NULL: none */
    int64_t expires_ms;
};
/* -EDQUOT beyond LIMIT_SENSOR_KEYS. */
int sensor_key_create(struct sql *sql, const struct sensor_key_draft *draft,
                      char ret_id[static UUID_TEXT_BYTES],
                      char ret_key[static SECRET_TEXT_BYTES]) MUST_USE;
/* 1, or 0 when there is none that could be revoked. */
int sensor_key_revoke(struct sql *sql, const char *id) MUST_USE;

struct sensor_key {
    char id[UUID_TEXT_BYTES], kind[32];
    char group_id[UUID_TEXT_BYTES], policy_id[UUID_TEXT_BYTES]; /* "": none */
};
/* 1, or 0 when it is unknown, revoked or expired. */
int sensor_key_check(struct sql *sql, const char *key, struct sensor_key *ret_key) MUST_USE;

struct sensor_record {
    int64_t number, last_seen_ms, policy_revision;
    char id[UUID_TEXT_BYTES], policy_digest[65];
    bool as_reported; /* what the report says of the sensor is what is stored */
};
/* 1, or 0 when it has never been heard. */
int sensor_find(struct sql *sql, const struct sensor_key *key,
                const struct wire_sensor_report *report, struct sensor_record *ret_record) MUST_USE;
/* By the id the console gave it; 0 also when the key does not speak for it. */
int sensor_find_by_id(struct sql *sql, const struct sensor_key *key, const char *id,
                      struct sensor_record *ret_record) MUST_USE;
/* Makes or updates the record. -EDQUOT beyond LIMIT_SENSORS. */
int sensor_note(struct sql *sql, const struct sensor_key *key,
                const struct wire_sensor_report *report, const char *address,
                struct sensor_record *ret_record) MUST_USE;
/* With its runs, and an audit entry; its events stay. -ENOENT. */
int sensor_remove(struct sql *sql, int64_t number, const char *actor, const char *address,
                  const char *action) MUST_USE;

#endif
