#include <math.h>
#include <string.h>

#include "buf.h"
#include "fs.h"
#include "net_vectors.h"
#include "str.h"
#include "weights.h"

#define MAXIMUM ((size_t)64 << 20)

static char folder[32];
static char path[64];

static void set_up(void)
{
    ck_assert(den_str_copy(folder, sizeof folder, "/tmp/den_weights_XXXXXX"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert(den_str_format(path, sizeof path, "%s/w.safetensors", folder));
}

static void tear_down(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

/* ---- parameter sets there and back ---- */

static const struct den_net_options small_d = {
    .channels_in = 2, .channels_out = 1, .width = 2, .depth = 2};

static struct net_case make_net(uint32_t seed)
{
    const struct den_shape shape = {1, 32, 32, 2};
    return net_case_new(&den_backend_ref, &den_net_patchgan, &small_d, shape,
                        DEN_FOR_TRAINING, seed);
}

/* Numbers that differ everywhere, also in the moments and the counter. */
static void fill_moments(struct den_params *params)
{
    struct lcg g = {77};
    for (size_t i = 0; i < den_params_size(params); i++) {
        struct den_param *p = den_params_at(params, i);
        if (p->kind == DEN_PARAM_WEIGHT) {
            lcg_fill(&g, p->m, p->count, 1e-3);
            lcg_fill_about(&g, p->v, p->count, 1e-3, 1e-3);
        } else if (p->kind == DEN_PARAM_COUNTER) {
            p->value[0] = 12345;
        }
    }
}

static void save(struct den_params *params, const char *prefix, bool moments,
                 const char *to)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_writer *writer = NULL;
    must(den_tensor_writer_new(&writer, &err));
    must(den_tensor_writer_meta(writer, "net", "patchgan", &err));
    must(den_tensor_writer_meta(writer, "odd", "a \"b\" \\ c\nd \xc3\xa9", &err));
    must(den_params_save(params, prefix, moments, writer, &err));
    must(den_tensor_writer_save(writer, to, &err));
    den_tensor_writer_free(writer);
}

static void same_arrays(struct den_params *a, struct den_params *b, bool moments)
{
    for (size_t i = 0; i < den_params_size(a); i++) {
        const struct den_param *p = den_params_at(a, i), *q = den_params_at(b, i);
        size_t bytes = p->count * sizeof *p->value;
        ck_assert_msg(memcmp(p->value, q->value, bytes) == 0, "%s differs", p->name);
        if (moments && p->kind == DEN_PARAM_WEIGHT) {
            ck_assert_msg(memcmp(p->m, q->m, bytes) == 0, "m of %s", p->name);
            ck_assert_msg(memcmp(p->v, q->v, bytes) == 0, "v of %s", p->name);
        }
    }
}

START_TEST(a_set_comes_back_bit_for_bit)
{
    struct den_err err = DEN_ERR_INIT;
    struct net_case a = make_net(1), b = make_net(2);
    struct den_tensor_file *file = NULL;
    fill_moments(a.params);
    save(a.params, "d.", true, path);
    must(den_tensor_file_open(path, MAXIMUM, &file, &err));
    must(den_params_load(b.params, "d.", true, file, &err));
    same_arrays(a.params, b.params, true);
    ck_assert_str_eq(den_tensor_file_meta(file, "net"), "patchgan");
    ck_assert_str_eq(den_tensor_file_meta(file, "odd"), "a \"b\" \\ c\nd \xc3\xa9");
    ck_assert_ptr_null(den_tensor_file_meta(file, "none"));
    den_tensor_file_free(file);
    net_case_free(&a);
    net_case_free(&b);
}
END_TEST

START_TEST(the_same_set_makes_the_same_bytes)
{
    struct den_err err = DEN_ERR_INIT;
    struct net_case a = make_net(1);
    char *first = NULL, *second = NULL;
    size_t n = 0, m = 0;
    save(a.params, "", false, path);
    must(den_fs_read(path, MAXIMUM, &first, &n, &err));
    save(a.params, "", false, path);
    must(den_fs_read(path, MAXIMUM, &second, &m, &err));
    ck_assert_uint_eq(n, m);
    ck_assert_mem_eq(first, second, n);
    char part[80];
    ck_assert(den_str_format(part, sizeof part, "%s.part", path));
    ck_assert(!den_fs_exists(part));
    den_free(first);
    den_free(second);
    net_case_free(&a);
}
END_TEST

START_TEST(files_have_pytorchs_names_shapes_and_order)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = NULL;
    struct den_graph *g = NULL;
    struct den_tensor_file *file = NULL;
    must(den_params_new(&den_backend_ref, &params, &err));
    must(den_graph_new(params, NULL, &g, &err));
    den_node x = den_input(g, (struct den_shape){1, 2, 3, 2});
    x = den_convt(g, "up", x, 3, 2, 2, 0, true);
    den_linear(g, "head", den_batch_norm(g, "norm", x), 5, true);
    den_params_init(params, 1);
    save(params, "", false, path);
    must(den_tensor_file_open(path, MAXIMUM, &file, &err));

    static const struct {
        const char *name;
        enum den_tensor_type type;
        size_t ndim, dims[4];
    } rows[] = {
        {"up.weight", DEN_TENSOR_F32, 4, {2, 3, 2, 2}},
        {"up.bias", DEN_TENSOR_F32, 1, {3}},
        {"norm.weight", DEN_TENSOR_F32, 1, {3}},
        {"norm.bias", DEN_TENSOR_F32, 1, {3}},
        {"norm.running_mean", DEN_TENSOR_F32, 1, {3}},
        {"norm.running_var", DEN_TENSOR_F32, 1, {3}},
        {"norm.num_batches_tracked", DEN_TENSOR_I64, 0, {0}},
        {"head.weight", DEN_TENSOR_F32, 2, {5, 72}},
        {"head.bias", DEN_TENSOR_F32, 1, {5}},
    };
    ck_assert_uint_eq(den_tensor_file_size(file), sizeof rows / sizeof *rows);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct den_tensor *t = den_tensor_file_at(file, i);
        ck_assert_str_eq(t->name, rows[i].name);
        ck_assert_int_eq(t->type, rows[i].type);
        ck_assert_uint_eq(t->ndim, rows[i].ndim);
        for (size_t d = 0; d < t->ndim; d++)
            ck_assert_uint_eq(t->dims[d], rows[i].dims[d]);
        ck_assert_ptr_eq(den_tensor_file_find(file, rows[i].name), t);
    }
    ck_assert_ptr_null(den_tensor_file_at(file, sizeof rows / sizeof *rows));
    ck_assert_ptr_null(den_tensor_file_find(file, "head"));
    den_tensor_file_free(file);
    den_graph_free(g);
    den_params_free(params);
}
END_TEST

