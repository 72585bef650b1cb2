/* Settings of destinations: the first byte chooses the kind, the rest is an object that holds
 * settings and secret; refused with a reason or read whole. */
#include "console/forward/destination.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum destination_type types[] = {DESTINATION_SYSLOG, DESTINATION_WEBHOOK,
                                                  DESTINATION_SNS};
    struct destination destination;
    struct wire_problem problem;
    json_t *root = NULL;
    if (size == 0 || wire_parse((const char *)data + 1, size - 1, &root, &problem) < 0)
        return 0;
    int r =
        destination_read(types[data[0] % ARRAY_LENGTH(types)], json_object_get(root, "settings"),
                         json_object_get(root, "secret"), &destination, &problem);
    if (r == 0 && !destination.host[0] && !destination.url[0] && !destination.topic_arn[0])
        abort();
    destination_done(&destination);
    json_decref(root);
    return 0;
}
