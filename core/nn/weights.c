#include "weights.h"

#include <math.h>
#include <string.h>

#include "mem.h"
#include "str.h"

/* Parameter sets in tensor files.  Values pass as float also where the net computes in
 * double. */

/* One array of one parameter: the value, or a moment of Adam. */
struct array {
    const struct den_param *param;
    den_real *device;
    char name[sizeof((struct den_tensor *)0)->name];
};

enum { VALUE, FIRST_MOMENT, SECOND_MOMENT, ARRAYS };

static bool make_array(const struct den_param *param, int which, const char *prefix,
                       struct array *to, struct den_err *err)
{
    static const char *const infix[ARRAYS] = {"", "adam_m.", "adam_v."};
    den_real *const device[ARRAYS] = {param->value, param->m, param->v};
    to->param = param;
    to->device = device[which];
    if (to->device == NULL)
        return den_err_set(err, DEN_E_INTERNAL,
                           which == VALUE ? "A graph has taken these weights."
                                          : "These weights have no state of an "
                                            "optimiser.");
    if (!den_str_format(to->name, sizeof to->name, "%s%s%s", prefix, infix[which],
                        param->name))
        return den_err_set(err, DEN_E_INVALID, "The tensor name '%s...' is too long.",
                           to->name);
    return true;
}

/* Calls fn for every array that a file holds. */
static bool each_array(struct den_params *params, const char *prefix, bool moments,
                       bool (*fn)(void *context, const struct array *array,
                                  struct den_err *err),
                       void *context, struct den_err *err)
{
    for (size_t i = 0; i < den_params_size(params); i++) {
        const struct den_param *param = den_params_at(params, i);
        bool learns = param->kind == DEN_PARAM_WEIGHT && !param->frozen;
        int arrays = moments && learns ? ARRAYS : 1;
        for (int which = 0; which < arrays; which++) {
            struct array array;
            if (!make_array(param, which, prefix, &array, err) ||
                !fn(context, &array, err))
                return false;
        }
    }
    return true;
}

/* The axes that PyTorch gives the tensor. */
static size_t file_dims(const struct den_param *param, size_t *dims)
{
    memcpy(dims, param->dims, sizeof param->dims);
    if (param->layout != DEN_LAYOUT_LINEAR)
        return param->ndim;
    dims[1] = param->dims[1] * param->dims[2] * param->dims[3];
    dims[2] = dims[3] = 1;
    return 2;
}

/* Elements of the largest parameter. */
static size_t largest(struct den_params *params)
{
    size_t count = 1;
    for (size_t i = 0; i < den_params_size(params); i++)
        if (count < den_params_at(params, i)->count)
            count = den_params_at(params, i)->count;
    return count;
}

/* Buffers [largest] between device and file. */
struct transfer {
    struct den_params *params;
    struct den_tensor_writer *writer;
    const struct den_tensor_file *file;
    den_real *reals;
    float *floats;
};

static bool transfer_init(struct transfer *t, struct den_params *params,
                          struct den_err *err)
{
    t->params = params;
    t->reals = den_new(largest(params), sizeof *t->reals, err);
    t->floats = den_new(largest(params), sizeof *t->floats, err);
    return t->reals != NULL && t->floats != NULL;
}

static void transfer_release(struct transfer *t)
{
    den_free(t->reals);
    den_free(t->floats);
}

static bool save_array(void *context, const struct array *array, struct den_err *err)
{
    struct transfer *t = context;
    size_t dims[4], ndim = file_dims(array->param, dims);
    den_param_read_from(t->params, array->param, array->device, t->reals);
    if (array->param->kind == DEN_PARAM_COUNTER) {
        int64_t count = (int64_t)t->reals[0];
        return den_tensor_writer_add(t->writer, array->name, DEN_TENSOR_I64, dims, ndim,
                                     &count, err);
    }
    for (size_t i = 0; i < array->param->count; i++)
        t->floats[i] = (float)t->reals[i];
    return den_tensor_writer_add(t->writer, array->name, DEN_TENSOR_F32, dims, ndim,
                                 t->floats, err);
}

bool den_params_save(struct den_params *params, const char *prefix, bool moments,
                     struct den_tensor_writer *writer, struct den_err *err)
{
    struct transfer t = {.writer = writer};
    bool done = transfer_init(&t, params, err) &&
                each_array(params, prefix, moments, save_array, &t, err);
    transfer_release(&t);
    return done;
}

