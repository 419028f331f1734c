#include "loss_vectors.h"
#include "net_vectors.h"

/* The nets in double against PyTorch in float64: what remains is the printed digits. */

START_TEST(unet_agrees_with_pytorch_to_nine_digits)
{
    check_unet_vector(&den_backend_ref, 1e-10);
}
END_TEST

START_TEST(patchgan_agrees_with_pytorch_to_nine_digits)
{
    check_patchgan_vector(&den_backend_ref, 1e-10);
}
END_TEST

START_TEST(pixel_losses_agree_with_pytorch_to_nine_digits)
{
    check_dssim_vector(1e-9); /* the reference adds 1e-12 to a denominator */
    check_tv_and_l1_vector(1e-10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net vectors in double");
    TCase *tcase = tcase_create("nets");
    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, unet_agrees_with_pytorch_to_nine_digits);
    tcase_add_test(tcase, patchgan_agrees_with_pytorch_to_nine_digits);
    tcase_add_test(tcase, pixel_losses_agree_with_pytorch_to_nine_digits);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
