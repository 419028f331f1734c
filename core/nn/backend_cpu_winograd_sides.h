/* Included once per instruction set by backend_cpu_isa.h.
 * The transforms of Winograd's algorithms F(m, 2), m = 2 and 4 [Lavin and Gray, CVPR
 * 2016]: m outputs of a sum of two taps from m + 1 products,
 *     y = A^T ((G g) * (B^T d)),   d [m + 1], g [2], y [m],
 * applied to columns and rows.  The points are 0, 1, inf, and for m = 4 also -1 and 2.
 * Each function works on one direction, in place, on vectors `s` apart; a vector holds
 * neighbouring channels. */

/* B^T d. */
TILE_INLINE void TILE(input_side)(size_t m, VEC *x, size_t s)
{
    const den_real two = 2, three = 3;
    if (m == 2) {
        x[0] -= x[s];
        x[2 * s] = x[s] - x[2 * s];
        return;
    }
    VEC d0 = x[0], d1 = x[s], d2 = x[2 * s], d3 = x[3 * s], d4 = x[4 * s];
    VEC gap = d3 - d1;
    x[0] = two * (d0 - d2) + gap;
    x[s] = d3 - d2 - two * d1;
    x[2 * s] = d3 - three * d2 + two * d1;
    x[3 * s] = gap;
    x[4 * s] = d4 - d2 - two * gap;
}

/* A^T m. */
TILE_INLINE void TILE(output_side)(size_t m, VEC *x, size_t s)
{
    const den_real two = 2, four = 4, eight = 8;
    if (m == 2) {
        x[0] += x[s];
        x[s] -= x[2 * s];
        return;
    }
    VEC sum = x[s] + x[2 * s], gap = x[s] - x[2 * s], far = x[3 * s];
    x[0] += sum + far;
    x[s] = gap + two * far;
    x[2 * s] = sum + four * far;
    x[3 * s] = gap + eight * far + x[4 * s];
}

/* A y: the adjoint of output_side. */
TILE_INLINE void TILE(spread_side)(size_t m, VEC *x, size_t s)
{
    const den_real two = 2, four = 4, eight = 8;
    if (m == 2) {
        x[2 * s] = -x[s];
        x[s] += x[0];
        return;
    }
    VEC even = x[0] + x[2 * s], odd = x[s] + x[3 * s], last = x[3 * s];
    VEC far = x[0] + two * x[s] + four * x[2 * s] + eight * last;
    x[s] = even + odd;
    x[2 * s] = even - odd;
    x[3 * s] = far;
    x[4 * s] = last;
}

/* G g. */
TILE_INLINE void TILE(weights_side)(size_t m, VEC *x, size_t s)
{
    const den_real half = (den_real)0.5, sixth = (den_real)(1.0 / 6),
                   third = (den_real)(1.0 / 3);
    VEC g0 = x[0], g1 = x[s];
    if (m == 2) {
        x[s] = g0 + g1;
        x[2 * s] = g1;
        return;
    }
    x[0] = half * g0;
    x[s] = -half * (g0 + g1);
    x[2 * s] = sixth * (g1 - g0);
    x[3 * s] = sixth * g0 + third * g1;
    x[4 * s] = g1;
}

/* G^T u: the adjoint of weights_side. */
TILE_INLINE void TILE(gradient_side)(size_t m, VEC *x, size_t s)
{
    const den_real half = (den_real)0.5, sixth = (den_real)(1.0 / 6),
                   third = (den_real)(1.0 / 3);
    if (m == 2) {
        x[0] += x[s];
        x[s] += x[2 * s];
        return;
    }
    VEC u1 = half * x[s], u2 = sixth * x[2 * s], u3 = x[3 * s];
    x[0] = half * x[0] - u1 - u2 + sixth * u3;
    x[s] = u2 - u1 + third * u3 + x[4 * s];
}
