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
 * They work in place; a vector holds neighbouring channels. */

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

/* ---- F(2, 3): points 0, 1, -1, inf ---- */

TILE_INLINE void TILE(input_23)(VEC *x)
{
    VEC d1 = x[1], d2 = x[2];
    x[0] -= d2;
    x[1] = d2 + d1;
    x[2] = d2 - d1;
    x[3] -= d1;
}

TILE_INLINE void TILE(output_23)(VEC *x)
{
    VEC gap = x[1] - x[2];
    x[0] += x[1] + x[2];
    x[1] = gap + x[3];
}

TILE_INLINE void TILE(spread_23)(VEC *x)
{
    VEC last = x[1];
    x[1] = x[0] + last;
    x[2] = x[0] - last;
    x[3] = last;
}

TILE_INLINE void TILE(weights_23)(VEC *x)
{
    const den_real half = (den_real)0.5;
    VEC even = half * (x[0] + x[2]), odd = half * x[1], last = x[2];
    x[1] = even + odd;
    x[2] = even - odd;
    x[3] = last;
}

TILE_INLINE void TILE(gradient_23)(VEC *x)
{
    const den_real half = (den_real)0.5;
    VEC even = half * (x[1] + x[2]), odd = half * (x[1] - x[2]);
    x[0] += even;
    x[1] = odd;
    x[2] = even + x[3];
}

/* ---- F(4, 3): points 0, a, -a, b, -b, inf with a = 3/4, b = 3/2 ----
 * With 1 and 2, as in the paper, errors are four times as large: symmetric points whose
 * powers stay near 1 are best [Alam et al., ACM TECS 2022].  With these two, all numbers
 * but those of G are exact.     */

TILE_INLINE void TILE(input_43)(VEC *x)
{
    const den_real a = (den_real)0.75, b = (den_real)1.5;
    const den_real a2 = (den_real)(9.0 / 16), b2 = (den_real)(9.0 / 4),
                   sum2 = (den_real)(45.0 / 16), a2b2 = (den_real)(81.0 / 64);
    VEC d0 = x[0], d1 = x[1], d2 = x[2], d3 = x[3], d4 = x[4], d5 = x[5];
    VEC even_a = d4 - b2 * d2, odd_a = d3 - b2 * d1;
    VEC even_b = d4 - a2 * d2, odd_b = d3 - a2 * d1;
    x[0] = d4 - sum2 * d2 + a2b2 * d0;
    x[1] = even_a + a * odd_a;
    x[2] = even_a - a * odd_a;
    x[3] = even_b + b * odd_b;
    x[4] = even_b - b * odd_b;
    x[5] = d5 - sum2 * d3 + a2b2 * d1;
}

TILE_INLINE void TILE(output_43)(VEC *x)
{
    const den_real a = (den_real)0.75, b = (den_real)1.5;
    const den_real a2 = (den_real)(9.0 / 16), b2 = (den_real)(9.0 / 4),
                   a3 = (den_real)(27.0 / 64), b3 = (den_real)(27.0 / 8);
    VEC sum_a = x[1] + x[2], gap_a = x[1] - x[2];
    VEC sum_b = x[3] + x[4], gap_b = x[3] - x[4];
    x[0] += sum_a + sum_b;
    x[1] = a * gap_a + b * gap_b;
    x[2] = a2 * sum_a + b2 * sum_b;
    x[3] = x[5] + a3 * gap_a + b3 * gap_b;
}

TILE_INLINE void TILE(spread_43)(VEC *x)
{
    const den_real a = (den_real)0.75, b = (den_real)1.5;
    const den_real a2 = (den_real)(9.0 / 16), b2 = (den_real)(9.0 / 4);
    VEC y0 = x[0], y1 = x[1], y2 = x[2], y3 = x[3];
    VEC even_a = y0 + a2 * y2, odd_a = y1 + a2 * y3;
    VEC even_b = y0 + b2 * y2, odd_b = y1 + b2 * y3;
    x[1] = even_a + a * odd_a;
    x[2] = even_a - a * odd_a;
    x[3] = even_b + b * odd_b;
    x[4] = even_b - b * odd_b;
    x[5] = y3;
}

/* Point p is divided by the product of its differences from the other ones: 81/64 for 0,
 * -243/128 for a and -a, 243/32 for b and -b. */
TILE_INLINE void TILE(weights_43)(VEC *x)
{
    const den_real at_0 = (den_real)(64.0 / 81);
    const den_real a_0 = (den_real)(-128.0 / 243), a_1 = (den_real)(-32.0 / 81),
                   b_0 = (den_real)(32.0 / 243), b_1 = (den_real)(16.0 / 81),
                   ab_2 = (den_real)(8.0 / 27);
    VEC g0 = x[0], g1 = x[1], g2 = x[2];
    VEC even_a = a_0 * g0 - ab_2 * g2, even_b = b_0 * g0 + ab_2 * g2;
    x[0] = at_0 * g0;
    x[1] = even_a + a_1 * g1;
    x[2] = even_a - a_1 * g1;
    x[3] = even_b + b_1 * g1;
    x[4] = even_b - b_1 * g1;
    x[5] = g2;
}

TILE_INLINE void TILE(gradient_43)(VEC *x)
{
    const den_real at_0 = (den_real)(64.0 / 81);
    const den_real a_0 = (den_real)(-128.0 / 243), a_1 = (den_real)(-32.0 / 81),
                   b_0 = (den_real)(32.0 / 243), b_1 = (den_real)(16.0 / 81),
                   ab_2 = (den_real)(8.0 / 27);
    VEC sum_a = x[1] + x[2], gap_a = x[1] - x[2];
    VEC sum_b = x[3] + x[4], gap_b = x[3] - x[4];
    x[0] = at_0 * x[0] + a_0 * sum_a + b_0 * sum_b;
    x[1] = a_1 * gap_a + b_1 * gap_b;
    x[2] = x[5] + ab_2 * (sum_b - sum_a);
}