START_TEST(weights_are_permuted_between_file_and_memory)
{
    /* file (co, ci, kh, kw) against memory [kh][kw][ci][co] */
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = NULL;
    struct den_param *p = NULL;
    const size_t dims[] = {3, 2, 2, 2};
    den_real data[24], back[24];
    must(den_params_new(&den_backend_ref, &params, &err));
    must(den_params_get(params, "w", DEN_PARAM_WEIGHT, DEN_LAYOUT_OIHW, DEN_INIT_ZERO,
                        dims, 4, &p, &err));
    for (int i = 0; i < 24; i++)
        data[i] = (den_real)i;
    den_param_write(params, p, data);
    close_to((double)p->value[0], 0, 0);  /* tap 0, ci 0, co 0 */
    close_to((double)p->value[1], 8, 0);  /* co 1 */
    close_to((double)p->value[3], 4, 0);  /* ci 1 */
    close_to((double)p->value[6], 1, 0);  /* kw 1 */
    close_to((double)p->value[12], 2, 0); /* kh 1 */
    den_param_read(params, p, back);
    ck_assert_mem_eq(data, back, sizeof data);
    den_params_free(params);
}
END_TEST

/* Shapes beyond the buffer through which weights pass, in every direction, and with rests
 * that do not fill it. */
