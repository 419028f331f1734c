#include <string.h>

#include "den_check.h"
#include "tile.h"

START_TEST(tiles_cover_the_image_overlap_and_start_at_multiples)
{
    static const struct {
        size_t size, tile, overlap, multiple, want_tile, want_tiles;
    } rows[] = {
        {512, 512, 32, 32, 512, 1},    {513, 512, 32, 32, 288, 2},
        {1, 512, 32, 32, 32, 1},       {1024, 512, 32, 32, 384, 3},
        {992, 512, 32, 32, 512, 2},    {1000, 100, 32, 32, 128, 11},
        {1000, 256, 32, 256, 512, 3},  {100, 1, 32, 32, 64, 3},
        {4096, 512, 32, 128, 512, 11}, {70, 33, 1, 1, 24, 3},
        {300, 64, 60, 8, 72, 30},      {60, 16, 1, 128, 128, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct den_err err = DEN_ERR_INIT;
        struct den_axis axis =
            den_axis_plan(rows[i].size, rows[i].tile, rows[i].overlap, rows[i].multiple);
        must(den_axis_weigh(&axis, &err));
        ck_assert_msg(axis.tile == rows[i].want_tile && axis.tiles == rows[i].want_tiles,
                      "row %zu: %zu tiles of %zu", i, axis.tiles, axis.tile);
        ck_assert_uint_eq(den_axis_start(&axis, 0), 0);
        size_t end = den_axis_start(&axis, axis.tiles - 1) + axis.tile;
        ck_assert(end >= axis.size && end - axis.size < axis.multiple);
        for (size_t k = 0; k + 1 < axis.tiles; k++) {
            size_t start = den_axis_start(&axis, k), next = den_axis_start(&axis, k + 1);
            ck_assert(next > start && next % axis.multiple == 0);
            ck_assert_uint_ge(start + axis.tile - next, rows[i].overlap);
        }
        den_axis_release(&axis);
    }
}
END_TEST

START_TEST(a_layout_computes_as_few_pixels_as_its_largest_tile_allows)
{
    static const struct {
        size_t width, height, most, multiple;
        size_t want_x, want_y; /* tiles */
        double ratio;          /* most computed pixels, of those of the image */
    } rows[] = {
        {512, 512, 3 << 19, 128, 1, 1, 1},       {1024, 1024, 3 << 19, 128, 1, 1, 1},
        {2048, 2048, 3 << 19, 128, 3, 1, 1.126}, {2048, 2048, 1 << 18, 128, 5, 5, 1.5626},
        {4096, 4096, 3 << 19, 32, 4, 3, 1.064},  {100000, 64, 3 << 19, 32, 5, 1, 1.01},
        {64, 100000, 3 << 19, 32, 1, 5, 1.01},   {2048, 2048, 1, 128, 15, 15, 4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct den_axis x, y;
        den_tile_plan(rows[i].width, rows[i].height, rows[i].most, 32, rows[i].multiple,
                      &x, &y);
        double computed = (double)(x.tiles * x.tile) * (double)(y.tiles * y.tile);
        double ratio = computed / (double)(rows[i].width * rows[i].height);
        ck_assert_msg(x.tiles == rows[i].want_x && y.tiles == rows[i].want_y &&
                          ratio <= rows[i].ratio,
                      "row %zu: %zu x %zu tiles of %zu x %zu, %g times the pixels", i,
                      x.tiles, y.tiles, x.tile, y.tile, ratio);
        ck_assert(x.size == rows[i].width && y.size == rows[i].height);
    }
}
END_TEST

START_TEST(weights_sum_to_1_and_vanish_towards_a_seam)
{
    struct den_err err = DEN_ERR_INIT;
    static const size_t overlaps[] = {1, 8, 32, 100, 200};
    for (size_t o = 0; o < 5; o++) {
        struct den_axis axis = den_axis_plan(1000, 256, overlaps[o], 8);
        must(den_axis_weigh(&axis, &err));
        static double sums[1100];
        memset(sums, 0, sizeof sums);
        for (size_t i = 0; i < axis.tiles; i++)
            for (size_t k = 0; k < axis.tile; k++) {
                ck_assert(axis.weight[i * axis.tile + k] > 0);
                sums[den_axis_start(&axis, i) + k] +=
                    (double)axis.weight[i * axis.tile + k];
            }
        for (size_t k = 0; k < 1000; k++)
            close_to(sums[k], 1, 1e-6);
        ck_assert(axis.weight[0] == 1); /* at the border of the image there is no ramp */
        if (overlaps[o] >= 32)
            ck_assert(axis.weight[axis.tile - 1] < 0.01f &&
                      axis.weight[axis.tile] < 0.01f);
        den_axis_release(&axis);
    }
}
END_TEST

START_TEST(a_tile_beyond_the_border_holds_the_mirrored_image)
{
    struct den_err err = DEN_ERR_INIT;
    static const float image[2 * 3] = {1, 2, 3, 4, 5, 6};
    struct den_axis x = den_axis_plan(3, 8, 1, 8), y = den_axis_plan(2, 8, 1, 8);
    must(den_axis_weigh(&x, &err));
    must(den_axis_weigh(&y, &err));
    float tile[64];
    den_tile_cut(&x, &y, 0, 0, image, 1, 2, tile);
    static const float row_0[8] = {0, 0.5f, 1, 0.5f, 0, 0.5f, 1, 0.5f};
    for (size_t i = 0; i < 64; i++)
        ck_assert(tile[i] == row_0[i % 8] + (i / 8 % 2 == 0 ? 0 : 1.5f));
    den_axis_release(&x);
    den_axis_release(&y);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tiles");
    TCase *layout = tcase_create("layout");
    tcase_add_test(layout, a_layout_computes_as_few_pixels_as_its_largest_tile_allows);
    tcase_add_test(layout, tiles_cover_the_image_overlap_and_start_at_multiples);
    tcase_add_test(layout, weights_sum_to_1_and_vanish_towards_a_seam);
    tcase_add_test(layout, a_tile_beyond_the_border_holds_the_mirrored_image);
    suite_add_tcase(suite, layout);
    return den_check_main(suite);
}
