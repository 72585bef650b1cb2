/* Finding credentials. Owns: the order of places, and temporary ones until they expire. Must not
 * own: requests to services. */
#include "common/aws/credential_chain.h"

#include "common/aws/container_credentials.h"
#include "common/aws/credential_document.h"
#include "common/files/file.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define REFRESH_BEFORE_S (5 * 60)
#define REFRESH_AGAIN_S  60 /* after a failure, while the old ones are used on */
#define ROLE_BYTES       256
#define ROLE_PATH        "meta-data/iam/security-credentials/"

struct credential_chain {
    const struct aws_settings *settings;
    const struct aws_file_opener *opener;
    struct instance_metadata *metadata;
    struct aws_keys keys;
    bool temporary;     /* from the container or the instance: kept until they expire */
    uint64_t expires_s; /* realtime; 0 = not said */
    uint64_t refresh_s; /* realtime: not before */
    char source[AWS_TEXT_BYTES + 64];
};

int credential_chain_new(const struct aws_settings *settings, const struct aws_file_opener *opener,
                         struct instance_metadata *metadata, struct credential_chain **ret_chain)
{
    struct credential_chain *chain = calloc(1, sizeof *chain);
    if (chain == NULL)
        return -ENOMEM;
    chain->settings = settings;
    chain->opener = opener;
    chain->metadata = metadata;
    *ret_chain = chain;
    return 0;
}

struct credential_chain *credential_chain_free(struct credential_chain *chain)
{
    if (chain != NULL)
        explicit_bzero(chain, sizeof *chain);
    free(chain);
    return NULL;
}

const char *credential_chain_source(const struct credential_chain *chain)
{
    return chain->source[0] != '\0' ? chain->source : "no source";
}

bool credential_chain_refused(struct credential_chain *chain)
{
    bool may_change = chain->temporary;

    explicit_bzero(&chain->keys, sizeof chain->keys);
    chain->temporary = false;
    chain->refresh_s = 0;
    return may_change;
}

static void wipe_buffer(struct buffer *buffer)
{
    if (buffer->data != NULL)
        explicit_bzero(buffer->data, buffer->capacity);
    buffer_done(buffer);
}

/* ---- the shared files ---- */

static const char *profile_name(const struct credential_chain *chain)
{
    return chain->settings->profile[0] != '\0' ? chain->settings->profile : "default";
}

/* -ENOENT: no such file, or no such profile in it. */
static int read_shared(struct credential_chain *chain, enum aws_file file,
                       struct shared_profile *profile, bool *exists)
{
    struct buffer text = BUFFER_WITH_MAXIMUM(SHARED_FILE_MOST_BYTES);
    AUTO_CLOSE int fd = -1;

    int r = chain->opener->open(chain->opener->user, file, &fd);
    if (r < 0)
        return r;
    *exists = true;
    r = file_read_all_fd(fd, &text);
    if (r == 0)
        r = shared_file_read(buffer_text(&text), text.length, profile_name(chain),
                             file == AWS_FILE_CONFIG, profile);
    wipe_buffer(&text);
    return r;
}

static enum aws_outcome refuse_file(const struct credential_chain *chain, enum aws_file file,
                                    int error, char *problem, size_t size)
{
    char path[AWS_TEXT_BYTES] = "";

    (void)!aws_file_path(chain->settings, file, path);
    (void)text_format(problem, size, "%s cannot be used (%s): correct it, or remove it", path,
                      log_error_text(error));
    return AWS_NOT_CONFIGURED;
}

enum aws_outcome credential_chain_profile(struct credential_chain *chain,
                                          struct shared_profile *ret_profile, char *problem,
                                          size_t problem_size)
{
    static const enum aws_file files[] = {AWS_FILE_CREDENTIALS, AWS_FILE_CONFIG};
    bool found = false, exists = false;

    *ret_profile = (struct shared_profile){.region = ""};
    for (size_t i = 0; i < ARRAY_LENGTH(files); i++) {
        int r = read_shared(chain, files[i], ret_profile, &exists);
        if (r < 0 && r != -ENOENT)
            return refuse_file(chain, files[i], r, problem, problem_size);
        found |= r == 0;
    }
    if (found || chain->settings->profile[0] == '\0')
        return AWS_OK;
    (void)text_format(problem, problem_size, "the profile \"%.100s\" is in no AWS file: %s",
                      chain->settings->profile,
                      exists ? "correct its name" : "neither credentials nor config is there");
    return AWS_NOT_CONFIGURED;
}

