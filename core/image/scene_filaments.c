/* Thin filaments: worm-like chains, whose direction diffuses along the contour with
 * <cos(angle)> = exp(-s / 2p) in the plane [Kratky and Porod, 1949], p the persistence
 * length.  About half start near a centre, as microtubules do. */
#include <math.h>

#include "scene.h"

static const double STEP = 0.5; /* pixels */
static const double AREA_PER_FILAMENT = 900.0;
static const double AREA_PER_CENTRE = 50000.0;
static const double TWO_PI = 6.283185307179586;

struct chain {
    double x, y, angle;
    double length, persistence; /* pixels */
    double brightness;
    uint64_t texture; /* varies the brightness along the contour */
};

/* Shares `amount` among the four pixels around x, y. */
static void splat(const struct den_scene *scene, float *density, double x, double y,
                  double amount)
{
    double fx = floor(x), fy = floor(y), u = x - fx, v = y - fy;
    if (fx < 0.0 || fy < 0.0 || fx + 1.0 >= scene->width || fy + 1.0 >= scene->height)
        return;
    float *at = density + (size_t)fy * scene->width + (size_t)fx;
    at[0] += (float)(amount * (1.0 - u) * (1.0 - v));
    at[1] += (float)(amount * u * (1.0 - v));
    at[scene->width] += (float)(amount * (1.0 - u) * v);
    at[scene->width + 1] += (float)(amount * u * v);
}

static void draw_chain(const struct den_scene *scene, struct chain c, struct den_rng *rng,
                       float *density)
{
    /* In two dimensions the angle diffuses by s / p. */
    double bend = sqrt(STEP / c.persistence);
    size_t steps = (size_t)(c.length / STEP);
    for (size_t i = 0; i < steps; i++) {
        double s = STEP * (double)i;
        double label = 0.55 + 0.9 * den_scene_noise(c.texture, s, 0.5, 12.0, 2);
        double ends =
            den_scene_step(0.0, 6.0, s) * den_scene_step(0.0, 6.0, c.length - s);
        splat(scene, density, c.x, c.y, c.brightness * label * ends * STEP);
        c.angle += bend * den_rng_normal(rng);
        c.x += STEP * cos(c.angle);
        c.y += STEP * sin(c.angle);
    }
}

static struct chain make_chain(double x, double y, struct den_rng *rng)
{
    return (struct chain){
        .x = x,
        .y = y,
        .angle = den_scene_uniform(rng, 0.0, TWO_PI),
        .length = den_scene_uniform(rng, 60.0, 260.0),
        .persistence = den_scene_uniform(rng, 60.0, 300.0),
        .brightness = den_scene_uniform(rng, 0.3, 1.0),
        .texture = den_rng_u64(rng),
    };
}

/* The haze of the cell body around a centre. */
static void draw_haze(const struct den_scene *scene, double x, double y, float *density)
{
    const double sigma = 45.0;
    for (uint32_t j = 0; j < scene->height; j++)
        for (uint32_t i = 0; i < scene->width; i++) {
            double d = hypot(i - x, j - y) / sigma;
            density[(size_t)j * scene->width + i] += (float)(0.05 * exp(-0.5 * d * d));
        }
}

/* Where filaments cross, the label adds up; compressed, so that a few bundles do not set
 * the scale for all. */
static void compress(const struct den_scene *scene, float *density)
{
    size_t n = (size_t)scene->width * scene->height;
    for (size_t i = 0; i < n; i++)
        density[i] = 1.0f - expf(-density[i]);
}

bool den_scene_draw_filaments(const struct den_scene *scene, float *density,
                              struct den_err *err)
{
    (void)err;
    struct den_rng rng;
    double area = (double)scene->width * scene->height;
    size_t centres = (size_t)(area / AREA_PER_CENTRE) + 1;
    size_t each = (size_t)(area / AREA_PER_FILAMENT / 2.0) / centres + 2;
    den_rng_seed(&rng, scene->seed, DEN_STREAM_SYNTH, 0);
    for (size_t i = 0; i < centres; i++) {
        double x = den_scene_uniform(&rng, 0.0, scene->width);
        double y = den_scene_uniform(&rng, 0.0, scene->height);
        draw_haze(scene, x, y, density);
        for (size_t j = 0; j < each; j++) {
            double near_x = x + 9.0 * den_rng_normal(&rng);
            double near_y = y + 9.0 * den_rng_normal(&rng);
            draw_chain(scene, make_chain(near_x, near_y, &rng), &rng, density);
        }
    }
    for (size_t i = 0; i < each * centres; i++) {
        double x = den_scene_uniform(&rng, -60.0, scene->width + 60.0);
        double y = den_scene_uniform(&rng, -60.0, scene->height + 60.0);
        draw_chain(scene, make_chain(x, y, &rng), &rng, density);
    }
    compress(scene, density);
    return true;
}
