/* Included once per instruction set by backend_cpu_isa.h: the transforms of whole tiles,
 * columns first, then rows (see backend_cpu_winograd_sides.h). */

enum { TILE(most) = 5 }; /* m + 1 of the larger algorithm */

/* A square of vectors: input m + 1 inputs wide, spread from m to m + 1. */
TILE_INLINE void TILE(store_points)(size_t m, VEC x[TILE(most)][TILE(most)], den_real *to,
                                    size_t to_point)
{
    for (size_t i = 0; i <= m; i++)
        for (size_t j = 0; j <= m; j++)
            *(VEC *)(to + (i * (m + 1) + j) * to_point) = x[i][j];
}

TILE_INLINE void TILE(input_tile)(size_t m, const den_real *const d[], size_t count,
                                  den_real *v, size_t v_line, size_t v_point)
{
    VEC x[TILE(most)][TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t i = 0; i <= m; i++)
            for (size_t j = 0; j <= m; j++)
                x[i][j] = *(const VEC *)(d[i * (m + 1) + j] + at);
        for (size_t j = 0; j <= m; j++)
            TILE(input_side)(m, &x[0][j], TILE(most));
        for (size_t i = 0; i <= m; i++)
            TILE(input_side)(m, x[i], 1);
        TILE(store_points)
        (m, x, v + at / DEN_TILE_LANES * v_line + at % DEN_TILE_LANES, v_point);
    }
}

TILE_INLINE void TILE(spread_tile)(size_t m, const den_real *const dy[], size_t count,
                                   den_real *v, size_t v_line, size_t v_point)
{
    VEC x[TILE(most)][TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < m; j++)
                x[i][j] = *(const VEC *)(dy[i * m + j] + at);
        for (size_t j = 0; j < m; j++)
            TILE(spread_side)(m, &x[0][j], TILE(most));
        for (size_t i = 0; i <= m; i++)
            TILE(spread_side)(m, x[i], 1);
        TILE(store_points)
        (m, x, v + at / DEN_TILE_LANES * v_line + at % DEN_TILE_LANES, v_point);
    }
}

TILE_INLINE void TILE(output_tile)(size_t m, const den_real *sums, size_t point,
                                   size_t count, const den_real *bias, bool add,
                                   den_real *const y[])
{
    VEC x[TILE(most)][TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t i = 0; i <= m; i++)
            for (size_t j = 0; j <= m; j++)
                x[i][j] = *(const VEC *)(sums + (i * (m + 1) + j) * point + at);
        for (size_t j = 0; j <= m; j++)
            TILE(output_side)(m, &x[0][j], TILE(most));
        for (size_t i = 0; i < m; i++)
            TILE(output_side)(m, x[i], 1);
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < m; j++) {
                if (y[i * m + j] == NULL)
                    continue;
                VEC *to = (VEC *)(y[i * m + j] + at);
                VEC sum = x[i][j] + *(const VEC *)(bias + at);
                if (add)
                    sum += *to;
                *to = sum;
            }
    }
}

TILE_INLINE void TILE(weights_row)(size_t m, const den_real *const g[], size_t at,
                                   size_t count, den_real *u, size_t u_point)
{
    VEC x[TILE(most)][TILE(most)];
    for (size_t end = at + count; at < end; at += LANES, u += LANES) {
        for (size_t i = 0; i < 2; i++)
            for (size_t j = 0; j < 2; j++)
                x[i][j] = *(const VEC *)(g[2 * i + j] + at);
        for (size_t j = 0; j < 2; j++)
            TILE(weights_side)(m, &x[0][j], TILE(most));
        for (size_t i = 0; i <= m; i++)
            TILE(weights_side)(m, x[i], 1);
        for (size_t i = 0; i <= m; i++)
            for (size_t j = 0; j <= m; j++)
                TILE_STREAM(u + (i * (m + 1) + j) * u_point, x[i][j]);
    }
}

TILE_INLINE void TILE(gradient_tile)(size_t m, const den_real *du, size_t point,
                                     size_t count, den_real *const dw[])
{
    VEC x[TILE(most)][TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t i = 0; i <= m; i++)
            for (size_t j = 0; j <= m; j++)
                x[i][j] = *(const VEC *)(du + (i * (m + 1) + j) * point + at);
        for (size_t j = 0; j <= m; j++)
            TILE(gradient_side)(m, &x[0][j], TILE(most));
        for (size_t i = 0; i < 2; i++)
            TILE(gradient_side)(m, x[i], 1);
        for (size_t i = 0; i < 2; i++)
            for (size_t j = 0; j < 2; j++)
                *(VEC *)(dw[2 * i + j] + at) += x[i][j];
    }
}

/* ---- the functions of a row of den_cpu_tiles[], with m known to the compiler ---- */

static TILE_TARGET void TILE(input)(size_t m, const den_real *const d[], size_t count,
                                    den_real *v, size_t v_line, size_t v_point)
{
    if (m == 2)
        TILE(input_tile)(2, d, count, v, v_line, v_point);
    else
        TILE(input_tile)(4, d, count, v, v_line, v_point);
}

static TILE_TARGET void TILE(spread)(size_t m, const den_real *const dy[], size_t count,
                                     den_real *v, size_t v_line, size_t v_point)
{
    if (m == 2)
        TILE(spread_tile)(2, dy, count, v, v_line, v_point);
    else
        TILE(spread_tile)(4, dy, count, v, v_line, v_point);
}

static TILE_TARGET void TILE(output)(size_t m, const den_real *sums, size_t point,
                                     size_t count, const den_real *bias, bool add,
                                     den_real *const y[])
{
    if (m == 2)
        TILE(output_tile)(2, sums, point, count, bias, add, y);
    else
        TILE(output_tile)(4, sums, point, count, bias, add, y);
}

static TILE_TARGET void TILE(weights)(size_t m, const den_real *const g[], size_t g_row,
                                      size_t rows, size_t count, den_real *u,
                                      size_t u_point)
{
    for (size_t row = 0; row < rows; row++, u += count)
        if (m == 2)
            TILE(weights_row)(2, g, row * g_row, count, u, u_point);
        else
            TILE(weights_row)(4, g, row * g_row, count, u, u_point);
    TILE_FENCE();
}

static TILE_TARGET void TILE(gradient)(size_t m, const den_real *du, size_t point,
                                       size_t count, den_real *const dw[])
{
    if (m == 2)
        TILE(gradient_tile)(2, du, point, count, dw);
    else
        TILE(gradient_tile)(4, du, point, count, dw);
}