/* AWS_NO_CREDENTIALS: there are none here, look on. */
static enum aws_outcome look_in_files(struct credential_chain *chain, char *problem, size_t size)
{
    struct shared_profile profile;

    enum aws_outcome outcome = credential_chain_profile(chain, &profile, problem, size);
    if (outcome != AWS_OK)
        return outcome;
    bool half = (profile.access_key_id[0] == '\0') != (profile.secret_access_key[0] == '\0');
    if (half || (profile.access_key_id[0] == '\0' && profile.other_source[0] != '\0')) {
        (void)text_format(problem, size,
                          half ? "the AWS profile \"%.100s\" has only one of aws_access_key_id and "
                                 "aws_secret_access_key%s"
                               : "the AWS profile \"%.100s\" uses %s, which is not supported: give "
                                 "it keys, or use the instance's role",
                          profile_name(chain), half ? "" : profile.other_source);
        return AWS_NOT_CONFIGURED;
    }
    if (profile.access_key_id[0] == '\0')
        return AWS_NO_CREDENTIALS;
    (void)text_copy(chain->keys.access_key_id, sizeof chain->keys.access_key_id,
                    profile.access_key_id);
    (void)text_copy(chain->keys.secret_access_key, sizeof chain->keys.secret_access_key,
                    profile.secret_access_key);
    (void)text_copy(chain->keys.session_token, sizeof chain->keys.session_token,
                    profile.session_token);
    (void)text_format(chain->source, sizeof chain->source, "the AWS profile \"%.100s\"",
                      profile_name(chain));
    explicit_bzero(&profile, sizeof profile);
    return AWS_OK;
}

/* ---- temporary ones ---- */

static enum aws_outcome take_document(struct credential_chain *chain, const struct buffer *document,
                                      char *problem, size_t size)
{
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s = 0;
    char reason[384];

    int r = credential_document_read(buffer_text(document), document->length, &keys, &expires_s,
                                     reason, sizeof reason);
    if (r == 0) {
        chain->keys = keys;
        chain->expires_s = expires_s;
        chain->refresh_s = 0;
        chain->temporary = true;
    } else {
        (void)text_format(problem, size, "%s gave no credentials (%s)", chain->source, reason);
    }
    explicit_bzero(&keys, sizeof keys);
    return r < 0 ? AWS_NO_CREDENTIALS : AWS_OK;
}

static enum aws_outcome ask_container(struct credential_chain *chain, char *problem, size_t size)
{
    struct buffer document = BUFFER_WITH_MAXIMUM(CREDENTIAL_DOCUMENT_MOST_BYTES);

    (void)text_copy(chain->source, sizeof chain->source, "the container's credential service");
    enum aws_outcome outcome =
        container_credentials_get(chain->settings, chain->opener, &document, problem, size);
    if (outcome == AWS_OK)
        outcome = take_document(chain, &document, problem, size);
    wipe_buffer(&document);
    return outcome;
}

static enum aws_outcome outcome_of(enum metadata_outcome outcome)
{
    return outcome == METADATA_FAILED ? AWS_UNREACHABLE : AWS_NO_CREDENTIALS;
}

