/* Cell walls: the edges of a Voronoi diagram of jittered sites, bent by smooth noise,
 * with walls of different width and a bright middle lamella in the thick ones. */
#include <math.h>

#include "scene.h"

static const double CELL = 30.0; /* pixels between sites */

struct site {
    double x, y;
    uint64_t key;
};

/* The site of lattice cell i, j. */
static struct site site_at(uint64_t key, int64_t i, int64_t j)
{
    struct den_rng rng;
    uint64_t own = den_hash64(key, (uint64_t)i * 0x9e3779b97f4a7c15u ^ (uint64_t)j);
    den_rng_seed(&rng, own, DEN_STREAM_SYNTH, 0);
    double x = (double)i + 0.5 * (double)(j & 1) + den_scene_uniform(&rng, 0.1, 0.9);
    double y = (double)j + den_scene_uniform(&rng, 0.1, 0.9);
    return (struct site){.x = CELL * x, .y = CELL * y, .key = own};
}

struct pair {
    struct site first, second; /* nearest and second nearest */
    double d1, d2;             /* their distances */
};

static struct pair nearest(uint64_t key, double x, double y)
{
    struct pair p = {.d1 = INFINITY, .d2 = INFINITY};
    int64_t row = (int64_t)floor(y / CELL);
    for (int64_t j = row - 2; j <= row + 2; j++) {
        int64_t column = (int64_t)floor(x / CELL - 0.5 * (double)(j & 1));
        for (int64_t i = column - 2; i <= column + 2; i++) {
            struct site s = site_at(key, i, j);
            double d = hypot(s.x - x, s.y - y);
            if (d < p.d1) {
                p.second = p.first;
                p.d2 = p.d1;
                p.first = s;
                p.d1 = d;
            } else if (d < p.d2) {
                p.second = s;
                p.d2 = d;
            }
        }
    }
    return p;
}

/* Distance from the edge between the two cells: along the line through both sites. */
static double edge_distance(const struct pair *p)
{
    double apart = hypot(p->first.x - p->second.x, p->first.y - p->second.y);
    return (p->d2 * p->d2 - p->d1 * p->d1) / (2.0 * fmax(apart, 1e-9));
}

static double wall_at(uint64_t key, double x, double y)
{
    /* Bent coordinates make the straight edges of the diagram curve. */
    double bent_x = x + 14.0 * (den_scene_noise(key + 11, x, y, 40.0, 2) - 0.5);
    double bent_y = y + 14.0 * (den_scene_noise(key + 23, x, y, 40.0, 2) - 0.5);
    struct pair p = nearest(key, bent_x, bent_y);
    uint64_t wall = p.first.key ^ p.second.key; /* the same from both sides */
    double thick = (double)(den_hash64(wall, 1) >> 11) * 0x1p-53;
    double bright = 0.45 + 0.55 * (double)(den_hash64(wall, 2) >> 11) * 0x1p-53;
    double width = 1.3 + 2.7 * thick * thick, t = edge_distance(&p) / width;
    double lamella = 0.25 * exp(-(t * width) * (t * width));
    double label = 0.6 + 0.5 * den_scene_noise(key + 37, x, y, 9.0, 2);
    /* The inside of a cell is not empty: a dim cytoplasm that differs between cells. */
    double inside = 0.08 * (double)(den_hash64(p.first.key, 3) >> 11) * 0x1p-53;
    return bright * label * (0.75 * exp(-t * t * t * t) + lamella) + inside;
}

bool den_scene_draw_fibres(const struct den_scene *scene, float *density,
                           struct den_err *err)
{
    (void)err;
    struct den_rng rng;
    den_rng_seed(&rng, scene->seed, DEN_STREAM_SYNTH, 0);
    uint64_t key = den_rng_u64(&rng);
    for (uint32_t y = 0; y < scene->height; y++)
        for (uint32_t x = 0; x < scene->width; x++)
            density[(size_t)y * scene->width + x] += (float)wall_at(key, x, y);
    return true;
}
