#include <cblas.h>

#include "memory.h"

/* What is peculiar to backend_blas; its kernels are tested with those of all backends. */

START_TEST(openblas_starts_no_threads_of_its_own)
{
    openblas_set_num_threads(2);
    ck_assert_int_eq(openblas_get_num_threads(), 2);
    den_real *data = device(&den_backend_blas, 16);
    ck_assert_int_eq(openblas_get_num_threads(), 1);
    den_backend_blas.free(data);
}
END_TEST

static const struct den_conv_geom unet = {4, 4, 2, 1};

/* cpu packs all weights of a layer again; what blas needs fits into a cache. */
START_TEST(scratch_is_a_few_megabytes_per_thread_in_every_layer_of_the_unet)
{
    for (size_t side = 256, ci = 1, co = 64; side > 1; side /= 2) {
        struct den_shape x = {4, side, side, ci}, y = {4, side / 2, side / 2, co};
        size_t one = den_backend_blas.conv_scratch(unet, x, y, 1);
        ck_assert_uint_gt(one, 0);
        ck_assert_uint_le(one * sizeof(den_real), 4 << 20);
        ck_assert_uint_eq(den_backend_blas.conv_scratch(unet, x, y, 16), 16 * one);
        ci = co;
        co = co < 512 ? 2 * co : co;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backend blas");
    TCase *tc = tcase_create("blas");
    tcase_add_test(tc, openblas_starts_no_threads_of_its_own);
    tcase_add_test(tc, scratch_is_a_few_megabytes_per_thread_in_every_layer_of_the_unet);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