START_TEST(weights_of_any_shape_are_permuted)
{
    static const size_t shapes[][4] = {{70, 3, 4, 4},   {1, 5, 1, 1},   {2000, 3, 1, 1},
                                       {3, 2000, 1, 1}, {2, 3, 40, 41}, {65, 1, 3, 3},
                                       {1, 1, 1, 1024}, {3, 1, 1, 1025}};
    const size_t *d = shapes[_i];
    size_t count = d[0] * d[1] * d[2] * d[3], taps = d[2] * d[3];
    struct den_err err = DEN_ERR_INIT;
    struct den_params *params = NULL;
    struct den_param *p = NULL;
    den_real *data = den_calloc(count, sizeof *data);
    den_real *back = den_calloc(count, sizeof *data);
    must(den_params_new(&den_backend_ref, &params, &err));
    must(den_params_get(params, "w", DEN_PARAM_WEIGHT, DEN_LAYOUT_OIHW, DEN_INIT_ZERO, d,
                        4, &p, &err));
    for (size_t i = 0; i < count; i++)
        data[i] = (den_real)(i + 1);
    den_param_write(params, p, data);
    for (size_t i = 0; i < count; i++) {
        size_t co = i / taps / d[1], ci = i / taps % d[1], tap = i % taps;
        close_to((double)p->value[(tap * d[1] + ci) * d[0] + co], (double)(i + 1), 0);
    }
    den_param_read(params, p, back);
    ck_assert_mem_eq(data, back, count * sizeof *data);
    den_free(data);
    den_free(back);
    den_params_free(params);
}
END_TEST

/* ---- refusals on loading ---- */

/* A file with the tensors of a net, except that one is left out (other NULL) or replaced
 * by 2 floats or whole numbers. */
static void save_with(struct den_params *params, const char *name,
                      enum den_tensor_type type, const void *data, size_t count)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_writer *writer = NULL;
    must(den_tensor_writer_new(&writer, &err));
    for (size_t i = 0; i < den_params_size(params); i++) {
        const struct den_param *p = den_params_at(params, i);
        const int64_t zero = 0;
        float buffer[512] = {0};
        ck_assert_uint_le(p->count, 512);
        if (strcmp(p->name, name) != 0)
            must(den_tensor_writer_add(
                writer, p->name,
                p->kind == DEN_PARAM_COUNTER ? DEN_TENSOR_I64 : DEN_TENSOR_F32, p->dims,
                p->ndim, p->kind == DEN_PARAM_COUNTER ? (const void *)&zero : buffer,
                &err));
        else if (data != NULL)
            must(den_tensor_writer_add(writer, name, type, &count, count > 0 ? 1 : 0,
                                       data, &err));
    }
    must(den_tensor_writer_save(writer, path, &err));
    den_tensor_writer_free(writer);
}

static const float bad_variance[] = {1, -1e-6f, 1, 1};
static const float not_finite[] = {1, NAN};
static const float infinite[] = {1, INFINITY};
static const float two[] = {1, 1};
static const int64_t minus = -3;
static const struct {
    const char *name;
    enum den_tensor_type type;
    const void *data;
    size_t count;
    const char *words;
} bad_sets[] = {
    {"model.0.bias", DEN_TENSOR_F32, NULL, 0, "no tensor 'model.0.bias'"},
    {"model.2.weight", DEN_TENSOR_F32, two, 2,
     "has shape 2; this net needs 4 x 2 x 4 x 4"},
    {"model.3.num_batches_tracked", DEN_TENSOR_F32, two, 1, "must be I64"},
    {"model.3.num_batches_tracked", DEN_TENSOR_I64, &minus, 0, "negative"},
    {"model.3.running_var", DEN_TENSOR_F32, bad_variance, 4, "negative"},
    {"model.0.bias", DEN_TENSOR_F32, not_finite, 2,
     "'model.0.bias' holds a value that is not a finite number (element 1)"},
    {"model.0.bias", DEN_TENSOR_F32, infinite, 2, "not a finite number"},
};

static bool open_and_load(struct den_params *params, struct den_err *err)
{
    struct den_tensor_file *file = NULL;
    bool done = den_tensor_file_open(path, MAXIMUM, &file, err) &&
                den_params_load(params, "", false, file, err);
    den_tensor_file_free(file);
    return done;
}

