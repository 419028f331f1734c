/* Included once per instruction set by backend_cpu_isa.h: the inner loops of products.
 * The accumulators (TILE_STEP x 2 vectors) and one row of b fit in registers. */

/* Adds the block acc to, or writes it at, out. */
TILE_INLINE void TILE(put)(size_t vecs, VEC acc[TILE_STEP][2], size_t ldo, bool add,
                           den_real *out)
{
    for (size_t r = 0; r < TILE_STEP; r++)
        for (size_t v = 0; v < vecs; v++) {
            VEC *to = (VEC *)(out + r * ldo + v * LANES);
            if (add)
                acc[r][v] += *to;
            *to = acc[r][v];
        }
}

TILE_INLINE void TILE(dense_block)(size_t vecs, const den_real *const a[],
                                   const struct den_taps *taps, const den_real *b,
                                   size_t ldb, bool add, den_real *out)
{
    VEC acc[TILE_STEP][2] = {{{0}}};
    const den_real *row[TILE_STEP];
    for (size_t r = 0; r < TILE_STEP; r++)
        row[r] = a[r];
    for (size_t iy = 0; iy < taps->ny; iy++)
        for (size_t ix = 0; ix < taps->nx; ix++) {
            size_t at = iy * taps->sy + ix * taps->sx, end = at + taps->len;
            for (; at < end; at++, b += ldb) {
                for (size_t c = 0; c < vecs * LANES; c += DEN_TILE_LANES)
                    __builtin_prefetch(b + DEN_TILE_AHEAD + c, 0, 2);
                for (size_t r = 0; r < TILE_STEP; r++)
                    for (size_t v = 0; v < vecs; v++)
                        acc[r][v] += row[r][at] * *(const VEC *)(b + v * LANES);
            }
        }
    TILE(put)(vecs, acc, ldb, add, out);
}

static TILE_TARGET void TILE(dense)(const den_real *const a[],
                                    const struct den_taps *taps, const den_real *b,
                                    size_t cols, bool add, den_real *out)
{
    for (size_t r = 0; r < DEN_TILE_ROWS; r += TILE_STEP)
        if (cols < 2 * LANES)
            TILE(dense_block)(1, a + r, taps, b, cols, add, out + r * cols);
        else
            for (size_t c = 0; c < cols; c += 2 * LANES)
                TILE(dense_block)(2, a + r, taps, b + c, cols, add, out + r * cols + c);
}

TILE_INLINE void TILE(outer_block)(size_t vecs, const den_real *const a[],
                                   const den_real *b, const struct den_walk *walk,
                                   size_t cols, den_real *out)
{
    VEC acc[TILE_STEP][2] = {{{0}}};
    const den_real *row[TILE_STEP];
    for (size_t r = 0; r < TILE_STEP; r++)
        row[r] = a[r];
    for (size_t i = 0; i < walk->n; i++)
        for (size_t y = 0; y < walk->h; y++) {
            size_t at = i * walk->a_image + y * walk->a_row;
            const den_real *from = b + i * walk->b_image + y * walk->b_row;
            for (size_t x = 0; x < walk->w;
                 x++, at += walk->a_pixel, from += walk->b_pixel)
                for (size_t r = 0; r < TILE_STEP; r++)
                    for (size_t v = 0; v < vecs; v++)
                        acc[r][v] += row[r][at] * *(const VEC *)(from + v * LANES);
        }
    TILE(put)(vecs, acc, cols, false, out);
}

static TILE_TARGET void TILE(outer)(const den_real *const a[], const den_real *b,
                                    const struct den_walk *walk, size_t cols,
                                    den_real *out)
{
    for (size_t r = 0; r < DEN_TILE_ROWS; r += TILE_STEP)
        if (cols < 2 * LANES)
            TILE(outer_block)(1, a + r, b, walk, cols, out + r * cols);
        else
            for (size_t c = 0; c < cols; c += 2 * LANES)
                TILE(outer_block)(2, a + r, b + c, walk, cols, out + r * cols + c);
}

/* The sum of the elements of a vector.  Through memory in 16-byte pieces, which the
 * processor forwards from the store. */
TILE_INLINE den_real TILE(sum)(const VEC *vec)
{
    enum { QUARTER = 16 / sizeof(den_real) };
    typedef den_real part __attribute__((vector_size(16), may_alias));
    den_real all[TILE(lanes)] __attribute__((aligned(64))) = {0};
    *(VEC *)all = *vec;
    part sum = *(const part *)all;
    for (size_t i = QUARTER; i < LANES; i += QUARTER)
        sum += *(const part *)(all + i);
    den_real total = sum[0];
    for (size_t i = 1; i < QUARTER; i++)
        total += sum[i];
    return total;
}

static TILE_TARGET void TILE(narrow)(const den_real *const a[],
                                     const struct den_taps *taps, const den_real *b,
                                     den_real *out)
{
    VEC acc[DEN_TILE_ROWS] = {{0}};
    den_real rest[DEN_TILE_ROWS] = {0};
    size_t whole = taps->len - taps->len % LANES;
    for (size_t iy = 0; iy < taps->ny; iy++)
        for (size_t ix = 0; ix < taps->nx; ix++, b += taps->len) {
            size_t at = iy * taps->sy + ix * taps->sx;
            for (size_t k = 0; k < whole; k += LANES)
                for (size_t r = 0; r < DEN_TILE_ROWS; r++)
                    acc[r] += *(const VEC *)(a[r] + at + k) * *(const VEC *)(b + k);
            for (size_t k = whole; k < taps->len; k++)
                for (size_t r = 0; r < DEN_TILE_ROWS; r++)
                    rest[r] += a[r][at + k] * b[k];
        }
    for (size_t r = 0; r < DEN_TILE_ROWS; r++)
        out[r] = TILE(sum)(&acc[r]) + rest[r];
}