static enum metadata_outcome find_role(struct credential_chain *chain, char role[static ROLE_BYTES],
                                       char *problem, size_t size)
{
    AUTO_BUFFER struct buffer list = BUFFER_WITH_MAXIMUM(4096);

    enum metadata_outcome outcome =
        instance_metadata_get(chain->metadata, ROLE_PATH, &list, problem, size);
    size_t length = strcspn(buffer_text(&list), "\r\n");
    bool plain = strspn(buffer_text(&list), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789+=,.@_-") == length;
    if (outcome == METADATA_NOTHING || (outcome == METADATA_OK && length == 0)) {
        (void)text_copy(problem, size,
                        "the instance has no role: attach an instance profile to it");
        return METADATA_NOTHING;
    }
    if (outcome == METADATA_OK &&
        (!plain || text_format(role, ROLE_BYTES, "%.*s", (int)length, buffer_text(&list)) < 0)) {
        (void)text_copy(problem, size, "the instance metadata gave no name of a role");
        return METADATA_FAILED;
    }
    return outcome;
}

static enum aws_outcome ask_instance(struct credential_chain *chain, char *problem, size_t size)
{
    struct buffer document = BUFFER_WITH_MAXIMUM(CREDENTIAL_DOCUMENT_MOST_BYTES);
    char role[ROLE_BYTES], path[ROLE_BYTES + sizeof ROLE_PATH];

    (void)text_copy(chain->source, sizeof chain->source, "the instance's role");
    enum metadata_outcome found = find_role(chain, role, problem, size);
    if (found != METADATA_OK)
        return outcome_of(found);
    (void)text_format(path, sizeof path, ROLE_PATH "%s", role);
    (void)text_format(chain->source, sizeof chain->source, "the instance's role %s", role);
    found = instance_metadata_get(chain->metadata, path, &document, problem, size);
    enum aws_outcome outcome =
        found == METADATA_OK ? take_document(chain, &document, problem, size) : outcome_of(found);
    wipe_buffer(&document);
    return outcome;
}

static bool in_container(const struct aws_settings *settings)
{
    return settings->container_relative_uri[0] != '\0' || settings->container_full_uri[0] != '\0';
}

static enum aws_outcome look_in_services(struct credential_chain *chain, char *problem, size_t size)
{
    char reason[512] = "";

    enum aws_outcome outcome = in_container(chain->settings)
                                   ? ask_container(chain, reason, sizeof reason)
                                   : ask_instance(chain, reason, sizeof reason);
    if (outcome == AWS_OK)
        return AWS_OK;
    (void)text_format(problem, size, "no AWS credentials: %s%s", reason,
                      chain->settings->web_identity
                          ? "; a web identity (AWS_WEB_IDENTITY_TOKEN_FILE) is not supported, use "
                            "EKS Pod Identity"
                          : "");
    return outcome;
}

/* ---- all places ---- */

static enum aws_outcome look_in_settings(struct credential_chain *chain, char *problem, size_t size)
{
    const struct aws_keys *keys = &chain->settings->keys;

    if (keys->access_key_id[0] == '\0' && keys->secret_access_key[0] == '\0')
        return AWS_NO_CREDENTIALS;
    if (keys->access_key_id[0] == '\0' || keys->secret_access_key[0] == '\0') {
        (void)text_copy(problem, size,
                        "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is given");
        return AWS_NOT_CONFIGURED;
    }
    chain->keys = *keys;
    (void)text_copy(chain->source, sizeof chain->source, "the configuration or environment");
    return AWS_OK;
}

static void give(const struct credential_chain *chain, struct aws_credentials *credentials)
{
    const struct aws_keys *keys = &chain->keys;

    *credentials = (struct aws_credentials){
        .access_key_id = keys->access_key_id,
        .secret_access_key = keys->secret_access_key,
        .session_token = keys->session_token[0] != '\0' ? keys->session_token : NULL,
    };
}

static bool is_fresh(const struct credential_chain *chain, uint64_t now_s)
{
    return chain->temporary &&
           (chain->expires_s == 0 || now_s + REFRESH_BEFORE_S < chain->expires_s ||
            now_s < chain->refresh_s);
}

static enum aws_outcome refresh(struct credential_chain *chain, uint64_t now_s, char *problem,
                                size_t size)
{
    enum aws_outcome outcome = look_in_services(chain, problem, size);

    /* Old ones are better than none: the service judges them. */
    if (outcome != AWS_OK && chain->temporary) {
        chain->refresh_s = now_s + REFRESH_AGAIN_S;
        problem[0] = '\0';
        return AWS_OK;
    }
    return outcome;
}

enum aws_outcome credential_chain_get(struct credential_chain *chain,
                                      struct aws_credentials *ret_credentials, char *problem,
                                      size_t problem_size)
{
    uint64_t now_s = clock_realtime_ns() / NS_PER_SECOND;
    enum aws_outcome outcome = AWS_OK;

    if (!is_fresh(chain, now_s)) {
        outcome = look_in_settings(chain, problem, problem_size);
        if (outcome == AWS_NO_CREDENTIALS)
            outcome = look_in_files(chain, problem, problem_size);
        if (outcome == AWS_NO_CREDENTIALS)
            outcome = refresh(chain, now_s, problem, problem_size);
    }
    if (outcome == AWS_OK)
        give(chain, ret_credentials);
    return outcome;
}
