#ifndef DEN_BACKEND_H
#define DEN_BACKEND_H

/* The backend seam: a table of kernels on device memory.  Ops never touch device data
 * themselves. backend_ref is plain loops and stays for ever as the oracle; backend_cpu is
 * vector loops on one thread pool; backend_blas has the convolutions as products by
 * OpenBLAS and shares the rest with backend_cpu.  tests/backend compares every kernel of
 * every row with backend_ref.
 *
 * Conventions: dx, dw, db, dgamma, dbeta named "added" are accumulated into; where a
 * kernel has `bool add`, add = false overwrites.  Reductions have a fixed order for a
 * fixed pool size. No kernel allocates; scratch comes from struct den_exec. */

#include "err.h"
#include "pool.h"
#include "view.h"

/* Fast algorithms that a backend may use for convolutions [Lavin and Gray, CVPR 2016]. */
enum den_winograd {
    DEN_WINOGRAD_AUTO, /* whatever is fastest: errors up to 5e-5 of the largest output */
    DEN_WINOGRAD_F22,  /* only such as are as exact as plain sums */
    DEN_WINOGRAD_OFF,  /* plain sums */
};
#define DEN_WINOGRAD_WORDS "auto f22 off" /* their names, in this order */
const char *den_winograd_name(enum den_winograd winograd);
/* False, and *ret untouched, if there is none of that name. */
bool den_winograd_find(const char *name, enum den_winograd *ret);

/* What a convolution does with a finished sum, per output channel:
 *     y = act(scale * sum + bias),   act(v) = v > 0 ? v : slope * v */
struct den_epilogue {
    const den_real *scale; /* [channels of the output], device; NULL: 1 */
    double slope;          /* 1: no activation */
};

struct den_exec {
    struct den_pool *pool; /* NULL = the calling thread alone */
    den_real *scratch;     /* device memory, 64-byte aligned */
    size_t scratch_count;  /* reals */
    enum den_winograd winograd;
    den_real *packed; /* the call's weights as conv_pack wrote them, or NULL; only read */
    /* NULL: {NULL, 1}.  Only beside packed weights, and not where the call adds. */
    const struct den_epilogue *epilogue;
};

struct den_conv_geom {
    size_t kh, kw, stride,
        pad; /* output side = (side + 2 pad - k) / stride + 1; pad <= halo */
};

struct den_adam {
    double lr, beta1, beta2, eps;
    size_t t; /* steps done including this one, >= 1 */
};

struct den_backend {
    const char *name, *doc;

    /* Device memory; zeroed.  Counts are reals. */
    bool (*alloc)(size_t count, den_real **ret, struct den_err *err);
    void (*free)(den_real *data);
    void (*upload)(den_real *device, const den_real *host, size_t count);
    void (*download)(den_real *host, const den_real *device, size_t count);
    void (*zero)(den_real *device, size_t count);
    /* Packed host [n][h][w][c] to and from a view. */
    void (*pack_in)(const struct den_exec *ex, const den_real *host,
                    const struct den_view *to);
    void (*pack_out)(const struct den_exec *ex, const struct den_view *from,
                     den_real *host);

    /* Scratch (reals) that the three convolution kernels need at most for this case. */
    size_t (*conv_scratch)(struct den_conv_geom g, struct den_shape x, struct den_shape y,
                           int threads);
    /* y = conv(x, w) + bias.  x [n][h][w][ci], w [kh][kw][ci][co], bias [co] or NULL, y
     * [n][oh][ow][co] (cross-correlation, as PyTorch's Conv2d). */
    void (*conv_forward)(const struct den_exec *ex, struct den_conv_geom g,
                         const struct den_view *x, const den_real *w,
                         const den_real *bias, const struct den_view *y);
    /* dx (=, or += when add) conv^T(dy, w) + bias: the adjoint of conv_forward in x, and
     * also the forward pass of a transposed convolution (then bias [ci] may be given). */
    void (*conv_backward_data)(const struct den_exec *ex, struct den_conv_geom g,
                               const struct den_view *dy, const den_real *w,
                               const den_real *bias, const struct den_view *dx, bool add);
    /* dw [kh][kw][ci][co] is added. */
    void (*conv_backward_weights)(const struct den_exec *ex, struct den_conv_geom g,
                                  const struct den_view *x, const struct den_view *dy,
                                  den_real *dw);
    /* Optional, both or none: weights that many calls share are brought into the kernel's
     * own order once, for conv_forward or, if transposed, for conv_backward_data; these
     * take them from ex->packed, w may be NULL, and otherwise the same arguments.
     * conv_packed: reals, 0 if nothing is gained; *ret_scratch: scratch of such calls. Of
     * the views only the shapes matter. */
    size_t (*conv_packed)(enum den_winograd winograd, struct den_conv_geom g,
                          struct den_shape x, struct den_shape y, bool transposed,
                          int threads, size_t *ret_scratch);
    void (*conv_pack)(const struct den_exec *ex, struct den_conv_geom g,
                      const struct den_view *x, const struct den_view *y, bool transposed,
                      const den_real *w, den_real *to);
    /* db[c] += sum of dy over images and pixels. */
    void (*channel_sum)(const struct den_exec *ex, const struct den_view *dy,
                        den_real *db);

