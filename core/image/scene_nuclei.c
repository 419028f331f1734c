/* Cell nuclei: ellipses with a wavy outline, a soft edge, chromatin texture and dark
 * nucleoli; a few out of focus behind them. */
#include <math.h>

#include "mem.h"
#include "scene.h"

enum { HARMONICS = 3, MAX_NUCLEOLI = 4 };

static const double AREA_PER_NUCLEUS = 1700.0; /* pixels */
static const double TWO_PI = 6.283185307179586;

struct nucleus {
    double x, y;
    double a, b, turn; /* half axes in pixels, angle of a */
    double brightness; /* 0..1 */
    double edge;       /* width of the soft edge as a part of the radius */
    double wave[HARMONICS], phase[HARMONICS];
    int nucleoli;
    struct {
        double u, v, radius, depth; /* in units of the half axes */
    } nucleolus[MAX_NUCLEOLI];
    uint64_t texture;
};

static struct nucleus make_nucleus(const struct den_scene *scene, struct den_rng *rng)
{
    struct nucleus c = {
        .x = den_scene_uniform(rng, -8.0, scene->width + 8.0),
        .y = den_scene_uniform(rng, -8.0, scene->height + 8.0),
        .a = den_scene_uniform(rng, 11.0, 18.0),
        .turn = den_scene_uniform(rng, 0.0, TWO_PI),
        .brightness = den_scene_uniform(rng, 0.35, 1.0),
        .edge = den_scene_uniform(rng, 0.10, 0.18),
        .nucleoli = (int)den_rng_below(rng, MAX_NUCLEOLI) + 1,
        .texture = den_rng_u64(rng),
    };
    c.b = c.a * den_scene_uniform(rng, 0.6, 0.95);
    for (int i = 0; i < HARMONICS; i++) {
        c.wave[i] = den_scene_uniform(rng, 0.0, 0.06 / (i + 1));
        c.phase[i] = den_scene_uniform(rng, 0.0, TWO_PI);
    }
    for (int i = 0; i < c.nucleoli; i++) {
        double r = 0.65 * sqrt(den_rng_unit(rng)), angle = TWO_PI * den_rng_unit(rng);
        c.nucleolus[i].u = r * cos(angle);
        c.nucleolus[i].v = r * sin(angle);
        c.nucleolus[i].radius = den_scene_uniform(rng, 0.10, 0.22);
        c.nucleolus[i].depth = den_scene_uniform(rng, 0.35, 0.75);
    }
    return c;
}

/* Nuclei of one layer touch but do not lie on each other. */
static bool is_free(const struct nucleus *list, size_t n, const struct nucleus *c)
{
    for (size_t i = 0; i < n; i++) {
        double apart = hypot(list[i].x - c->x, list[i].y - c->y);
        if (apart < 0.85 * (sqrt(list[i].a * list[i].b) + sqrt(c->a * c->b)))
            return false;
    }
    return true;
}

/* Brightness at u, v (units of the half axes), 0 outside. */
static double nucleus_at(const struct nucleus *c, double u, double v, double x, double y)
{
    double angle = atan2(v, u), outline = 1.0;
    for (int i = 0; i < HARMONICS; i++)
        outline += c->wave[i] * cos((i + 2) * angle + c->phase[i]);
    double inside =
        1.0 - den_scene_step(1.0 - c->edge, 1.0 + c->edge, hypot(u, v) / outline);
    if (inside <= 0.0)
        return 0.0;
    double chromatin = 0.25 + 1.2 * den_scene_noise(c->texture, x, y, 7.0, 3);
    for (int i = 0; i < c->nucleoli; i++) {
        double d = hypot(u - c->nucleolus[i].u, v - c->nucleolus[i].v);
        double t = d / c->nucleolus[i].radius;
        chromatin *= 1.0 - c->nucleolus[i].depth * exp(-t * t * t * t);
    }
    return c->brightness * inside * fmin(chromatin, 1.3) / 1.3;
}

static uint32_t clamp_to(double value, uint32_t end)
{
    return value <= 0.0 ? 0 : value >= end ? end : (uint32_t)value;
}

static void draw_nucleus(const struct den_scene *scene, const struct nucleus *c,
                         float *density)
{
    double reach = 1.4 * c->a, cosine = cos(c->turn), sine = sin(c->turn);
    uint32_t right = clamp_to(c->x + reach + 1.0, scene->width);
    uint32_t bottom = clamp_to(c->y + reach + 1.0, scene->height);
    for (uint32_t y = clamp_to(c->y - reach, scene->height); y < bottom; y++)
        for (uint32_t x = clamp_to(c->x - reach, scene->width); x < right; x++) {
            double dx = x - c->x, dy = y - c->y;
            double u = (dx * cosine + dy * sine) / c->a;
            double v = (dy * cosine - dx * sine) / c->b;
            float *pixel = &density[(size_t)y * scene->width + x];
            *pixel = fmaxf(*pixel, (float)nucleus_at(c, u, v, x, y));
        }
}

/* A dim nucleus far from the focal plane: nothing left but a wide glow. */
static void draw_glow(const struct den_scene *scene, const struct nucleus *c,
                      float *density)
{
    double sigma = 1.3 * c->a, reach = 3.0 * sigma;
    uint32_t right = clamp_to(c->x + reach + 1.0, scene->width);
    uint32_t bottom = clamp_to(c->y + reach + 1.0, scene->height);
    for (uint32_t y = clamp_to(c->y - reach, scene->height); y < bottom; y++)
        for (uint32_t x = clamp_to(c->x - reach, scene->width); x < right; x++) {
            double d = hypot(x - c->x, y - c->y) / sigma;
            density[(size_t)y * scene->width + x] +=
                (float)(0.12 * c->brightness * exp(-0.5 * d * d));
        }
}

bool den_scene_draw_nuclei(const struct den_scene *scene, float *density,
                           struct den_err *err)
{
    struct den_rng rng;
    double area = (scene->width + 16.0) * (scene->height + 16.0);
    size_t wanted = (size_t)(area / AREA_PER_NUCLEUS) + 1, n = 0;
    struct nucleus *list = den_new(wanted, sizeof *list, err);
    if (list == NULL)
        return false;
    den_rng_seed(&rng, scene->seed, DEN_STREAM_SYNTH, 0);
    for (size_t tries = 0; tries < 20 * wanted && n < wanted; tries++) {
        list[n] = make_nucleus(scene, &rng);
        if (is_free(list, n, &list[n]))
            n++;
    }
    for (size_t i = 0; i < n; i++)
        draw_nucleus(scene, &list[i], density);
    for (size_t i = 0; i < n / 3; i++) {
        struct nucleus behind = make_nucleus(scene, &rng);
        draw_glow(scene, &behind, density);
    }
    den_free(list);
    return true;
}
