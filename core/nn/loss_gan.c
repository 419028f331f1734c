#include <math.h>

#include "loss_rows.h"

/* vanilla: binary cross entropy of sigmoid(l) against the label t [Goodfellow et al.,
 * NIPS 2014, non-saturating form]: softplus(l) - t l; derivative sigmoid(l) - t. */
static double softplus(double v)
{
    return fmax(v, 0) + log1p(exp(-fabs(v)));
}

static double sigmoid(double v)
{
    double e = exp(-fabs(v)); /* never overflows */
    return v >= 0 ? 1 / (1 + e) : e / (1 + e);
}

static double vanilla(size_t n, const den_real *logits, double label, double weight,
                      den_real *dlogits)
{
    double sum = 0, each = weight / (double)n;
    for (size_t i = 0; i < n; i++) {
        double l = (double)logits[i];
        sum += label * softplus(-l) + (1 - label) * softplus(l);
        if (dlogits != NULL)
            dlogits[i] += (den_real)(each * (sigmoid(l) - label));
    }
    return sum / (double)n;
}

/* lsgan: (l - t)^2 [Mao et al., ICCV 2017, eq. 2 without the factor 1/2]. */
static double lsgan(size_t n, const den_real *logits, double label, double weight,
                    den_real *dlogits)
{
    double sum = 0, each = weight / (double)n;
    for (size_t i = 0; i < n; i++) {
        double d = (double)logits[i] - label;
        sum += d * d;
        if (dlogits != NULL)
            dlogits[i] += (den_real)(each * 2 * d);
    }
    return sum / (double)n;
}

const struct den_gan_mode den_gan_vanilla = {
    .name = "vanilla",
    .doc = "binary cross entropy with logits",
    .value = vanilla,
};

const struct den_gan_mode den_gan_lsgan = {
    .name = "lsgan",
    .doc = "least squares",
    .value = lsgan,
};
