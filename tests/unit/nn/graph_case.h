#ifndef DEN_GRAPH_CASE_H
#define DEN_GRAPH_CASE_H

/* A graph with its own weights, for tests. */

#include "den_check.h"
#include "graph.h"

struct fixture {
    struct den_params *params;
    struct den_graph *g;
};

static inline struct fixture new_graph(const struct den_backend *backend)
{
    struct fixture f = {0};
    struct den_err err = DEN_ERR_INIT;
    must(den_params_new(backend, &f.params, &err));
    must(den_graph_new(f.params, NULL, &f.g, &err));
    return f;
}

static inline void free_graph(struct fixture *f)
{
    den_graph_free(f->g);
    den_params_free(f->params);
}

static inline den_node image(struct den_graph *g, size_t h, size_t w, size_t c)
{
    return den_input(g, (struct den_shape){1, h, w, c});
}

#endif
