#include "params.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "mem.h"
#include "str.h"

/* Device data passes through a small buffer on the stack, so that nothing here allocates
 * on the host. */
#define CHUNK 1024

/* A set has some hundred parameters at most, so names are searched one by one. */
struct den_params {
    const struct den_backend *backend;
    struct den_param **all; /* pointers, so that they stay valid while the set grows */
    size_t size, capacity;
    bool trains;
    uint64_t version;
};

bool den_params_new(const struct den_backend *backend, struct den_params **ret,
                    struct den_err *err)
{
    assert(backend != NULL);
    struct den_params *params = den_new(1, sizeof *params, err);
    if (params == NULL)
        return false;
    params->backend = backend;
    *ret = params;
    return true;
}

static void release_param(const struct den_backend *backend, struct den_param *param)
{
    if (param == NULL)
        return;
    backend->free(param->value);
    backend->free(param->grad);
    backend->free(param->m);
    backend->free(param->v);
    den_free(param);
}

void den_params_free(struct den_params *params)
{
    if (params == NULL)
        return;
    for (size_t i = 0; i < params->size; i++)
        release_param(params->backend, params->all[i]);
    den_free(params->all);
    den_free(params);
}

const struct den_backend *den_params_backend(const struct den_params *params)
{
    return params->backend;
}

uint64_t den_params_version(const struct den_params *params)
{
    return params->version;
}

size_t den_params_size(const struct den_params *params)
{
    return params->size;
}

struct den_param *den_params_at(struct den_params *params, size_t index)
{
    assert(index < params->size);
    return params->all[index];
}

struct den_param *den_params_find(struct den_params *params, const char *name)
{
    for (size_t i = 0; i < params->size; i++)
        if (strcmp(params->all[i]->name, name) == 0)
            return params->all[i];
    return NULL;
}

size_t den_params_count(const struct den_params *params)
{
    size_t count = 0;
    for (size_t i = 0; i < params->size; i++)
        if (params->all[i]->kind == DEN_PARAM_WEIGHT)
            count += params->all[i]->count;
    return count;
}

static bool same_dims(const struct den_param *param, const size_t *dims, size_t ndim)
{
    if (param->ndim != ndim)
        return false;
    for (size_t i = 0; i < ndim; i++)
        if (param->dims[i] != dims[i])
            return false;
    return true;
}

/* Gradient and moments; may be called again for a set that has grown. */
static bool train_param(const struct den_backend *backend, struct den_param *param,
                        struct den_err *err)
{
    if (param->kind != DEN_PARAM_WEIGHT || param->frozen)
        return true;
    return (param->grad != NULL || backend->alloc(param->count, &param->grad, err)) &&
           (param->m != NULL || backend->alloc(param->count, &param->m, err)) &&
           (param->v != NULL || backend->alloc(param->count, &param->v, err));
}

static bool make_room(struct den_params *params, struct den_err *err)
{
    if (params->size < params->capacity)
        return true;
    size_t capacity = params->capacity == 0 ? 32 : 2 * params->capacity;
    struct den_param **all =
        den_realloc(params->all, capacity, sizeof(struct den_param *));
    if (all == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "Not enough memory for the weights.");
    params->all = all;
    params->capacity = capacity;
    return true;
}

/* Name, dimensions and device memory of a new parameter. */
static bool fill_param(const struct den_params *params, struct den_param *param,
                       const char *name, const size_t *dims, struct den_err *err)
{
    if (!den_str_copy(param->name, sizeof param->name, name))
        return den_err_set(err, DEN_E_INVALID, "Parameter name '%s' is too long.",
                           param->name);
    param->count = 1;
    for (size_t i = 0; i < 4; i++) {
        param->dims[i] = i < param->ndim ? dims[i] : 1;
        if (param->dims[i] == 0 ||
            !den_mul_size(param->count, param->dims[i], &param->count))
            return den_err_set(err, DEN_E_INVALID, "Parameter '%s' has a bad shape.",
                               name);
    }
    return params->backend->alloc(param->count, &param->value, err) &&
           (!params->trains || train_param(params->backend, param, err));
}

bool den_params_get(struct den_params *params, const char *name, enum den_param_kind kind,
                    enum den_param_layout layout, enum den_param_init init,
                    const size_t *dims, size_t ndim, struct den_param **ret,
                    struct den_err *err)
{
    assert(ndim <= 4);
    struct den_param *param = den_params_find(params, name);
    if (param != NULL) {
        if (!same_dims(param, dims, ndim) || param->kind != kind ||
            param->layout != layout)
            return den_err_set(err, DEN_E_INVALID,
                               "Parameter '%s' is used twice with different shapes.",
                               name);
        *ret = param;
        return true;
    }
    /* All that can fail comes before the set is changed. */
    if (!make_room(params, err))
        return false;
    param = den_new(1, sizeof *param, err);
    if (param == NULL)
        return false;
    param->kind = kind;
    param->layout = layout;
    param->init = init;
    param->ndim = ndim;
    if (!fill_param(params, param, name, dims, err)) {
        release_param(params->backend, param);
        return false;
    }
    params->all[params->size++] = param;
    *ret = param;
    return true;
}

