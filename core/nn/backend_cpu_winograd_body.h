/* Included once per instruction set by backend_cpu_isa.h: the transforms of whole tiles,
 * columns first, then rows (see backend_cpu_winograd_sides.h).  An algorithm F(m x m, r x
 * r) has n x n points, n = m + r - 1.  All sizes are known to the compiler. */

enum { TILE(most) = 6 }; /* n of the largest algorithm */

/* A column or a row by algorithm (m, r). */
#define TILE_SIDE(kind)                                             \
    TILE_INLINE void TILE(kind##_side)(size_t m, size_t r, VEC * x) \
    {                                                               \
        if (r == 2 && m == 2)                                       \
            TILE(kind##_22)(x);                                     \
        else if (r == 2)                                            \
            TILE(kind##_42)(x);                                     \
        else if (m == 2)                                            \
            TILE(kind##_23)(x);                                     \
        else                                                        \
            TILE(kind##_43)(x);                                     \
    }
TILE_SIDE(input)
TILE_SIDE(output)
TILE_SIDE(spread)
TILE_SIDE(weights)
TILE_SIDE(gradient)
#undef TILE_SIDE

/* Between the columns and the rows.  Aligned, as a vector across two cache lines takes
 * twice the time. */
struct TILE(square) {
    VEC x[TILE(most)][TILE(most)]; /* [row][column] */
} __attribute__((aligned(64)));

TILE_INLINE void TILE(put_column)(struct TILE(square) * to, size_t n, size_t j,
                                  const VEC *col)
{
    for (size_t i = 0; i < n; i++)
        to->x[i][j] = col[i];
}

TILE_INLINE void TILE(get_row)(const struct TILE(square) * from, size_t n, size_t i,
                               VEC *row)
{
    for (size_t j = 0; j < n; j++)
        row[j] = from->x[i][j];
}

TILE_INLINE void TILE(input_tile)(size_t m, size_t r, const den_real *const d[],
                                  size_t count, den_real *v, size_t v_line,
                                  size_t v_point)
{
    const size_t n = m + r - 1;
    struct TILE(square) square;
    VEC x[TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t j = 0; j < n; j++) {
            for (size_t i = 0; i < n; i++)
                x[i] = *(const VEC *)(d[i * n + j] + at);
            TILE(input_side)(m, r, x);
            TILE(put_column)(&square, n, j, x);
        }
        den_real *to = v + at / DEN_TILE_LANES * v_line + at % DEN_TILE_LANES;
        for (size_t i = 0; i < n; i++) {
            TILE(get_row)(&square, n, i, x);
            TILE(input_side)(m, r, x);
            for (size_t j = 0; j < n; j++)
                *(VEC *)(to + (i * n + j) * v_point) = x[j];
        }
    }
}

TILE_INLINE void TILE(spread_tile)(size_t m, size_t r, const den_real *const dy[],
                                   size_t count, den_real *v, size_t v_line,
                                   size_t v_point)
{
    const size_t n = m + r - 1;
    struct TILE(square) square;
    VEC x[TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t j = 0; j < m; j++) {
            for (size_t i = 0; i < m; i++)
                x[i] = *(const VEC *)(dy[i * m + j] + at);
            TILE(spread_side)(m, r, x);
            TILE(put_column)(&square, n, j, x);
        }
        den_real *to = v + at / DEN_TILE_LANES * v_line + at % DEN_TILE_LANES;
        for (size_t i = 0; i < n; i++) {
            TILE(get_row)(&square, m, i, x);
            TILE(spread_side)(m, r, x);
            for (size_t j = 0; j < n; j++)
                *(VEC *)(to + (i * n + j) * v_point) = x[j];
        }
    }
}

/* One pixel of output_tile. */
TILE_INLINE void TILE(put_output)(VEC y, bool bends, den_real slope, bool add,
                                  den_real *to)
{
    if (bends) {
        __typeof__(y > 0) positive = y > 0;
        VEC less = slope * y;
        y = (VEC)(((__typeof__(positive))y & positive) |
                  ((__typeof__(positive))less & ~positive));
    }
    if (add)
        y += *(VEC *)to;
    *(VEC *)to = y;
}

/* bends: the slope is not 1, as is known to the compiler. */
TILE_INLINE void TILE(output_tile)(size_t m, size_t r, bool bends, const den_real *sums,
                                   size_t point, size_t count,
                                   const struct den_finish *finish, den_real *const y[])
{
    const den_real slope = finish->slope;
    const bool add = finish->add;
    const size_t n = m + r - 1;
    struct TILE(square) square;
    VEC x[TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t j = 0; j < n; j++) {
            for (size_t i = 0; i < n; i++)
                x[i] = *(const VEC *)(sums + (i * n + j) * point + at);
            TILE(output_side)(m, r, x);
            TILE(put_column)(&square, m, j, x);
        }
        const VEC scale = *(const VEC *)(finish->scale + at);
        const VEC shift = *(const VEC *)(finish->bias + at);
        for (size_t i = 0; i < m; i++) {
            TILE(get_row)(&square, n, i, x);
            TILE(output_side)(m, r, x);
            for (size_t j = 0; j < m; j++)
                if (y[i * m + j] != NULL)
                    TILE(put_output)
            (scale * x[j] + shift, bends, slope, add, y[i * m + j] + at);
        }
    }
}

/* U is written by whole cache lines: stores past the caches that leave half a line to the
 * next round took three times as long. */
TILE_INLINE void TILE(weights_row)(size_t m, size_t r, const den_real *const g[],
                                   size_t at, size_t count, den_real *u, size_t u_point)
{
    enum { PARTS = DEN_TILE_LANES / TILE(lanes) };
    const size_t n = m + r - 1;
    struct TILE(square) square[PARTS];
    VEC x[PARTS][TILE(most)];
    for (size_t end = at + count; at < end; at += DEN_TILE_LANES, u += DEN_TILE_LANES) {
        for (size_t j = 0; j < r * PARTS; j++) {
            size_t p = j % PARTS;
            for (size_t i = 0; i < r; i++)
                x[0][i] = *(const VEC *)(g[r * i + j / PARTS] + at + p * LANES);
            TILE(weights_side)(m, r, x[0]);
            TILE(put_column)(&square[p], n, j / PARTS, x[0]);
        }
        for (size_t i = 0; i < n; i++) {
            for (size_t p = 0; p < PARTS; p++) {
                TILE(get_row)(&square[p], r, i, x[p]);
                TILE(weights_side)(m, r, x[p]);
            }
            for (size_t j = 0; j < n; j++)
                for (size_t p = 0; p < PARTS; p++)
                    TILE_STREAM(u + (i * n + j) * u_point + p * LANES, x[p][j]);
        }
    }
}

TILE_INLINE void TILE(gradient_tile)(size_t m, size_t r, const den_real *du, size_t point,
                                     size_t count, den_real *const dw[])
{
    const size_t n = m + r - 1;
    struct TILE(square) square;
    VEC x[TILE(most)];
    for (size_t at = 0; at < count; at += LANES) {
        for (size_t j = 0; j < n; j++) {
            for (size_t i = 0; i < n; i++)
                x[i] = *(const VEC *)(du + (i * n + j) * point + at);
            TILE(gradient_side)(m, r, x);
            TILE(put_column)(&square, r, j, x);
        }
        for (size_t i = 0; i < r; i++) {
            TILE(get_row)(&square, n, i, x);
            TILE(gradient_side)(m, r, x);
            for (size_t j = 0; j < r; j++)
                *(VEC *)(dw[r * i + j] + at) += x[j];
        }
    }
}
