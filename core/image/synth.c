#include "synth.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "mem.h"
#include "scene.h"

const struct den_scene_kind den_scenes[] = {
    {"nuclei", "cell nuclei with chromatin texture and dark nucleoli",
     den_scene_draw_nuclei},
    {"filaments", "thin bent filaments as of microtubules or actin",
     den_scene_draw_filaments},
    {"fibres", "a network of cell walls as in a plant section", den_scene_draw_fibres},
    {NULL, NULL, NULL},
};

static const struct den_scene_kind *kind_named(const char *name)
{
    for (size_t i = 0; den_scenes[i].name != NULL; i++)
        if (name != NULL && strcmp(den_scenes[i].name, name) == 0)
            return &den_scenes[i];
    return NULL;
}

struct den_scene den_scene_default(void)
{
    /* A few tens of photons, gain and read noise of a scientific CMOS camera. */
    return (struct den_scene){
        .kind = "nuclei",
        .width = 256,
        .height = 256,
        .seed = 1,
        .peak_photons = 60.0,
        .background_photons = 3.0,
        .psf_sigma = 1.3,
        .gain = 4.0,
        .offset = 100.0,
        .read_noise = 6.0,
    };
}

/* ---- checking --------------------------------------------------------------------- */

static bool check_value(const char *name, double value, double low, double high,
                        struct den_err *err)
{
    if (value >= low && value <= high) /* false for NaN */
        return true;
    return den_err_field(err, DEN_E_INVALID, name,
                         "%s is %g; it must be within %g and %g", name, value, low, high);
}

bool den_scene_check(const struct den_scene *scene, struct den_err *err)
{
    const double sides = 16384.0, grey = 65535.0, tiny = 1e-6, photons = 1e6;
    if (kind_named(scene->kind) == NULL)
        return den_err_field(err, DEN_E_INVALID, "kind",
                             "the scene '%.40s' is unknown; nuclei, filaments and fibres "
                             "can be drawn",
                             scene->kind != NULL ? scene->kind : "");
    if (!check_value("width", scene->width, 1.0, sides, err) ||
        !check_value("height", scene->height, 1.0, sides, err) ||
        !check_value("peak_photons", scene->peak_photons, tiny, photons, err) ||
        !check_value("background_photons", scene->background_photons, 0.0, photons,
                     err) ||
        !check_value("psf_sigma", scene->psf_sigma, 0.0, 100.0, err) ||
        !check_value("gain", scene->gain, tiny, grey, err) ||
        !check_value("offset", scene->offset, 0.0, grey, err) ||
        !check_value("read_noise", scene->read_noise, 0.0, grey, err))
        return false;
    double top =
        scene->offset + scene->gain * (scene->background_photons + scene->peak_photons);
    if (top > grey)
        return den_err_field(err, DEN_E_INVALID, "gain",
                             "the brightest pixel would be %g; offset + gain * "
                             "(background_photons + peak_photons) must be at most %g",
                             top, grey);
    return true;
}

/* ---- helpers of the scenes -------------------------------------------------------- */

double den_scene_uniform(struct den_rng *rng, double low, double high)
{
    return low + (high - low) * den_rng_unit(rng);
}

double den_scene_step(double a, double b, double x)
{
    double t = fmin(fmax((x - a) / (b - a), 0.0), 1.0);
    return t * t * (3.0 - 2.0 * t);
}

static double lattice(uint64_t key, int64_t x, int64_t y)
{
    uint64_t at = (uint64_t)x * 0x9e3779b97f4a7c15u ^ (uint64_t)y * 0xc2b2ae3d27d4eb4fu;
    return (double)(den_hash64(key, at) >> 11) * 0x1p-53;
}

static double one_octave(uint64_t key, double x, double y)
{
    double fx = floor(x), fy = floor(y);
    int64_t ix = (int64_t)fx, iy = (int64_t)fy;
    double u = den_scene_step(0.0, 1.0, x - fx), v = den_scene_step(0.0, 1.0, y - fy);
    double top = lattice(key, ix, iy) * (1.0 - u) + lattice(key, ix + 1, iy) * u;
    double low = lattice(key, ix, iy + 1) * (1.0 - u) + lattice(key, ix + 1, iy + 1) * u;
    return top * (1.0 - v) + low * v;
}

