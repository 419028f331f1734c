#include "metric_judge.h"

/* Sharpness against the reference.  A filter that takes noise out by blurring may have a
 * good PSNR; its gradients tell. */

enum { LEAST = 3 }; /* pixels a side with an inside */

/* Sum over inner pixels of ((x+ - x-) / 2)^2 + ((y+ - y-) / 2)^2; squared grey values. */
static double gradient_sum(const float *pixels, size_t width, size_t height)
{
    double sum = 0;
    for (size_t y = 1; y + 1 < height; y++) {
        const float *row = pixels + y * width;
        for (size_t x = 1; x + 1 < width; x++) {
            double across = ((double)row[x + 1] - (double)row[x - 1]) / 2;
            double down = ((double)row[x + width] - (double)row[x - width]) / 2;
            sum += across * across + down * down;
        }
    }
    return sum;
}

bool den_gradient_energy(const struct den_metric_case *c, double *ret,
                         struct den_err *err)
{
    struct den_judged j;
    if (!den_judge(c, true, &j, err))
        return false;
    if (j.width < LEAST || j.height < LEAST)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "gradients need at least %d x %d pixels, the image has %zu x "
                           "%zu",
                           LEAST, LEAST, j.width, j.height);
    double reference = j.a * j.a * gradient_sum(j.reference, j.width, j.height);
    if (!(reference > 0))
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the reference has no gradient anywhere inside the image");
    *ret = gradient_sum(j.prediction, j.width, j.height) / reference;
    return true;
}
