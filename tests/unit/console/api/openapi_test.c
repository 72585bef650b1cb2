/* Holds openapi.json against the route table: every route is described, every description is a
 * route, with its permission, its parameters and whether it takes a body. */
#include "common/text/text.h"
#include "console/api/api_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

extern const char openapi_begin[], openapi_end[];

static const char *permission_name(uint32_t permission)
{
    switch (permission) {
    case PERMISSION_NONE:
        return "none";
    case PERMISSION_SELF:
        return "self";
    case PERMISSION_READ:
        return "read";
    case PERMISSION_OPERATE:
        return "operate";
    case PERMISSION_POLICY:
        return "policy";
    case PERMISSION_AUDIT:
        return "audit";
    default:
        return "admin";
    }
}

static json_t *load(void)
{
    json_error_t error;
    json_t *document = json_loadb(openapi_begin, (size_t)(openapi_end - openapi_begin),
                                  JSON_REJECT_DUPLICATES, &error);
    if (!document)
        fail_msg("openapi.json:%d: %s", error.line, error.text);
    return document;
}

static json_t *find_operation(json_t *document, const struct http_route *route)
{
    char method[16] = "";
    for (size_t i = 0; route->method[i] && i < sizeof(method) - 1; i++)
        method[i] = (char)(route->method[i] | 0x20);
    return json_object_get(json_object_get(json_object_get(document, "paths"), route->pattern),
                           method);
}

static void check_parameters(const struct http_route *route, const json_t *operation)
{
    for (const char *at = strchr(route->pattern, '{'); at; at = strchr(at + 1, '{')) {
        size_t i;
        const json_t *parameter;
        bool found = false;
        json_array_foreach(json_object_get(operation, "parameters"), i, parameter)
        {
            const char *name = json_string_value(json_object_get(parameter, "name"));
            found = found || (name && strncmp(at + 1, name, strlen(name)) == 0 &&
                              at[1 + strlen(name)] == '}');
        }
        if (!found)
            fail_msg("%s %s: a path parameter is not described", route->method, route->pattern);
    }
}

static void every_route_is_described(void **state UNUSED)
{
    json_t *document = load();
    for (size_t i = 0; i < API_ROUTE_COUNT; i++) {
        const struct http_route *route = &API_ROUTES[i];
        const json_t *operation = find_operation(document, route);
        if (!operation)
            fail_msg("%s %s is not described", route->method, route->pattern);
        const char *permission = json_string_value(json_object_get(operation, "x-permission"));
        assert_non_null(permission);
        assert_string_equal(permission, permission_name(route->permission));
        check_parameters(route, operation);
        bool body = json_object_get(operation, "requestBody") != NULL;
        if (body && route->body_limit == 0)
            fail_msg("%s %s takes no body", route->method, route->pattern);
        assert_non_null(json_string_value(json_object_get(operation, "operationId")));
    }
    json_decref(document);
}

static void every_description_is_a_route(void **state UNUSED)
{
    json_t *document = load();
    const char *path, *method;
    json_t *operations, *operation;
    size_t described = 0;
    json_object_foreach(json_object_get(document, "paths"), path, operations)
    {
        json_object_foreach(operations, method, operation)
        {
            described++;
        }
    }
    assert_int_equal(described, API_ROUTE_COUNT);
    json_decref(document);
}

/* "#/components/a/b" leads somewhere. */
static void check_references(json_t *document, const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    if (json_is_array(value)) {
        json_array_foreach(value, i, member)
        {
            check_references(document, member);
        }
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (!text_equal(key, "$ref")) {
            check_references(document, member);
            continue;
        }
        char group[64] = "", name[64] = "";
        assert_int_equal(
            sscanf(json_string_value(member), "#/components/%63[^/]/%63s", group, name), 2);
        if (!json_object_get(json_object_get(json_object_get(document, "components"), group), name))
            fail_msg("%s leads nowhere", json_string_value(member));
    }
}

static void references_lead_somewhere(void **state UNUSED)
{
    json_t *document = load();
    check_references(document, document);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(every_description_is_a_route),
        cmocka_unit_test(references_lead_somewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
