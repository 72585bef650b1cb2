/* The instance identity document. Owns nothing but its paths; the console judges the signature. */
#include "agent/messenger/instance_identity.h"

#include "common/text/text.h"

#include <jansson.h>
#include <string.h>

#define FOLDER "dynamic/instance-identity/"

static enum metadata_outcome fetch(struct instance_metadata *metadata, const char *path, char *text,
                                   size_t size, char *problem, size_t problem_size)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(size - 1);

    enum metadata_outcome outcome =
        instance_metadata_get(metadata, path, &content, problem, problem_size);
    if (outcome != METADATA_OK)
        return outcome;
    if (content.length == 0 || strlen(buffer_text(&content)) != content.length) {
        (void)text_format(problem, problem_size, "the instance metadata gave no text for %s", path);
        return METADATA_FAILED;
    }
    (void)text_copy(text, size, buffer_text(&content));
    return METADATA_OK;
}

static void take_text(const json_t *document, const char *key, char *field, size_t size)
{
    const char *text = json_string_value(json_object_get(document, key));

    if (text == NULL || text_escape(field, size, text, strlen(text)) < 0)
        field[0] = '\0';
}

static void read_document(struct instance_identity *identity)
{
    json_t *document = json_loads(identity->document, 0, NULL);

    take_text(document, "instanceId", identity->instance_id, sizeof identity->instance_id);
    take_text(document, "accountId", identity->account, sizeof identity->account);
    take_text(document, "region", identity->region, sizeof identity->region);
    json_decref(document);
}

enum metadata_outcome instance_identity_fetch(struct instance_metadata *metadata,
                                              struct instance_identity *ret_identity, char *problem,
                                              size_t problem_size)
{
    struct instance_identity identity = {.document = ""};

    enum metadata_outcome outcome = fetch(metadata, FOLDER "document", identity.document,
                                          sizeof identity.document, problem, problem_size);
    if (outcome == METADATA_OK)
        outcome = fetch(metadata, FOLDER "rsa2048", identity.signature, sizeof identity.signature,
                        problem, problem_size);
    if (outcome == METADATA_OK)
        read_document(&identity);
    else
        identity = (struct instance_identity){.document = ""};
    *ret_identity = identity;
    return outcome;
}
