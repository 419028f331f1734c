#ifndef DEN_SYNTH_H
#define DEN_SYNTH_H

/* A simulator of fluorescence scenes with known truth.
 *     clean  = offset + gain * photons            (grey values)
 *     frame  = offset + gain * Poisson(photons) + N(0, read_noise)
 * photons is a scene of nuclei, filaments or fibres blurred by a Gaussian point spread
 * function. Poisson-Gaussian model: Foi et al., IEEE TIP 17 (2008), eq. 1-2.   */

#include <stddef.h>
#include <stdint.h>

#include "err.h"

struct den_scene {
    const char *kind; /* a name of den_scenes[] */
    uint32_t width, height;
    uint64_t seed;
    double peak_photons; /* photons at the brightest structure, > 0 */
    double background_photons;
    double psf_sigma;  /* pixels, >= 0 */
    double gain;       /* grey values per photon, > 0 */
    double offset;     /* grey values of a dark pixel */
    double read_noise; /* standard deviation, grey values, >= 0 */
};

struct den_scene_kind {
    const char *name, *doc;
    /* Adds structures with brightness 0..1 into density[height][width]. */
    bool (*draw)(const struct den_scene *scene, float *density, struct den_err *err);
};
extern const struct den_scene_kind den_scenes[]; /* ends with name NULL */

/* Defaults of a 16-bit camera at low light (kind "nuclei", 256 x 256). */
struct den_scene den_scene_default(void);
/* Checks every value; the sentence names the one that is wrong. */
bool den_scene_check(const struct den_scene *scene, struct den_err *err) DEN_CHECKED;
/* clean[height][width] in grey values (float). Same seed, same pixels. */
bool den_scene_clean(const struct den_scene *scene, float *clean,
                     struct den_err *err) DEN_CHECKED;
/* Noisy frame number `index` of the scene whose clean image is given; grey values rounded
 * and clipped to 0..65535. */
void den_scene_frame(const struct den_scene *scene, const float *clean, uint64_t index,
                     uint16_t *frame);

#endif