/* "4 x 1 x 4 x 4", "a single number". */
static const char *shape_text(const size_t *dims, size_t ndim, char *to, size_t size)
{
    size_t at = 0;
    den_str_copy(to, size, "a single number");
    for (size_t i = 0; i < ndim; i++) {
        den_str_format(to + at, size - at, "%s%zu", i == 0 ? "" : " x ", dims[i]);
        at = strlen(to);
    }
    return to;
}

static bool check_shape(const struct den_tensor *tensor, const struct den_param *param,
                        struct den_err *err)
{
    size_t dims[4], ndim = file_dims(param, dims);
    bool same = tensor->ndim == ndim;
    for (size_t i = 0; same && i < ndim; i++)
        same = tensor->dims[i] == dims[i];
    char got[96], want[96];
    if (!same)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "Tensor '%s' has shape %s; this net needs %s.", tensor->name,
                           shape_text(tensor->dims, tensor->ndim, got, sizeof got),
                           shape_text(dims, ndim, want, sizeof want));
    return true;
}

/* A variance or a count below zero is finite and yet would poison the net. */
static bool check_sign(const struct transfer *t, const struct den_tensor *tensor,
                       const struct den_param *param, struct den_err *err)
{
    bool negative = false;
    if (tensor->type == DEN_TENSOR_I64) {
        int64_t count;
        den_tensor_ints(tensor, &count);
        negative = count < 0;
    } else if (param->kind == DEN_PARAM_BUFFER && param->init == DEN_INIT_ONE) {
        den_tensor_floats(tensor, t->floats);
        for (size_t i = 0; i < tensor->count; i++)
            negative = negative || t->floats[i] < 0;
    }
    if (negative)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "Tensor '%s' holds a negative value; it must be 0 or more.",
                           tensor->name);
    return true;
}

static bool check_array(void *context, const struct array *array, struct den_err *err)
{
    struct transfer *t = context;
    const struct den_tensor *tensor = den_tensor_file_find(t->file, array->name);
    if (tensor == NULL)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "The weights file has no tensor '%s'.", array->name);
    bool counter = array->param->kind == DEN_PARAM_COUNTER;
    if ((tensor->type == DEN_TENSOR_I64) != counter)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "Tensor '%s' has the wrong type; it must be %s.", tensor->name,
                           counter ? "I64" : "F32");
    return check_shape(tensor, array->param, err) &&
           check_sign(t, tensor, array->param, err);
}

/* The tensor's own bytes, if they are reals as they lie there; else NULL. */
static const den_real *in_place(const struct den_tensor *tensor)
{
    const void *data = tensor->data;
    bool fits = tensor->type == DEN_TENSOR_F32 && sizeof(den_real) == sizeof(float) &&
                (uintptr_t)data % _Alignof(den_real) == 0;
    return fits ? data : NULL;
}

/* After check_array: cannot fail. */
static bool load_array(void *context, const struct array *array, struct den_err *err)
{
    (void)err;
    struct transfer *t = context;
    const struct den_tensor *tensor = den_tensor_file_find(t->file, array->name);
    const den_real *values = in_place(tensor);
    if (tensor->type == DEN_TENSOR_I64) {
        int64_t count;
        den_tensor_ints(tensor, &count);
        t->reals[0] = (den_real)count;
    } else if (values == NULL) {
        den_tensor_floats(tensor, t->floats);
        for (size_t i = 0; i < tensor->count; i++)
            t->reals[i] = (den_real)t->floats[i];
    }
    den_param_write_to(t->params, array->param, array->device,
                       values != NULL ? values : t->reals);
    den_tensor_unload(t->file, tensor);
    return true;
}

/* All is checked before anything is written, so a refused file leaves the set as it was.
 */
bool den_params_load(struct den_params *params, const char *prefix, bool moments,
                     const struct den_tensor_file *file, struct den_err *err)
{
    struct transfer t = {.file = file};
    bool done = transfer_init(&t, params, err) &&
                each_array(params, prefix, moments, check_array, &t, err) &&
                each_array(params, prefix, moments, load_array, &t, err);
    transfer_release(&t);
    return done;
}
