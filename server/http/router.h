#ifndef DEN_ROUTER_H
#define DEN_ROUTER_H

/* Finds the row of the route table for a method and a path. */

#include "http.h"

enum { DEN_PARAMS = 4 }; /* {names} in a pattern, at most */

struct den_match {
    const struct den_route *route; /* NULL: 404 when allow is "", else 405 */
    char allow[64];                /* "GET, HEAD, DELETE" */
    size_t param_count;
    struct {
        const char *name, *value; /* into the pattern and into the path; still encoded */
        size_t name_length, value_length;
    } params[DEN_PARAMS];
};
/* The first row that matches; HEAD counts as GET. */
struct den_match den_route_match(const struct den_route *routes, const char *method,
                                 const char *path);

#endif
