#ifndef DEN_SCENE_H
#define DEN_SCENE_H

/* What the scenes (scene_*.c) of the simulator share.  A scene is drawn at a scale in
 * pixels that does not depend on the size of the image: a larger image shows more. */

#include "rng.h"
#include "synth.h"

bool den_scene_draw_nuclei(const struct den_scene *scene, float *density,
                           struct den_err *err);
bool den_scene_draw_filaments(const struct den_scene *scene, float *density,
                              struct den_err *err);
bool den_scene_draw_fibres(const struct den_scene *scene, float *density,
                           struct den_err *err);

/* Smooth noise in 0..1 [value noise: Perlin and Hoffert, 1989, over a hashed lattice]:
 * `octaves` layers, the first with structures of `period` pixels, each further one half
 * as wide and half as strong. */
double den_scene_noise(uint64_t key, double x, double y, double period, int octaves);

/* 0 below a, 1 above b, smooth between; a < b. */
double den_scene_step(double a, double b, double x);
/* Uniform in [low, high). */
double den_scene_uniform(struct den_rng *rng, double low, double high);

#endif