START_TEST(a_set_that_does_not_fit_is_refused_and_changes_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct net_case net = make_net(1), untouched = make_net(1);
    save_with(net.params, bad_sets[_i].name, bad_sets[_i].type, bad_sets[_i].data,
              bad_sets[_i].count);
    must_fail(open_and_load(net.params, &err), DEN_E_UNPROCESSABLE, bad_sets[_i].words);
    same_arrays(net.params, untouched.params, false);
    net_case_free(&net);
    net_case_free(&untouched);
}
END_TEST

START_TEST(a_file_over_the_maximum_or_missing_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct net_case net = make_net(1);
    struct den_tensor_file *file = NULL;
    save(net.params, "", false, path);
    must_fail(den_tensor_file_open(path, 100, &file, &err), DEN_E_TOO_LARGE, "");
    must_fail(den_tensor_file_open("/tmp/den_no_such_file", 100, &file, &err),
              DEN_E_NOT_FOUND, "");
    ck_assert_ptr_null(file);
    net_case_free(&net);
}
END_TEST

/* ---- hostile files ---- */

/* Length, JSON and `data` bytes of zero. */
static struct den_buf make_file(const char *json, size_t data)
{
    struct den_buf buf;
    uint64_t length = strlen(json);
    den_buf_init(&buf, 1 << 20);
    den_buf_add(&buf, &length, sizeof length);
    den_buf_puts(&buf, json);
    for (size_t i = 0; i < data; i++)
        den_buf_add(&buf, "", 1);
    ck_assert(!buf.failed);
    return buf;
}

#define T(name) "\"" name "\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}"
#define FIELDS(fields) "{\"a\":{" fields "}}"

static const struct {
    const char *json;
    size_t data;
    size_t tensors;
} good_files[] = {
    {"{}", 0, 0},
    {"{}      ", 0, 0},
    {"{" T("a") "}", 8, 1},
    {"{ \"a\" :\n{\"data_offsets\" : [ 0 , 8 ],\t\"shape\":[2], \"dtype\":\"F32\" } } ",
     8, 1},
    {"{\"__metadata__\":{}," T("a") "}", 8, 1},
    {FIELDS("\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]"), 8, 1},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[0,0]"), 0, 1},
    {"{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}," T("a") "}", 12,
     2},
};

START_TEST(what_the_format_allows_is_read)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_file *file = NULL;
    struct den_buf buf = make_file(good_files[_i].json, good_files[_i].data);
    must(den_tensor_file_parse(buf.data, buf.length, &file, &err));
    ck_assert_uint_eq(den_tensor_file_size(file), good_files[_i].tensors);
    den_tensor_file_free(file);
    den_buf_release(&buf);
}
END_TEST

START_TEST(escapes_in_strings_are_decoded)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_file *file = NULL;
    struct den_buf buf =
        make_file("{\"__metadata__\":{\"k\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9"
                  "\\u20ac\\ud83d\\uDE00\"}}",
                  0);
    must(den_tensor_file_parse(buf.data, buf.length, &file, &err));
    ck_assert_str_eq(den_tensor_file_meta(file, "k"),
                     "\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
    den_tensor_file_free(file);
    den_buf_release(&buf);
}
END_TEST

#define LONG16 "0123456789abcdef"
#define LONG160 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16 LONG16

