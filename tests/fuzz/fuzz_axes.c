/* Descriptions of TIFF files: 2 bytes say how many pages there are, the rest is the text.
 */

#include <math.h>
#include <string.h>

#include "axes.h"
#include "fuzz.h"
#include "str.h"

static void check(const struct den_axes *axes, double um, uint32_t pages)
{
    promise(isfinite(um) && um >= 0.0);
    promise(isfinite(axes->z_step_um) && axes->z_step_um >= 0.0);
    promise(memchr(axes->source, '\0', sizeof axes->source) != NULL);
    for (size_t i = 0; i < DEN_AXIS_NAMES; i++) {
        const char *name = axes->channel_names[i];
        promise(memchr(name, '\0', DEN_AXIS_NAME_SIZE) != NULL);
        promise(den_utf8_printable(name));
    }
    if (axes->source[0] == '\0') {
        promise(axes->t == 1 && axes->z == 1 && axes->c == 1);
        return;
    }
    promise(strcmp(axes->source, "ome") == 0 || strcmp(axes->source, "imagej") == 0);
    promise((uint64_t)axes->t * axes->z * axes->c == pages);
    promise(axes->order[3] == '\0' && strlen(axes->order) == 3);
    promise(strchr(axes->order, 'T') != NULL && strchr(axes->order, 'Z') != NULL &&
            strchr(axes->order, 'C') != NULL);
    struct den_image_info info = {.pages = pages, .axes = *axes};
    uint32_t t, z, c;
    den_image_place(&info, pages - 1, &t, &z, &c);
    promise(t == axes->t - 1 && z == axes->z - 1 && c == axes->c - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint32_t pages = data[0] + 256u * data[1], images = 0;
    const char *text = (const char *)data + 2;
    struct den_axes axes;
    double um = -1.0;
    if (den_axes_parse(text, size - 2, pages, &axes, &um))
        check(&axes, um, pages);
    if (den_imagej_images(text, size - 2, &images))
        promise(images > 0);
    um = 0.0;
    if (den_imagej_unit(text, size - 2, &um))
        promise(isfinite(um) && um > 0.0);
    promise(den_mem_live() == 0);
    return 0;
}
