/* Included once per instruction set by backend_cpu_isa.h: the table of its algorithms,
 * each with functions that know all sizes when they are compiled. */

#define TILE_ALGORITHM(m, r)                                                             \
    static TILE_TARGET void TILE(input_f##m##r)(const den_real *const d[], size_t count, \
                                                den_real *v, size_t v_line,              \
                                                size_t v_point)                          \
    {                                                                                    \
        TILE(input_tile)(m, r, d, count, v, v_line, v_point);                            \
    }                                                                                    \
    static TILE_TARGET void TILE(spread_f##m##r)(const den_real *const dy[],             \
                                                 size_t count, den_real *v,              \
                                                 size_t v_line, size_t v_point)          \
    {                                                                                    \
        TILE(spread_tile)(m, r, dy, count, v, v_line, v_point);                          \
    }                                                                                    \
    static TILE_TARGET void TILE(output_f##m##r)(                                        \
        const den_real *sums, size_t point, size_t count,                                \
        const struct den_finish *finish, den_real *const y[])                            \
    {                                                                                    \
        if (finish->slope < 1)                                                           \
            TILE(output_tile)(m, r, true, sums, point, count, finish, y);                \
        else                                                                             \
            TILE(output_tile)(m, r, false, sums, point, count, finish, y);               \
    }                                                                                    \
    static TILE_TARGET void TILE(weights_f##m##r)(                                       \
        const den_real *const g[], size_t g_row, size_t rows, size_t count, den_real *u, \
        size_t u_point)                                                                  \
    {                                                                                    \
        for (size_t row = 0; row < rows; row++, u += count)                              \
            TILE(weights_row)(m, r, g, row * g_row, count, u, u_point);                  \
        TILE_FENCE();                                                                    \
    }                                                                                    \
    static TILE_TARGET void TILE(gradient_f##m##r)(const den_real *du, size_t point,     \
                                                   size_t count, den_real *const dw[])   \
    {                                                                                    \
        TILE(gradient_tile)(m, r, du, point, count, dw);                                 \
    }
TILE_ALGORITHM(2, 2)
TILE_ALGORITHM(4, 2)
TILE_ALGORITHM(2, 3)
TILE_ALGORITHM(4, 3)
#undef TILE_ALGORITHM

#define TILE_ROW(m, r)                                                         \
    {                                                                          \
        m, r, TILE(input_f##m##r), TILE(spread_f##m##r), TILE(output_f##m##r), \
            TILE(weights_f##m##r), TILE(gradient_f##m##r)                      \
    }
static const struct den_cpu_winograd TILE(winograd)[] = {
    TILE_ROW(2, 2), TILE_ROW(4, 2), TILE_ROW(2, 3), TILE_ROW(4, 3), {.m = 0},
};
#undef TILE_ROW
