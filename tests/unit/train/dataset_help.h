#ifndef DEN_DATASET_HELP_H
#define DEN_DATASET_HELP_H

/* Small images in a folder, and data sets of them. */

#include "dataset.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

enum { PATH = 96 };

static char folder[32];

static inline void make_folder(void)
{
    ck_assert(den_str_copy(folder, sizeof folder, "/tmp/den_dataset_XXXXXX"));
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static inline void remove_folder(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

static inline const char *path_of(const char *name, char *to)
{
    ck_assert(den_str_format(to, PATH, "%s/%s", folder, name));
    return to;
}

/* Page p, pixel i of the file `name` holds base + p + a ramp of step * i. */
static inline void write_tiff(const char *name, uint32_t w, uint32_t h, uint32_t pages,
                              float base, float step)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH];
    size_t plane = (size_t)w * h;
    struct den_image image = {{.format = "tiff",
                               .width = w,
                               .height = h,
                               .pages = pages,
                               .channels = 1,
                               .dtype = DEN_F32},
                              NULL};
    image.pixels = den_calloc(plane * pages, sizeof(float));
    for (size_t i = 0; i < plane * pages; i++)
        image.pixels[i] = base + (float)(i / plane) + step * (float)(i % plane);
    must(den_image_save(path_of(name, path), &image, &err));
    den_image_release(&image);
}

static inline bool open_set(enum den_dataset_kind kind, const struct den_source *sources,
                            size_t count, size_t max_bytes, struct den_dataset **ret,
                            struct den_err *err)
{
    struct den_image_limits limits = den_image_limits_default();
    return den_dataset_open(kind, sources, count, &limits, max_bytes, ret, err);
}

enum { FRAMES = 12 };

/* FRAMES frames in `scenes` scenes, frame i in scene i % scenes; 0 = each its own. */
static inline struct den_dataset *frames_of(size_t scenes)
{
    struct den_err err = DEN_ERR_INIT;
    static char path[PATH], names[FRAMES][8];
    write_tiff("flat.tif", 4, 4, 1, 3, 1);
    path_of("flat.tif", path);
    struct den_source sources[FRAMES];
    for (size_t i = 0; i < FRAMES; i++) {
        den_str_format(names[i], sizeof names[i], "s%zu", scenes > 0 ? i % scenes : 0);
        sources[i] =
            (struct den_source){"f", path, 0, path, 0, scenes > 0 ? names[i] : NULL};
    }
    struct den_dataset *set = NULL;
    must(open_set(DEN_PAIRS, sources, FRAMES, 1 << 20, &set, &err));
    return set;
}

#endif
