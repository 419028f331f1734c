/* From a request target that the guard let through to a row, its parameters and the keys
 * of the query: the input is "METHOD\nTARGET". */

#include <string.h>

#include "fuzz.h"
#include "guard.h"
#include "http_private.h"
#include "str.h"

enum { TEXT = 4096 };

static bool handle(void *app, struct den_request *request, struct den_reply *reply,
                   struct den_err *err)
{
    (void)app, (void)request, (void)reply, (void)err;
    return true;
}

static const struct den_route routes[] = {
    {"GET", "/", handle, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/v1/images", handle, DEN_BODY_NONE, "limit cursor", NULL, false},
    {"POST", "/v1/images", handle, DEN_BODY_FILE, "name", NULL, true},
    {"GET", "/v1/images/{id}", handle, DEN_BODY_NONE, NULL, NULL, false},
    {"DELETE", "/v1/images/{id}", handle, DEN_BODY_NONE, NULL, NULL, false},
    {"GET", "/v1/images/{id}/preview", handle, DEN_BODY_NONE, "page size low high", NULL,
     true},
    {"GET", "/v1/models/{name}/versions/{version}/weights", handle, DEN_BODY_NONE, NULL,
     NULL, false},
    {"PUT", "/{a}/{b}/{c}/{d}", handle, DEN_BODY_JSON, NULL, NULL, false},
    {NULL, NULL, NULL, DEN_BODY_NONE, NULL, NULL, false},
};

/* Parameters and keys are printable UTF-8 and no longer than what was sent. */
static void check_request(struct den_request *r, size_t length)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_route *route = r->match.route;
    if (!den_request_read_query(r, route->query, &err) ||
        !den_request_read_params(r, &err)) {
        promise(err.code == DEN_E_MALFORMED && err.text[0] != '\0');
        return;
    }
    promise(r->pair_count <= DEN_QUERY_KEYS);
    for (size_t i = 0; i < r->pair_count; i++) {
        promise(route->query != NULL && strstr(route->query, r->pairs[i].key) != NULL);
        promise(den_utf8_printable(r->pairs[i].value));
        promise(strlen(r->pairs[i].value) <= length);
        promise(den_request_query(r, r->pairs[i].key) == r->pairs[i].value);
    }
    for (size_t i = 0; i < r->match.param_count; i++) {
        char name[32];
        promise(r->match.params[i].name_length < sizeof name);
        memcpy(name, r->match.params[i].name, r->match.params[i].name_length);
        name[r->match.params[i].name_length] = '\0';
        const char *value = den_request_param(r, name);
        promise(value != NULL && value[0] != '\0' && den_utf8_printable(value));
        promise(strchr(value, '/') == NULL && strcmp(value, "..") != 0);
    }
}

static void check_match(const struct den_match *match, const char *method)
{
    if (match->route == NULL) {
        promise(strlen(match->allow) < sizeof match->allow);
        return;
    }
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;
    promise(strcmp(match->route->method, asked) == 0);
    promise(match->param_count <= DEN_PARAMS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT];
    static struct den_http http = {.config = {.json_max = 4096, .routes = routes}};
    struct den_err err = DEN_ERR_INIT;
    if (size >= TEXT)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *target = strchr(text, '\n');
    if (target == NULL)
        return 0;
    *target++ = '\0';
    if (!den_guard_uri(target, &err))
        return 0;
    struct den_request *r = den_request_new(&http, target);
    promise(r != NULL);
    r->match = den_route_match(routes, text, r->uri);
    check_match(&r->match, text);
    if (r->match.route != NULL)
        check_request(r, strlen(target));
    den_request_free(r);
    promise(den_mem_live() == 0);
    return 0;
}
