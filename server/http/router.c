#include "router.h"

#include <string.h>

#include "str.h"

/* Compares one path with one pattern, segment by segment, and notes the {names}. */
static bool fits(const char *pattern, const char *path, struct den_match *match)
{
    size_t count = 0;
    while (*pattern == '/' && *path == '/') {
        pattern++;
        path++;
        size_t want = strcspn(pattern, "/"), got = strcspn(path, "/");
        if (want > 2 && pattern[0] == '{' && pattern[want - 1] == '}') {
            if (got == 0 || count == DEN_PARAMS)
                return false;
            match->params[count].name = pattern + 1;
            match->params[count].name_length = want - 2;
            match->params[count].value = path;
            match->params[count].value_length = got;
            count++;
        } else if (want != got || memcmp(pattern, path, want) != 0)
            return false;
        pattern += want;
        path += got;
    }
    match->param_count = count;
    return *pattern == '\0' && *path == '\0';
}

/* Adds a method to the Allow list, once. */
static void allow(char *list, size_t size, const char *method)
{
    size_t length = strlen(method);
    for (const char *at = list; (at = strstr(at, method)) != NULL; at += length)
        if (at[length] == ',' || at[length] == '\0')
            return;
    size_t used = strlen(list);
    den_str_format(list + used, size - used, "%s%s", used == 0 ? "" : ", ", method);
}

struct den_match den_route_match(const struct den_route *routes, const char *method,
                                 const char *path)
{
    struct den_match match = {.route = NULL};
    const char *asked = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (const struct den_route *route = routes; route->method != NULL; route++) {
        struct den_match found = {.route = route};
        if (!fits(route->pattern, path, &found))
            continue;
        if (strcmp(route->method, asked) == 0)
            return found;
        allow(match.allow, sizeof match.allow, route->method);
        if (strcmp(route->method, "GET") == 0)
            allow(match.allow, sizeof match.allow, "HEAD");
    }
    return match;
}
