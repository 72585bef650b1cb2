/* Results as signed messages: a POST of the published text, with the time in X-Yagura-Timestamp and
 * "v1=" and HMAC-SHA256 (hexadecimal) of time, a dot and the text in X-Yagura-Signature, as the
 * console's webhooks have it. One thread. */
#ifndef STORAGE_ACTIONS_WEBHOOK_H
#define STORAGE_ACTIONS_WEBHOOK_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

struct webhook;

/* Copied. pin: "" = the system's trust store. -EINVAL: no https:// (or http:// to the host itself),
 * or no secret. -EBADMSG: the pin. -ENOMEM. */
int webhook_new(const char *url, const char *pin, const char *secret,
                struct webhook **ret_webhook) MUST_USE;
struct webhook *webhook_free(struct webhook *webhook);

/* 0; -EAGAIN: try again; -EBADMSG: the receiver wants no such text, and will not. */
int webhook_send(struct webhook *webhook, const char *text, size_t length, char *problem,
                 size_t problem_size) MUST_USE;

#define WEBHOOK_SIGNATURE_BYTES 68
int webhook_sign(const char *secret, const char *time, const char *text, size_t length,
                 char ret_signature[static WEBHOOK_SIGNATURE_BYTES]) MUST_USE;

#endif
