#include "backend_ref.h"

/* The input coordinate under tap k of output coordinate o; false in the padding. */
static bool tap_source(size_t o, size_t k, struct den_conv_geom g, size_t side,
                       size_t *ret)
{
    size_t padded = o * g.stride + k;
    if (padded < g.pad || padded - g.pad >= side)
        return false;
    *ret = padded - g.pad;
    return true;
}

size_t den_ref_conv_scratch(struct den_conv_geom g, struct den_shape x,
                            struct den_shape y, int threads)
{
    (void)g, (void)x, (void)y, (void)threads;
    return 0;
}

/* sum over taps and input channels of x * w for one output pixel and channel o. */
static double pixel_forward(struct den_conv_geom g, const struct den_view *x,
                            const den_real *w, size_t co, size_t o, size_t i, size_t oy,
                            size_t ox)
{
    double sum = 0;
    size_t sy, sx, ci = x->shape.c;
    for (size_t ky = 0; ky < g.kh; ky++)
        for (size_t kx = 0; kx < g.kw; kx++) {
            if (!tap_source(oy, ky, g, x->shape.h, &sy) ||
                !tap_source(ox, kx, g, x->shape.w, &sx))
                continue;
            const den_real *from = den_view_at(x, i, sy, sx);
            const den_real *tap = w + (ky * g.kw + kx) * ci * co + o;
            for (size_t c = 0; c < ci; c++)
                sum += (double)from[c] * (double)tap[c * co];
        }
    return sum;
}

void den_ref_conv_forward(const struct den_exec *ex, struct den_conv_geom g,
                          const struct den_view *x, const den_real *w,
                          const den_real *bias, const struct den_view *y)
{
    (void)ex;
    struct den_shape s = y->shape;
    for (size_t i = 0; i < s.n; i++)
        for (size_t oy = 0; oy < s.h; oy++)
            for (size_t ox = 0; ox < s.w; ox++) {
                den_real *to = den_view_at(y, i, oy, ox);
                for (size_t o = 0; o < s.c; o++)
                    to[o] = (den_real)((bias != NULL ? (double)bias[o] : 0) +
                                       pixel_forward(g, x, w, s.c, o, i, oy, ox));
            }
}

/* The output coordinate whose tap k reads input coordinate `at`; false if there is none.
 */
static bool tap_target(size_t at, size_t k, struct den_conv_geom g, size_t side,
                       size_t *ret)
{
    size_t padded = at + g.pad;
    if (padded < k || (padded - k) % g.stride != 0 || (padded - k) / g.stride >= side)
        return false;
    *ret = (padded - k) / g.stride;
    return true;
}

static double pixel_backward(struct den_conv_geom g, const struct den_view *dy,
                             const den_real *w, size_t ci, size_t c, size_t i, size_t iy,
                             size_t ix)
{
    double sum = 0;
    size_t ty, tx, co = dy->shape.c;
    for (size_t ky = 0; ky < g.kh; ky++)
        for (size_t kx = 0; kx < g.kw; kx++) {
            if (!tap_target(iy, ky, g, dy->shape.h, &ty) ||
                !tap_target(ix, kx, g, dy->shape.w, &tx))
                continue;
            const den_real *from = den_view_at(dy, i, ty, tx);
            const den_real *tap = w + ((ky * g.kw + kx) * ci + c) * co;
            for (size_t o = 0; o < co; o++)
                sum += (double)from[o] * (double)tap[o];
        }
    return sum;
}

void den_ref_conv_backward_data(const struct den_exec *ex, struct den_conv_geom g,
                                const struct den_view *dy, const den_real *w,
                                const den_real *bias, const struct den_view *dx, bool add)
{
    (void)ex;
    struct den_shape s = dx->shape;
    for (size_t i = 0; i < s.n; i++)
        for (size_t iy = 0; iy < s.h; iy++)
            for (size_t ix = 0; ix < s.w; ix++) {
                den_real *to = den_view_at(dx, i, iy, ix);
                for (size_t c = 0; c < s.c; c++) {
                    double sum = pixel_backward(g, dy, w, s.c, c, i, iy, ix) +
                                 (bias != NULL ? (double)bias[c] : 0);
                    to[c] = (den_real)(add ? (double)to[c] + sum : sum);
                }
            }
}

static double weight_backward(struct den_conv_geom g, const struct den_view *x,
                              const struct den_view *dy, size_t ky, size_t kx, size_t c,
                              size_t o)
{
    double sum = 0;
    size_t sy, sx;
    struct den_shape s = dy->shape;
    for (size_t i = 0; i < s.n; i++)
        for (size_t oy = 0; oy < s.h; oy++)
            for (size_t ox = 0; ox < s.w; ox++)
                if (tap_source(oy, ky, g, x->shape.h, &sy) &&
                    tap_source(ox, kx, g, x->shape.w, &sx))
                    sum += (double)den_view_at(x, i, sy, sx)[c] *
                           (double)den_view_at(dy, i, oy, ox)[o];
    return sum;
}

void den_ref_conv_backward_weights(const struct den_exec *ex, struct den_conv_geom g,
                                   const struct den_view *x, const struct den_view *dy,
                                   den_real *dw)
{
    (void)ex;
    size_t ci = x->shape.c, co = dy->shape.c;
    for (size_t ky = 0; ky < g.kh; ky++)
        for (size_t kx = 0; kx < g.kw; kx++)
            for (size_t c = 0; c < ci; c++)
                for (size_t o = 0; o < co; o++) {
                    den_real *to = &dw[((ky * g.kw + kx) * ci + c) * co + o];
                    *to =
                        (den_real)((double)*to + weight_backward(g, x, dy, ky, kx, c, o));
                }
}