    /* The element by element kernels (lrelu, tanh, dropout, norm_forward) may be called
     * in place: y the same view as x, and in the backward ones dx the same view as dy. */

    /* y = x > 0 ? x : slope x (slope 0 is ReLU).  Backward reads the INPUT x; at 0 the
     * derivative is slope, as in PyTorch. */
    void (*lrelu_forward)(const struct den_exec *ex, const struct den_view *x,
                          double slope, const struct den_view *y);
    void (*lrelu_backward)(const struct den_exec *ex, const struct den_view *x,
                           double slope, const struct den_view *dy,
                           const struct den_view *dx, bool add);
    void (*tanh_forward)(const struct den_exec *ex, const struct den_view *x,
                         const struct den_view *y);
    /* Reads the OUTPUT y. */
    void (*tanh_backward)(const struct den_exec *ex, const struct den_view *y,
                          const struct den_view *dy, const struct den_view *dx, bool add);

    /* Inverted dropout: element e (packed NHWC index) is kept and scaled by 1 / (1 - p)
     * when den_hash64(key, e) / 2^64 >= p, else 0.  Backward makes the same mask again.
     */
    void (*dropout_forward)(const struct den_exec *ex, const struct den_view *x,
                            uint64_t key, double p, const struct den_view *y);
    void (*dropout_backward)(const struct den_exec *ex, uint64_t key, double p,
                             const struct den_view *dy, const struct den_view *dx,
                             bool add);

    /* Moments over images and pixels (per_image false, G = 1: batch norm) or over pixels
     * (per_image true, G = n: instance norm).  mean, var: [G][c], var biased; sums in
     * double. */
    void (*moments)(const struct den_exec *ex, const struct den_view *x, bool per_image,
                    den_real *mean, den_real *var);
    /* y = (x - mean) / sqrt(var + eps) * gamma + beta; gamma, beta [c] or both NULL. */
    void (*norm_forward)(const struct den_exec *ex, const struct den_view *x,
                         bool per_image, const den_real *mean, const den_real *var,
                         const den_real *gamma, const den_real *beta, double eps,
                         const struct den_view *y);
    /* The derivative including that of mean and var (training).  dgamma, dbeta added, or
     * NULL. */
    void (*norm_backward)(const struct den_exec *ex, const struct den_view *x,
                          bool per_image, const den_real *mean, const den_real *var,
                          const den_real *gamma, double eps, const struct den_view *dy,
                          const struct den_view *dx, bool add, den_real *dgamma,
                          den_real *dbeta);

    /* y [n][h / 2][w / 2][c] = the largest of each 2 x 2 pixels of x; an odd last row or
     * column is left out.  Backward finds the maximum in x again, of equal ones the first
     * in reading order (rows before columns); the other pixels of dx get 0 (or nothing
     * when add).  NaN goes forward as the largest; where there is one, any of the four
     * may get the gradient. */
    void (*max_pool_forward)(const struct den_exec *ex, const struct den_view *x,
                             const struct den_view *y);
    void (*max_pool_backward)(const struct den_exec *ex, const struct den_view *x,
                              const struct den_view *dy, const struct den_view *dx,
                              bool add);
    /* y [n][2 h][2 w][c] = each pixel of x four times; dx (=, or += when add) the sum. */
    void (*upsample_forward)(const struct den_exec *ex, const struct den_view *x,
                             const struct den_view *y);
    void (*upsample_backward)(const struct den_exec *ex, const struct den_view *dy,
                              const struct den_view *dx, bool add);

    /* y (=, or += when add) x, same shape. */
    void (*copy)(const struct den_exec *ex, const struct den_view *x,
                 const struct den_view *y, bool add);
    /* p -= lr * mhat / (sqrt(vhat) + eps), mhat = m / (1 - beta1^t), vhat = v / (1 -
     * beta2^t). [Kingma and Ba, ICLR 2015, Algorithm 1]. All [count]. */
    void (*adam)(const struct den_exec *ex, size_t count, den_real *p, const den_real *g,
                 den_real *m, den_real *v, const struct den_adam *adam);
};

extern const struct den_backend den_backend_ref;
extern const struct den_backend den_backend_cpu;
extern const struct den_backend den_backend_blas;
extern const struct den_backend
    *const den_backends[]; /* ends with NULL; the first is the usual one */
/* The fastest on this processor.  DENOISED_ISA=blas means blas, and any other value the
 * usual one, which then looks at it. */
const struct den_backend *den_backend_default(void);
const struct den_backend *den_backend_find(const char *name); /* NULL if unknown */
/* What the last bits of a result depend on beside seed and program, for people and to
 * compare: "cpu, avx512, OpenBLAS Zen, 2 threads". */
void den_backend_machine(const struct den_backend *backend, int threads, char *ret,
                         size_t size);

#endif
