/* Included once per instruction set by backend_cpu_isa.h.
 * The transforms of Winograd's algorithms F(m, r) [Lavin and Gray, CVPR 2016]: m outputs
 * of a sum of r taps from n = m + r - 1 products,
 *     y = A^T ((G g) * (B^T d)),   d [n], g [r], y [m],
 * applied to columns and rows.  Each row of products belongs to a point at which the
 * polynomials of d and g are multiplied.  An algorithm mr has five functions:
 *     input_mr     B^T d    n -> n
 *     output_mr    A^T m    n -> m
 *     spread_mr    A y      m -> n, the adjoint of output
 *     weights_mr   G g      r -> n
 *     gradient_mr  G^T u    n -> r, the adjoint of weights
 * Those of r = 3 are in backend_cpu_winograd_sides3.h.  They work in place; a vector
 * holds neighbouring channels. */

/* ---- F(2, 2): points 0, 1, inf ---- */

TILE_INLINE void TILE(input_22)(VEC *x)
{
    x[0] -= x[1];
    x[2] = x[1] - x[2];
}

TILE_INLINE void TILE(output_22)(VEC *x)
{
    x[0] += x[1];
    x[1] -= x[2];
}

TILE_INLINE void TILE(spread_22)(VEC *x)
{
    x[2] = -x[1];
    x[1] += x[0];
}

TILE_INLINE void TILE(weights_22)(VEC *x)
{
    VEC g1 = x[1];
    x[1] += x[0];
    x[2] = g1;
}

TILE_INLINE void TILE(gradient_22)(VEC *x)
{
    x[0] += x[1];
    x[1] += x[2];
}

/* ---- F(4, 2): points 0, 1, -1, 2, inf ---- */

TILE_INLINE void TILE(input_42)(VEC *x)
{
    const den_real two = 2, three = 3;
    VEC d0 = x[0], d1 = x[1], d2 = x[2], d3 = x[3], d4 = x[4];
    VEC gap = d3 - d1;
    x[0] = two * (d0 - d2) + gap;
    x[1] = d3 - d2 - two * d1;
    x[2] = d3 - three * d2 + two * d1;
    x[3] = gap;
    x[4] = d4 - d2 - two * gap;
}

TILE_INLINE void TILE(output_42)(VEC *x)
{
    const den_real two = 2, four = 4, eight = 8;
    VEC sum = x[1] + x[2], gap = x[1] - x[2], far = x[3];
    x[0] += sum + far;
    x[1] = gap + two * far;
    x[2] = sum + four * far;
    x[3] = gap + eight * far + x[4];
}

TILE_INLINE void TILE(spread_42)(VEC *x)
{
    const den_real two = 2, four = 4, eight = 8;
    VEC even = x[0] + x[2], odd = x[1] + x[3], last = x[3];
    VEC far = x[0] + two * x[1] + four * x[2] + eight * last;
    x[1] = even + odd;
    x[2] = even - odd;
    x[3] = far;
    x[4] = last;
}

TILE_INLINE void TILE(weights_42)(VEC *x)
{
    const den_real half = (den_real)0.5, sixth = (den_real)(1.0 / 6),
                   third = (den_real)(1.0 / 3);
    VEC g0 = x[0], g1 = x[1];
    x[0] = half * g0;
    x[1] = -half * (g0 + g1);
    x[2] = sixth * (g1 - g0);
    x[3] = sixth * g0 + third * g1;
    x[4] = g1;
}

TILE_INLINE void TILE(gradient_42)(VEC *x)
{
    const den_real half = (den_real)0.5, sixth = (den_real)(1.0 / 6),
                   third = (den_real)(1.0 / 3);
    VEC u1 = half * x[1], u2 = sixth * x[2], u3 = x[3];
    x[0] = half * x[0] - u1 - u2 + sixth * u3;
    x[1] = u2 - u1 + third * u3 + x[4];
}
