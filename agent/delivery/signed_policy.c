/* Policies from the console. Owns: folders policy-<agent>-<revision> below the
 * console's directory. Nothing
 * of a document is looked at before its signature holds. */
#include "agent/delivery/signed_policy.h"

#include "agent/policy/policy.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/shortage.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

static int fail(struct settings_error *ret_error, int error, const char *text)
{
    (void)text_copy(ret_error->text, sizeof ret_error->text, text);
    return error;
}

/* A policy's name becomes a file's: letters, digits, dot, dash, underscore; never a path. */
static bool is_file_name(const char *name)
{
    if (name[0] == '.' || name[0] == '\0' || strlen(name) > 120)
        return false;
    return name[strspn(name,
                       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
           '\0';
}

static int check_orders(const struct wire_policy *policy, const char *agent_id,
                        const struct console_orders *orders, struct settings_error *ret_error)
{
    if (!text_equal(policy->agent_id, agent_id))
        return fail(ret_error, -EACCES, "the policy was signed for another computer");
    if (policy->expires_ms < clock_realtime_ns() / NS_PER_MS)
        return fail(ret_error, -ETIME,
                    "the policy's signature has expired: check the clocks of host and console");
    if (policy->revision <= orders->policy_revision)
        return fail(ret_error, -EALREADY,
                    "this revision, or a newer one, was taken or refused before");
    if (!wire_is_uuid(agent_id))
        return fail(ret_error, -EACCES, "this host's identity has no UUID");
    if (policy->text_count == 0 || policy->text_count > LIMIT_POLICY_PARENTS + 1)
        return fail(ret_error, -EINVAL, "the policy has no text, or too many parents");
    for (size_t i = 0; i < policy->text_count; i++)
        if (!is_file_name(policy->texts[i].name))
            return fail(ret_error, -EINVAL, "a policy's name may hold letters, digits, . - and _");
    return 0;
}

static int write_texts(const struct wire_policy *policy, const char *folder)
{
    int r = file_make_directories(folder, 0700);

    for (size_t i = 0; r == 0 && i < policy->text_count; i++) {
        char path[LINK_TEXT_BYTES];
        r = text_format(path, sizeof path, "%s/%s.conf", folder, policy->texts[i].name);
        if (r > 0)
            r = file_replace(path, policy->texts[i].text, strlen(policy->texts[i].text), 0600);
    }
    return r;
}

static int parse(const struct delivered_policy *delivered, struct settings_error *ret_error)
{
    struct policy *policy = NULL;

    int r = policy_load(delivered->path, NULL, &policy, ret_error);
    (void)policy_unref(policy);
    return r;
}

static int place(const struct wire_policy *policy, const char *directory,
                 struct delivered_policy *delivered, struct settings_error *ret_error)
{
    char folder[LINK_TEXT_BYTES];

    int r = text_format(folder, sizeof folder, "%s/policy-%s-%llu", directory, policy->agent_id,
                        (unsigned long long)policy->revision);
    if (r > 0)
        r = text_format(delivered->path, sizeof delivered->path, "%s/%s.conf", folder,
                        policy->texts[policy->text_count - 1].name);
    if (r < 0)
        return fail(ret_error, r, log_error_text(r));
    signed_policy_discard(directory, delivered->path); /* of a try that a crash ended */
    r = write_texts(policy, folder);
    if (r < 0) {
        (void)fail(ret_error, r, log_error_text(r));
    } else {
        r = parse(delivered, ret_error);
        if (r < 0 && !is_shortage(r))
            r = -EINVAL;
    }
    if (r < 0)
        signed_policy_discard(directory, delivered->path);
    return r;
}

int signed_policy_take(const char *document, size_t length, EVP_PKEY *signing_key,
                       const char *agent_id, const struct console_orders *orders,
                       const char *directory, struct delivered_policy *ret_policy,
                       struct settings_error *ret_error)
{
    struct wire_policy policy = {.root = NULL};
    struct wire_problem problem = {.text = ""};
    const char *text = NULL;
    json_t *root = NULL;

    *ret_policy = (struct delivered_policy){.path = ""};
    ret_error->text[0] = '\0';
    int r = wire_signed_decode(document, length, signing_key, &root, &text, &problem);
    if (r == 0)
        r = wire_policy_decode(text, &policy, &problem);
    if (r < 0) {
        json_decref(root);
        return fail(ret_error, r, problem.text[0] != '\0' ? problem.text : "it is not signed");
    }
    struct delivered_policy delivered = {.revision = policy.revision};
    r = check_orders(&policy, agent_id, orders, ret_error);
    if ((r == 0 || r == -EALREADY) &&
        text_copy(delivered.group_id, sizeof delivered.group_id, policy.group_id) >= 0)
        delivered.issued_ms = policy.issued_ms;
    (void)text_copy(ret_policy->group_id, sizeof ret_policy->group_id, delivered.group_id);
    ret_policy->issued_ms = delivered.issued_ms;
    (void)text_copy(ret_policy->digest, sizeof ret_policy->digest, policy.digest);
    if (r == 0)
        ret_policy->revision = policy.revision;
    if (r == 0 && text_copy(delivered.digest, sizeof delivered.digest, policy.digest) < 0)
        r = fail(ret_error, -EINVAL, "the policy's digest is too long");
    if (r == 0)
        r = place(&policy, directory, &delivered, ret_error);
    wire_policy_done(&policy);
    json_decref(root);
    if (r == 0)
        *ret_policy = delivered;
    return r;
}

void signed_policy_discard(const char *directory, const char *path)
{
    AUTO_CLOSE int fd = -1;
    char folder[NAME_MAX + 1];
    size_t prefix = strlen(directory);

    if (strncmp(path, directory, prefix) != 0 || path[prefix] != '/')
        return;
    const char *name = path + prefix + 1;
    if (!text_starts_with(name, "policy-") ||
        text_format(folder, sizeof folder, "%.*s", (int)strcspn(name, "/"), name) < 0)
        return;
    if (file_open_directory(directory, true, &fd) == 0)
        (void)!file_remove_tree(fd, folder);
}

void signed_policy_sweep(const char *directory, const char *path)
{
    int fd = -1;

    if (file_open_directory(directory, true, &fd) < 0)
        return;
    DIR *stream = fdopendir(fd);
    if (stream == NULL) {
        (void)close(fd);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        char kept[LINK_TEXT_BYTES + NAME_MAX];
        if (!text_starts_with(entry->d_name, "policy-") ||
            text_format(kept, sizeof kept, "%s/%s/", directory, entry->d_name) < 0)
            continue;
        if (!text_starts_with(path, kept))
            (void)!file_remove_tree(dirfd(stream), entry->d_name);
    }
    (void)closedir(stream);
}