static const struct {
    const char *json;
    size_t data;
    enum den_code code;
    const char *words;
} bad_files[] = {
    {"", 0, DEN_E_MALFORMED, "does not begin with '{'"},
    {" {}", 0, DEN_E_MALFORMED, "does not begin with '{'"},
    {"{", 0, DEN_E_MALFORMED, "'\"' is missing"},
    {"[]", 0, DEN_E_MALFORMED, "does not begin"},
    {"{}x", 0, DEN_E_MALFORMED, "follows the closing"},
    {"{}{}", 0, DEN_E_MALFORMED, "follows the closing"},
    {"{" T("a") ",}", 8, DEN_E_MALFORMED, "missing"},
    {"{" T("a") T("b") "}", 8, DEN_E_MALFORMED, "'}' is missing"},
    {"{" T("a") "," T("a") "}", 8, DEN_E_MALFORMED, "begins at byte 0"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}",
     0, DEN_E_MALFORMED, "'a' appears twice"},
    {"{" T("") "}", 8, DEN_E_MALFORMED, "no printable name"},
    {"{" T("a\\u001b[2J") "}", 8, DEN_E_MALFORMED, "no printable name"},
    {"{" T(LONG160) "}", 8, DEN_E_MALFORMED, "too long"},
    {"{" T("a\n") "}", 8, DEN_E_MALFORMED, "control character"},
    {"{" T("a\\u0000") "}", 8, DEN_E_MALFORMED, "zero character"},
    {"{" T("a\\ud800") "}", 8, DEN_E_MALFORMED, "surrogate"},
    {"{" T("a\\ud800\\u0041") "}", 8, DEN_E_MALFORMED, "surrogate"},
    {"{" T("a\\udc00") "}", 8, DEN_E_MALFORMED, "surrogate"},
    {"{" T("a\\u00g0") "}", 8, DEN_E_MALFORMED, "hexadecimal"},
    {"{" T("a\\x") "}", 8, DEN_E_MALFORMED, "escape"},
    {"{" T("a\xff") "}", 8, DEN_E_MALFORMED, "UTF-8"},
    {"{" T("a\xc0\x80") "}", 8, DEN_E_MALFORMED, "UTF-8"},
    {"{" T("a\xed\xa0\x80") "}", 8, DEN_E_MALFORMED, "UTF-8"},
    {"{\"a\":1}", 0, DEN_E_MALFORMED, "'{' is missing"},
    {"{\"a\":null}", 0, DEN_E_MALFORMED, "'{' is missing"},
    {FIELDS(""), 0, DEN_E_MALFORMED, "'\"' is missing"},
    {FIELDS("\"dtype\":\"F32\""), 0, DEN_E_MALFORMED, "lacks"},
    {FIELDS("\"dtype\":\"F32\",\"dtype\":\"F32\""), 0, DEN_E_MALFORMED, "twice"},
    {FIELDS("\"strides\":[1]"), 0, DEN_E_MALFORMED, "unknown key"},
    {FIELDS("\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]"), 4,
     DEN_E_UNSUPPORTED, "Tensor 'a' has type F16; only F32 and I64"},
    {FIELDS("\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]"), 8,
     DEN_E_UNSUPPORTED, "F64"},
    {FIELDS("\"dtype\":\"\\u001b\",\"shape\":[1],\"data_offsets\":[0,8]"), 8,
     DEN_E_MALFORMED, "printable"},
    {FIELDS("\"shape\":[1,1,1,1,1]"), 0, DEN_E_MALFORMED, "too long"},
    {FIELDS("\"shape\":[-1]"), 0, DEN_E_MALFORMED, "whole number"},
    {FIELDS("\"shape\":[1.5]"), 0, DEN_E_MALFORMED, "']' is missing"},
    {FIELDS("\"shape\":[01]"), 0, DEN_E_MALFORMED, "begins with zero"},
    {FIELDS("\"shape\":[99999999999999999999]"), 0, DEN_E_MALFORMED, "too large"},
    {FIELDS("\"shape\":[18446744073709551616]"), 0, DEN_E_MALFORMED, "too large"},
    {FIELDS("\"shape\":[1,]"), 0, DEN_E_MALFORMED, "whole number"},
    {FIELDS("\"shape\":[[1]]"), 0, DEN_E_MALFORMED, "whole number"},
    {FIELDS("\"data_offsets\":[0]"), 0, DEN_E_MALFORMED, "two numbers"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]"), 8, DEN_E_MALFORMED,
     "another number of bytes"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]"), 8, DEN_E_MALFORMED,
     "another number of bytes"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]"),
     0, DEN_E_MALFORMED, "too large"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,0]"),
     0, DEN_E_MALFORMED, "another number of bytes"},
    {FIELDS("\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]"), 12,
     DEN_E_MALFORMED, "begins at byte 4"},
    {"{" T("a") "}", 4, DEN_E_MALFORMED, "holds 4 bytes"},
    {"{" T("a") "}", 12, DEN_E_MALFORMED, "holds 12 bytes"},
    {"{" T("a") ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
     DEN_E_MALFORMED, "begins at byte 4"},
    {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, DEN_E_MALFORMED, "appears twice"},
    {"{\"__metadata__\":{\"k\":\"v\",\"k\":\"v\"}}", 0, DEN_E_MALFORMED, "twice"},
    {"{\"__metadata__\":{\"k\":1}}", 0, DEN_E_MALFORMED, "missing"},
    {"{\"__metadata__\":[]}", 0, DEN_E_MALFORMED, "'{' is missing"},
    {"{\"__metadata__\":{\"" LONG160 "\":\"v\"}}", 0, DEN_E_MALFORMED, "too long"},
    {"{\"__metadata__\":{\"k\":{\"k\":{\"k\":{}}}}}", 0, DEN_E_MALFORMED, "missing"},
};

