/* Owns joining the API's routes and the page's. The page is for anybody: it holds no data. */
#include "console/program/people_routes.h"

#include "console/api/api_service.h"
#include "console/pages/page_files.h"
#include "console/people/viewer.h"

#include <errno.h>
#include <string.h>

static void answer_page(struct http_request *request, void *user)
{
    const struct api_service *service = user;
    page_files_answer(service->pages, request);
}

static const struct http_route PAGE_ROUTES[] = {
    {"GET", "/", 0, answer_page, PERMISSION_NONE},
    {"GET", "/app.css", 0, answer_page, PERMISSION_NONE},
    {"GET", "/icon.svg", 0, answer_page, PERMISSION_NONE},
    {"GET", "/app/{name}", 0, answer_page, PERMISSION_NONE},
    {"GET", "/app/pages/{name}", 0, answer_page, PERMISSION_NONE},
    {"GET", "/app/ui/{name}", 0, answer_page, PERMISSION_NONE},
    {"GET", "/i18n/{name}", 0, answer_page, PERMISSION_NONE},
    {"GET", "/vendor/{name}", 0, answer_page, PERMISSION_NONE},
};

int people_routes_new(struct http_route **ret_routes, size_t *ret_count)
{
    size_t pages = ARRAY_LENGTH(PAGE_ROUTES);
    struct http_route *routes = calloc(API_ROUTE_COUNT + pages, sizeof(*routes));
    if (!routes)
        return -ENOMEM;
    memcpy(routes, API_ROUTES, API_ROUTE_COUNT * sizeof(*routes));
    memcpy(routes + API_ROUTE_COUNT, PAGE_ROUTES, sizeof(PAGE_ROUTES));
    *ret_routes = routes;
    *ret_count = API_ROUTE_COUNT + pages;
    return 0;
}
