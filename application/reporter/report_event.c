/* From the extension's JSON to the reporter's queue. */
#include "application/reporter/report_event.h"

#include "common/json/json_tree.h"
#include "common/sensor_report/sensor_report.h"

#include <errno.h>

static const struct json_node *find(const struct json_node *object, const char *key,
                                    enum json_node_kind kind)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == kind ? node : NULL;
}

int report_event_add(struct sensor_report *report, const char *json, size_t length)
{
    struct json_tree *tree = NULL;
    char problem[128];

    if (json_tree_parse(json, length, &tree, problem) < 0)
        return -EBADMSG;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *kind = find(root, "kind", JSON_NODE_STRING);
    const struct json_node *subject = find(root, "subject", JSON_NODE_STRING);
    const struct json_node *severity = find(root, "severity", JSON_NODE_INTEGER);
    const struct json_node *time_ms = find(root, "time_ms", JSON_NODE_INTEGER);
    const struct json_node *detail = find(root, "detail", JSON_NODE_OBJECT);
    int r = -EBADMSG;
    if (kind != NULL && subject != NULL && severity != NULL && time_ms != NULL && detail != NULL &&
        severity->integer >= 0 && severity->integer <= 4) {
        struct sensor_event event = {.kind = kind->text,
                                     .severity = (unsigned)severity->integer,
                                     .subject = subject->text,
                                     .detail = json_tree_text(tree, detail),
                                     .time_ms = (uint64_t)time_ms->integer};
        r = sensor_report_add(report, &event);
    }
    (void)json_tree_free(tree);
    return r;
}
