#ifndef DEN_PARAMS_H
#define DEN_PARAMS_H

/* The weights of a net, by PyTorch's names, apart from any graph: a training graph, a
 * graph for another tile size and a checkpoint all speak of the same set. */

#include "backend.h"
#include "rng.h"

enum den_param_kind {
    DEN_PARAM_WEIGHT,  /* trained; has gradient and Adam moments while training */
    DEN_PARAM_BUFFER,  /* running mean or variance */
    DEN_PARAM_COUNTER, /* one whole number, int64 scalar in files (num_batches_tracked) */
};

/* Order of axes in files against memory.  Memory is [kh][kw][ci][co] for both
 * convolutions, where ci, co are those of the underlying convolution (see op_convt). */
enum den_param_layout {
    DEN_LAYOUT_FLAT,   /* one axis, the same */
    DEN_LAYOUT_OIHW,   /* file (co, ci, kh, kw): Conv2d */
    DEN_LAYOUT_IOHW,   /* file (in, out, kh, kw) of ConvTranspose2d; memory
                          [kh][kw][out][in] */
    DEN_LAYOUT_LINEAR, /* file (co, ci kh kw) of Linear over a map, dims (co, ci, kh, kw);
                          memory as OIHW */
};

enum den_param_init {
    DEN_INIT_ZERO,
    DEN_INIT_ONE,
    DEN_INIT_CONV,   /* N(0, 0.02) */
    DEN_INIT_GAMMA,  /* N(1, 0.02) */
    DEN_INIT_GLOROT, /* uniform within +-sqrt(6 / (fan in + fan out)), a fan being
                        channels times pixels of the kernel [Glorot and Bengio, AISTATS
                        2010, eq. 16] */
};

struct den_param {
    char name[128];
    enum den_param_kind kind;
    enum den_param_layout layout;
    enum den_param_init init;
    size_t dims[4]; /* in FILE order; unused are 1 */
    size_t ndim;    /* 0 (counter), 1 or 4 */
    size_t count;
    bool frozen;            /* training leaves it as it is */
    den_real *value;        /* device; NULL after den_params_drop */
    den_real *grad, *m, *v; /* device; NULL until den_params_train, and when frozen */
};

struct den_params;

bool den_params_new(const struct den_backend *backend, struct den_params **ret,
                    struct den_err *err) DEN_CHECKED;
void den_params_free(struct den_params *params);
const struct den_backend *den_params_backend(const struct den_params *params);
/* Grows whenever a value changes. */
uint64_t den_params_version(const struct den_params *params);

/* Finds the parameter, or adds it (zeroed) when the name is new.  DEN_E_INVALID when the
 * name exists with other dimensions.  The pointer stays valid until den_params_free. */
bool den_params_get(struct den_params *params, const char *name, enum den_param_kind kind,
                    enum den_param_layout layout, enum den_param_init init,
                    const size_t *dims, size_t ndim, struct den_param **ret,
                    struct den_err *err) DEN_CHECKED;
size_t
den_params_size(const struct den_params *params); /* how many parameters (tensors) */
struct den_param *den_params_at(struct den_params *params, size_t index);
struct den_param *den_params_find(struct den_params *params, const char *name);
size_t
den_params_count(const struct den_params *params); /* trained numbers, without buffers */

/* Frees the value of a parameter: a graph has it in an order of its own. */
void den_params_drop(struct den_params *params, struct den_param *param);
/* Allocates the values dropped before; they are 0 and for the caller to load. */
bool den_params_undrop(struct den_params *params, struct den_err *err) DEN_CHECKED;

/* The parameters whose names `which` picks stay as they are from now on: no gradient, no
 * moments, and batch norm with frozen weights uses and keeps its running statistics.
 * Before any graph is built of them and before den_params_train. */
void den_params_freeze(struct den_params *params, bool (*which)(const char *name));
/* Allocates gradients and Adam moments. */
bool den_params_train(struct den_params *params, struct den_err *err) DEN_CHECKED;
void den_params_zero_grad(struct den_params *params);
/* One Adam step on every weight. */
void den_params_adam(struct den_params *params, const struct den_exec *ex,
                     const struct den_adam *adam);

/* By default that of pix2pix (Isola et al., CVPR 2017, appendix 6.2): conv N(0, 0.02),
 * gamma N(1, 0.02), the rest 0, running variance 1; moments become 0.  Each number is a
 * function of the seed, the parameter's place in the set and the element's place in the
 * file. */
void den_params_init(struct den_params *params, uint64_t seed);

/* Host copies in FILE order; data [count]. */
void den_param_read(const struct den_params *params, const struct den_param *param,
                    den_real *data);
void den_param_write(struct den_params *params, struct den_param *param,
                     const den_real *data);
/* The same permutation for gradient or moment arrays (which: value, grad, m or v of the
 * param). */
void den_param_read_from(const struct den_params *params, const struct den_param *param,
                         const den_real *device, den_real *data);
void den_param_write_to(struct den_params *params, const struct den_param *param,
                        den_real *device, const den_real *data);
/* Copies all values from one set to another of the same structure (e.g. best so far). */
bool den_params_copy(struct den_params *to, struct den_params *from,
                     struct den_err *err) DEN_CHECKED;
/* sqrt of the sum of squares of all gradients. */
double den_params_grad_norm(const struct den_params *params);

#endif