double den_scene_noise(uint64_t key, double x, double y, double period, int octaves)
{
    double sum = 0.0, weights = 0.0, weight = 1.0;
    for (int i = 0; i < octaves; i++) {
        sum += weight * one_octave(key + (uint64_t)i, x / period, y / period);
        weights += weight;
        weight *= 0.5;
        period *= 0.5;
    }
    return sum / weights;
}

/* ---- point spread function -------------------------------------------------------- */

/* One row or column of n values, `step` floats apart, through scratch[n].  Near a border
 * the weights inside the image are scaled up to a sum of 1. */
static void blur_line(float *line, size_t n, size_t step, const double *kernel,
                      size_t radius, double *scratch)
{
    for (size_t i = 0; i < n; i++) {
        size_t from = i < radius ? 0 : i - radius;
        size_t to = n - 1 - i < radius ? n - 1 : i + radius;
        double sum = 0.0, weights = 0.0;
        for (size_t j = from; j <= to; j++) {
            double weight = kernel[j < i ? i - j : j - i];
            sum += weight * (double)line[j * step];
            weights += weight;
        }
        scratch[i] = sum / weights;
    }
    for (size_t i = 0; i < n; i++)
        line[i * step] = (float)scratch[i];
}

static bool blur(float *image, size_t width, size_t height, double sigma,
                 struct den_err *err)
{
    if (sigma <= 0.0)
        return true;
    size_t radius = (size_t)ceil(4.0 * sigma), longest = width > height ? width : height;
    double *kernel = den_new(radius + 1 + longest, sizeof *kernel, err);
    if (kernel == NULL)
        return false;
    double *scratch = kernel + radius + 1;
    for (size_t i = 0; i <= radius; i++)
        kernel[i] = exp(-0.5 * (double)(i * i) / (sigma * sigma));
    for (size_t y = 0; y < height; y++)
        blur_line(image + y * width, width, 1, kernel, radius, scratch);
    for (size_t x = 0; x < width; x++)
        blur_line(image + x, height, width, kernel, radius, scratch);
    den_free(kernel);
    return true;
}

/* ---- images ----------------------------------------------------------------------- */

bool den_scene_clean(const struct den_scene *scene, float *clean, struct den_err *err)
{
    bool done = false;
    if (!den_scene_check(scene, err))
        return false;
    size_t n = (size_t)scene->width * scene->height;
    float *density = den_new(n, sizeof *density, err);
    if (density == NULL || !kind_named(scene->kind)->draw(scene, density, err) ||
        !blur(density, scene->width, scene->height, scene->psf_sigma, err))
        goto out;
    double brightest = 0.0;
    for (size_t i = 0; i < n; i++)
        brightest = fmax(brightest, (double)density[i]);
    /* peak_photons is what the brightest pixel gets after the blur. */
    double photons = brightest > 0.0 ? scene->peak_photons / brightest : 0.0;
    for (size_t i = 0; i < n; i++)
        clean[i] = (float)(scene->offset + scene->gain * (scene->background_photons +
                                                          photons * (double)density[i]));
    done = true;
out:
    den_free(density);
    return done;
}

void den_scene_frame(const struct den_scene *scene, const float *clean, uint64_t index,
                     uint16_t *frame)
{
    struct den_rng rng;
    size_t n = (size_t)scene->width * scene->height;
    den_rng_seed(&rng, scene->seed, DEN_STREAM_SYNTH, index + 1); /* 0 drew the scene */
    for (size_t i = 0; i < n; i++) {
        double photons = fmax(0.0, ((double)clean[i] - scene->offset) / scene->gain);
        double grey = scene->offset + scene->gain * den_rng_poisson(&rng, photons);
        if (scene->read_noise > 0.0)
            grey += scene->read_noise * den_rng_normal(&rng);
        frame[i] = (uint16_t)(fmin(fmax(grey, 0.0), 65535.0) + 0.5);
    }
}
