/* All that is done about a published result, in this order: quarantine or promotion, webhook,
 * Security Hub. Each may come twice, and is made so that this harms nobody. One thread. */
#ifndef STORAGE_ACTIONS_ACTIONS_H
#define STORAGE_ACTIONS_ACTIONS_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"
#include "storage/report/console_report.h"
#include "storage/settings/storage_settings.h"

struct actions;

/* -EINVAL with a problem: the settings ask for nothing, or for what cannot be; -EIO: a secret
 * cannot be read; -ENOMEM. settings and client stay the caller's and live longer. */
int actions_new(const struct storage_settings *settings, struct aws_client *client,
                struct actions **ret_actions, char *problem, size_t problem_size) MUST_USE;
struct actions *actions_free(struct actions *actions);
/* Who is told what was done; NULL = nobody. It stays the caller's and lives longer. */
void actions_set_report(struct actions *actions, struct console_report *report);

/* A message's text; again: it came before, and the console knows of its failure. 0: done, forget
 * it. -EAGAIN: it shall come again. Logged here. Nothing is done about a bucket that the settings
 * do not name, where they name any. */
int actions_handle(struct actions *actions, const char *text, size_t length, bool again) MUST_USE;

#endif