void den_params_drop(struct den_params *params, struct den_param *param)
{
    params->backend->free(param->value);
    param->value = NULL;
}

bool den_params_undrop(struct den_params *params, struct den_err *err)
{
    for (size_t i = 0; i < params->size; i++) {
        struct den_param *p = params->all[i];
        if (p->value == NULL && !params->backend->alloc(p->count, &p->value, err))
            return false;
    }
    return true;
}

void den_params_freeze(struct den_params *params, bool (*which)(const char *name))
{
    assert(!params->trains);
    for (size_t i = 0; i < params->size; i++)
        if (which(params->all[i]->name))
            params->all[i]->frozen = true;
}

bool den_params_train(struct den_params *params, struct den_err *err)
{
    for (size_t i = 0; i < params->size; i++)
        if (!train_param(params->backend, params->all[i], err))
            return false;
    params->trains = true;
    return true;
}

void den_params_zero_grad(struct den_params *params)
{
    for (size_t i = 0; i < params->size; i++)
        if (params->all[i]->grad != NULL)
            params->backend->zero(params->all[i]->grad, params->all[i]->count);
}

void den_params_adam(struct den_params *params, const struct den_exec *ex,
                     const struct den_adam *adam)
{
    params->version++;
    for (size_t i = 0; i < params->size; i++) {
        struct den_param *p = params->all[i];
        if (p->grad != NULL)
            params->backend->adam(ex, p->count, p->value, p->grad, p->m, p->v, adam);
    }
}

/* File index of memory element e.  A file holds (a, b, kh, kw), memory [kh][kw][b][a]. */
static size_t file_index(const struct den_param *param, size_t e)
{
    if (param->layout == DEN_LAYOUT_FLAT)
        return e;
    size_t na = param->dims[0], nb = param->dims[1],
           taps = param->dims[2] * param->dims[3];
    size_t a = e % na, b = e / na % nb, tap = e / na / nb;
    return (a * nb + b) * taps + tap;
}

/* Elements of the chunk that begins at `from`. */
static size_t chunk_at(size_t count, size_t from)
{
    return count - from < CHUNK ? count - from : CHUNK;
}

/* What passes through the buffer at a time, [taps][as]: as values of a by taps of kh x
 * kw, at one b.  The taps lie side by side in the file and the values of a in memory, so
 * that every cache line that is fetched on either side is used up. */
struct patch {
    size_t a, b, tap;
    size_t as, taps;
};

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* The next patch of the parameter; the first one after {0}. */
static bool next_patch(const struct den_param *param, struct patch *p)
{
    size_t na = param->dims[0], nb = param->dims[1];
    size_t taps = param->dims[2] * param->dims[3];
    bool first = p->as == 0;
    p->tap += p->taps;
    if (!first && p->tap == taps) {
        p->tap = 0;
        p->b++;
    }
    if (p->b == nb) {
        p->b = 0;
        p->a += p->as;
    }
    p->taps = least(taps - p->tap, CHUNK);
    p->as = least(na - p->a, CHUNK / least(taps, CHUNK));
    return p->a < na;
}

/* Places of the patch's first element. */
static size_t patch_in_file(const struct den_param *param, const struct patch *p)
{
    return (p->a * param->dims[1] + p->b) * param->dims[2] * param->dims[3] + p->tap;
}

static size_t patch_in_memory(const struct den_param *param, const struct patch *p)
{
    return (p->tap * param->dims[1] + p->b) * param->dims[0] + p->a;
}

void den_param_read_from(const struct den_params *params, const struct den_param *param,
                         const den_real *device, den_real *data)
{
    if (param->layout == DEN_LAYOUT_FLAT) {
        params->backend->download(data, device, param->count);
        return;
    }
    den_real chunk[CHUNK];
    size_t line = param->dims[1] * param->dims[2] * param->dims[3];
    size_t row = param->dims[0] * param->dims[1];
    for (struct patch p = {0}; next_patch(param, &p);) {
        const den_real *from = device + patch_in_memory(param, &p);
        den_real *to = data + patch_in_file(param, &p);
        for (size_t tap = 0; tap < p.taps; tap++)
            params->backend->download(chunk + tap * p.as, from + tap * row, p.as);
        for (size_t a = 0; a < p.as; a++)
            for (size_t tap = 0; tap < p.taps; tap++)
                to[a * line + tap] = chunk[tap * p.as + a];
    }
}

void den_param_write_to(struct den_params *params, const struct den_param *param,
                        den_real *device, const den_real *data)
{
    params->version++;
    if (param->layout == DEN_LAYOUT_FLAT) {
        params->backend->upload(device, data, param->count);
        return;
    }
    den_real chunk[CHUNK];
    size_t line = param->dims[1] * param->dims[2] * param->dims[3];
    size_t row = param->dims[0] * param->dims[1];
    for (struct patch p = {0}; next_patch(param, &p);) {
        den_real *to = device + patch_in_memory(param, &p);
        const den_real *from = data + patch_in_file(param, &p);
        for (size_t a = 0; a < p.as; a++)
            for (size_t tap = 0; tap < p.taps; tap++)
                chunk[tap * p.as + a] = from[a * line + tap];
        for (size_t tap = 0; tap < p.taps; tap++)
            params->backend->upload(to + tap * row, chunk + tap * p.as, p.as);
    }
}