START_TEST(hostile_files_are_refused_with_a_reason)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_file *file = NULL;
    struct den_buf buf = make_file(bad_files[_i].json, bad_files[_i].data);
    must_fail(den_tensor_file_parse(buf.data, buf.length, &file, &err),
              bad_files[_i].code, bad_files[_i].words);
    ck_assert_ptr_null(file);
    ck_assert(den_utf8_printable(err.text));
    den_buf_release(&buf);
}
END_TEST

START_TEST(header_lengths_beyond_the_file_are_refused)
{
    static const uint64_t lengths[] = {3,
                                       9,
                                       (uint64_t)1 << 24,
                                       ((uint64_t)1 << 24) + 1,
                                       UINT64_MAX,
                                       UINT64_MAX - 7,
                                       (uint64_t)1 << 63};
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_file *file = NULL;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct den_buf buf = make_file("{}", 0);
        memcpy(buf.data, &lengths[i], 8);
        must_fail(den_tensor_file_parse(buf.data, buf.length, &file, &err),
                  DEN_E_MALFORMED, "cut short");
        den_buf_release(&buf);
    }
}
END_TEST

/* Bytes of a small valid file. */
static char *valid_file(size_t *ret_length)
{
    struct den_err err = DEN_ERR_INIT;
    struct net_case net = make_net(1);
    char *bytes = NULL;
    save(net.params, "", false, path);
    must(den_fs_read(path, MAXIMUM, &bytes, ret_length, &err));
    net_case_free(&net);
    return bytes;
}

START_TEST(every_truncation_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_file *file = NULL;
    size_t length = 0;
    char *bytes = valid_file(&length);
    must(den_tensor_file_parse(bytes, length, &file, &err));
    den_tensor_file_free(file);
    file = NULL;
    for (size_t n = 0; n < length; n++)
        must_fail(den_tensor_file_parse(bytes, n, &file, &err), DEN_E_MALFORMED, "");
    ck_assert_ptr_null(file);
    den_free(bytes);
}
END_TEST

START_TEST(changed_bytes_of_a_header_never_crash)
{
    static const char values[] = "\"\\{}[],:0u\x80 ";
    struct den_err err = DEN_ERR_INIT;
    size_t length = 0, refused = 0, tried = 0;
    uint64_t header = 0;
    char *bytes = valid_file(&length);
    memcpy(&header, bytes, 8);
    for (size_t at = 0; at < 8 + header; at++)
        for (size_t v = 0; v < sizeof values; v++) {
            struct den_tensor_file *file = NULL;
            char old = bytes[at];
            bytes[at] = values[v];
            err = DEN_ERR_INIT;
            if (den_tensor_file_parse(bytes, length, &file, &err))
                den_tensor_file_free(file);
            else
                refused += err.text[0] != '\0';
            tried += old != values[v];
            bytes[at] = old;
        }
    ck_assert_uint_gt(tried, 10000);
    ck_assert_uint_gt(refused, tried / 2);
    den_free(bytes);
}
END_TEST

