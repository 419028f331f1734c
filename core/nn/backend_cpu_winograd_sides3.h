/* Included once per instruction set by backend_cpu_isa.h: the transforms of F(2, 3) and
 * F(4, 3); see backend_cpu_winograd_sides.h. */

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