void den_param_read(const struct den_params *params, const struct den_param *param,
                    den_real *data)
{
    den_param_read_from(params, param, param->value, data);
}

void den_param_write(struct den_params *params, struct den_param *param,
                     const den_real *data)
{
    den_param_write_to(params, param, param->value, data);
}

/* The sets may live on different backends, so this passes through the host. */
static void copy_value(const struct den_backend *to_backend, struct den_param *to,
                       const struct den_backend *from_backend,
                       const struct den_param *from)
{
    den_real chunk[CHUNK];
    for (size_t at = 0; at < to->count; at += CHUNK) {
        size_t n = chunk_at(to->count, at);
        from_backend->download(chunk, from->value + at, n);
        to_backend->upload(to->value + at, chunk, n);
    }
}

bool den_params_copy(struct den_params *to, struct den_params *from, struct den_err *err)
{
    if (to->size != from->size)
        return den_err_set(err, DEN_E_INVALID,
                           "Two sets of weights differ: %zu and %zu parameters.",
                           from->size, to->size);
    for (size_t i = 0; i < to->size; i++) {
        const struct den_param *a = from->all[i], *b = to->all[i];
        if (strcmp(a->name, b->name) != 0 || !same_dims(a, b->dims, b->ndim))
            return den_err_set(err, DEN_E_INVALID,
                               "Two sets of weights differ at parameter '%s'.", a->name);
    }
    to->version++;
    for (size_t i = 0; i < to->size; i++)
        copy_value(to->backend, to->all[i], from->backend, from->all[i]);
    return true;
}

/* In double: a net has millions of gradients. */
static double sum_squares(const struct den_backend *backend, const den_real *device,
                          size_t count)
{
    den_real chunk[CHUNK];
    double sum = 0;
    for (size_t from = 0; from < count; from += CHUNK) {
        size_t n = chunk_at(count, from);
        backend->download(chunk, device + from, n);
        for (size_t i = 0; i < n; i++)
            sum += (double)chunk[i] * (double)chunk[i];
    }
    return sum;
}

double den_params_grad_norm(const struct den_params *params)
{
    double sum = 0;
    for (size_t i = 0; i < params->size; i++)
        if (params->all[i]->grad != NULL)
            sum +=
                sum_squares(params->backend, params->all[i]->grad, params->all[i]->count);
    return sqrt(sum);
}

/* ---- initialisation ---- */

/* The normal number number e of a key, as a pure function (Box-Muller on two hashes), so
 * that memory order does not matter. */
static double normal_at(uint64_t key, uint64_t e)
{
    const double two_pi = 6.283185307179586, unit = 0x1p-53;
    double u = ((double)(den_hash64(key, 2 * e) >> 11) + 1) * unit; /* (0, 1] */
    double w = (double)(den_hash64(key, 2 * e + 1) >> 11) * unit;
    return sqrt(-2 * log(u)) * cos(two_pi * w);
}

/* The uniform number number e of a key, from -1 to below 1. */
static double uniform_at(uint64_t key, uint64_t e)
{
    return 2 * (double)(den_hash64(key, e) >> 11) * 0x1p-53 - 1;
}

static double glorot_bound(const struct den_param *param)
{
    double taps = (double)(param->dims[2] * param->dims[3]);
    return sqrt(6 / (taps * (double)(param->dims[0] + param->dims[1])));
}

/* Initial value of the element at place e of the file. */
static double init_value(const struct den_param *param, uint64_t key, uint64_t e)
{
    const double deviation = 0.02;
    switch (param->init) {
    case DEN_INIT_ONE:
        return 1;
    case DEN_INIT_CONV:
        return deviation * normal_at(key, e);
    case DEN_INIT_GAMMA:
        return 1 + deviation * normal_at(key, e);
    case DEN_INIT_GLOROT:
        return glorot_bound(param) * uniform_at(key, e);
    case DEN_INIT_ZERO:
        break;
    }
    return 0;
}

static void init_param(const struct den_backend *backend, struct den_param *param,
                       uint64_t key)
{
    den_real chunk[CHUNK];
    for (size_t from = 0; from < param->count; from += CHUNK) {
        size_t n = chunk_at(param->count, from);
        for (size_t i = 0; i < n; i++)
            chunk[i] = (den_real)init_value(param, key, file_index(param, from + i));
        backend->upload(param->value + from, chunk, n);
    }
    if (param->m != NULL) { /* a fresh start of Adam as well */
        backend->zero(param->m, param->count);
        backend->zero(param->v, param->count);
    }
}

void den_params_init(struct den_params *params, uint64_t seed)
{
    params->version++;
    for (size_t i = 0; i < params->size; i++) {
        struct den_rng rng;
        den_rng_seed(&rng, seed, DEN_STREAM_INIT, i);
        init_param(params->backend, params->all[i], den_rng_u64(&rng));
    }
}