START_TEST(a_failed_allocation_while_reading_is_an_error)
{
    struct den_err err = DEN_ERR_INIT;
    size_t length = 0, live;
    char *bytes = valid_file(&length);
    struct den_tensor_file *file = NULL;
    live = den_mem_live();
    size_t n = 1;
    for (;; n++) {
        err = DEN_ERR_INIT;
        den_mem_fail_at(n);
        bool done = den_tensor_file_parse(bytes, length, &file, &err);
        den_mem_fail_at(0);
        if (done)
            break;
        ck_assert_int_eq(err.code, DEN_E_NO_MEMORY);
        ck_assert_uint_eq(den_mem_live(), live);
    }
    ck_assert_uint_ge(n, 4);
    den_tensor_file_free(file);
    den_free(bytes);
}
END_TEST

/* ---- the writer ---- */

START_TEST(the_writer_refuses_what_it_could_not_read_back)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_tensor_writer *w = NULL;
    const size_t one = 1;
    const float x = 1;
    char big[600];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    must(den_tensor_writer_new(&w, &err));
    must(den_tensor_writer_add(w, "a", DEN_TENSOR_F32, &one, 1, &x, &err));
    must(den_tensor_writer_meta(w, "k", "v", &err));
    must_fail(den_tensor_writer_add(w, "a", DEN_TENSOR_F32, &one, 1, &x, &err),
              DEN_E_INVALID, "twice");
    must_fail(den_tensor_writer_add(w, "", DEN_TENSOR_F32, &one, 1, &x, &err),
              DEN_E_INVALID, "name");
    must_fail(den_tensor_writer_add(w, "__metadata__", DEN_TENSOR_F32, &one, 1, &x, &err),
              DEN_E_INVALID, "name");
    must_fail(den_tensor_writer_add(w, big, DEN_TENSOR_F32, &one, 1, &x, &err),
              DEN_E_INVALID, "too long");
    must_fail(den_tensor_writer_meta(w, "k", "w", &err), DEN_E_INVALID, "twice");
    must_fail(den_tensor_writer_meta(w, "l", big, &err), DEN_E_INVALID, "too long");
    must_fail(den_tensor_writer_meta(w, "l", "\xff", &err), DEN_E_INVALID, "not text");
    den_tensor_writer_free(w);
}
END_TEST

START_TEST(the_data_begins_at_a_multiple_of_eight)
{
    size_t length = 0;
    uint64_t header = 0;
    char *bytes = valid_file(&length);
    memcpy(&header, bytes, 8);
    ck_assert_uint_eq(header % 8, 0);
    ck_assert_int_eq(bytes[8], '{');
    den_free(bytes);
}
END_TEST

#define ROWS(table) ((int)(sizeof(table) / sizeof *(table)))

int main(void)
{
    Suite *suite = suite_create("weights");
    TCase *tcase = tcase_create("files");
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, a_set_comes_back_bit_for_bit);
    tcase_add_test(tcase, the_same_set_makes_the_same_bytes);
    tcase_add_test(tcase, files_have_pytorchs_names_shapes_and_order);
    tcase_add_test(tcase, weights_are_permuted_between_file_and_memory);
    tcase_add_loop_test(tcase, weights_of_any_shape_are_permuted, 0, 8);
    tcase_add_loop_test(tcase, a_set_that_does_not_fit_is_refused_and_changes_nothing, 0,
                        ROWS(bad_sets));
    tcase_add_test(tcase, a_file_over_the_maximum_or_missing_is_refused);
    tcase_add_loop_test(tcase, what_the_format_allows_is_read, 0, ROWS(good_files));
    tcase_add_test(tcase, escapes_in_strings_are_decoded);
    tcase_add_loop_test(tcase, hostile_files_are_refused_with_a_reason, 0,
                        ROWS(bad_files));
    tcase_add_test(tcase, header_lengths_beyond_the_file_are_refused);
    tcase_add_test(tcase, every_truncation_is_refused);
    tcase_add_test(tcase, changed_bytes_of_a_header_never_crash);
    tcase_add_test(tcase, a_failed_allocation_while_reading_is_an_error);
    tcase_add_test(tcase, the_writer_refuses_what_it_could_not_read_back);
    tcase_add_test(tcase, the_data_begins_at_a_multiple_of_eight);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
