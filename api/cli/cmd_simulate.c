#include <math.h>
#include <string.h>

#include "buf.h"
#include "cli.h"
#include "follow.h"
#include "fs.h"
#include "image.h"
#include "mem.h"
#include "rng.h"
#include "str.h"
#include "synth.h"

#define LIST_MAX ((size_t)16 << 20)
#define PATH_SIZE 4096

static const struct den_option options[] = {
    {"scenes", 0, DEN_OPTION_VALUE, "N", "different scenes (default 10)"},
    {"frames", 0, DEN_OPTION_VALUE, "N", "noisy frames of each scene (default 4)"},
    {"kind", 0, DEN_OPTION_VALUE, "nuclei|filaments|fibres",
     "what is seen (default: nuclei)"},
    {"size", 0, DEN_OPTION_VALUE, "WxH", "pixels (default 256x256)"},
    {"seed", 0, DEN_OPTION_VALUE, "N", "same seed, same bytes (default 1)"},
    {"peak-photons", 0, DEN_OPTION_VALUE, "N", "photons of the brightest pixel"},
    {"background-photons", 0, DEN_OPTION_VALUE, "N", "photons of an empty pixel"},
    {"psf-sigma", 0, DEN_OPTION_VALUE, "PIXELS", "blur of the microscope"},
    {"gain", 0, DEN_OPTION_VALUE, "N", "grey values for each photon"},
    {"offset", 0, DEN_OPTION_VALUE, "N", "grey value of a dark pixel"},
    {"read-noise", 0, DEN_OPTION_VALUE, "N", "noise of the camera, in grey values"},
    {NULL, 0, DEN_OPTION_FLAG, NULL, NULL},
};

struct plan {
    struct den_scene scene; /* its seed is that of the whole set */
    int64_t scenes, frames;
    const char *folder;
    float *clean;        /* [height][width] */
    uint16_t *frame;     /* the same */
    float *as_float;     /* the same: what is written */
    struct den_buf list; /* pairs.csv */
};

/* "640x480" */
static bool read_size(const char *text, struct den_scene *scene, struct den_err *err)
{
    char width[16];
    size_t x = text != NULL ? strcspn(text, "x") : 0;
    int64_t w, h;
    if (text == NULL)
        return true;
    if (text[x] != 'x' || !den_str_format(width, sizeof width, "%.*s", (int)x, text) ||
        !den_parse_int(width, 1, UINT32_MAX, &w, NULL) ||
        !den_parse_int(text + x + 1, 1, UINT32_MAX, &h, NULL))
        return den_err_set(err, DEN_E_INVALID,
                           "--size '%.40s' is not of the form WIDTHxHEIGHT", text);
    scene->width = (uint32_t)w;
    scene->height = (uint32_t)h;
    return true;
}

static bool read_numbers(const struct den_args *args, struct den_scene *scene,
                         struct den_err *err)
{
    const struct {
        const char *name;
        double *value;
    } numbers[] = {
        {"peak-photons", &scene->peak_photons},
        {"background-photons", &scene->background_photons},
        {"psf-sigma", &scene->psf_sigma},
        {"gain", &scene->gain},
        {"offset", &scene->offset},
        {"read-noise", &scene->read_noise},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!den_args_double(args, numbers[i].name, -1e12, 1e12, numbers[i].value, err))
            return false;
    return true;
}

static bool read_plan(const struct den_args *args, struct plan *plan, struct den_err *err)
{
    int64_t seed = 1;
    const char *kind = den_args_text(args, "kind");
    plan->scene = den_scene_default();
    plan->scenes = 10;
    plan->frames = 4;
    plan->folder = args->words[0];
    if (!den_args_int(args, "scenes", 1, 1000, &plan->scenes, err) ||
        !den_args_int(args, "frames", 1, 1000, &plan->frames, err) ||
        !den_args_int(args, "seed", 0, INT64_MAX, &seed, err) ||
        !read_size(den_args_text(args, "size"), &plan->scene, err) ||
        !read_numbers(args, &plan->scene, err))
        return false;
    plan->scene.seed = (uint64_t)seed;
    if (kind != NULL)
        plan->scene.kind = kind;
    return den_scene_check(&plan->scene, err);
}

static bool make_room(struct plan *plan, struct den_err *err)
{
    size_t n = (size_t)plan->scene.width * plan->scene.height;
    plan->clean = den_new(n, sizeof *plan->clean, err);
    plan->frame = den_new(n, sizeof *plan->frame, err);
    plan->as_float = den_new(n, sizeof *plan->as_float, err);
    return plan->clean != NULL && plan->frame != NULL && plan->as_float != NULL;
}

static bool write_image(const struct plan *plan, int64_t scene, const char *name,
                        enum den_dtype dtype, float *pixels, struct den_err *err)
{
    char path[PATH_SIZE];
    struct den_image image = {.info = {.format = "tiff",
                                       .width = plan->scene.width,
                                       .height = plan->scene.height,
                                       .pages = 1,
                                       .channels = 1,
                                       .dtype = dtype},
                              .pixels = pixels};
    if (!den_str_format(path, sizeof path, "%s/scene%02d/%s", plan->folder, (int)scene,
                        name))
        return den_err_set(err, DEN_E_INVALID, "the name of the folder is too long");
    return den_image_save(path, &image, err);
}

static bool write_frames(struct plan *plan, const struct den_scene *scene, int64_t number,
                         struct den_err *err)
{
    size_t n = (size_t)scene->width * scene->height;
    for (int64_t k = 1; k <= plan->frames; k++) {
        char name[32];
        (void)den_str_format(name, sizeof name, "frame_%02d.tif", (int)k);
        den_scene_frame(scene, plan->clean, (uint64_t)k, plan->frame);
        for (size_t i = 0; i < n; i++)
            plan->as_float[i] = (float)plan->frame[i];
        if (!write_image(plan, number, name, DEN_U16, plan->as_float, err))
            return false;
        den_buf_printf(&plan->list, "scene%02d_%02d,scene%02d/%s,scene%02d/clean.tif\n",
                       (int)number, (int)k, (int)number, name, (int)number);
    }
    return true;
}

/* The truth is kept as float: at a few photons, whole grey values would be a noise of
 * their own. */
static bool write_scene(struct plan *plan, int64_t number, struct den_err *err)
{
    struct den_scene scene = plan->scene;
    char path[PATH_SIZE];
    scene.seed = den_hash64(plan->scene.seed, (uint64_t)number);
    if (!den_str_format(path, sizeof path, "%s/scene%02d", plan->folder, (int)number))
        return den_err_set(err, DEN_E_INVALID, "the name of the folder is too long");
    return den_fs_mkdirs(path, 0777, err) && den_scene_clean(&scene, plan->clean, err) &&
           write_image(plan, number, "clean.tif", DEN_F32, plan->clean, err) &&
           write_frames(plan, &scene, number, err);
}

static bool run(struct den_cli *cli, const struct den_args *args, struct den_err *err)
{
    struct plan plan = {0};
    char list[PATH_SIZE];
    bool done = false;
    den_buf_init(&plan.list, LIST_MAX);
    den_buf_puts(&plan.list, "id,noisy,gt\n");
    if (!read_plan(args, &plan, err))
        goto out;
    if (!den_str_format(list, sizeof list, "%s/pairs.csv", plan.folder)) {
        (void)den_err_set(err, DEN_E_INVALID, "the name of the folder is too long");
        goto out;
    }
    if (den_fs_exists(list)) {
        (void)den_err_set(err, DEN_E_CONFLICT,
                          "%.160s holds a data set already; name another folder",
                          plan.folder);
        goto out;
    }
    if (!make_room(&plan, err))
        goto out;
    for (int64_t i = 1; i <= plan.scenes; i++)
        if (!write_scene(&plan, i, err))
            goto out;
    /* The list comes last: where it is, all images are. */
    done = den_buf_ok(&plan.list, err) &&
           den_fs_write(list, plan.list.data, plan.list.length, err);
    if (done)
        den_print_path(cli, "pairs", list);
out:
    den_free(plan.clean);
    den_free(plan.frame);
    den_free(plan.as_float);
    den_buf_release(&plan.list);
    return done;
}

const struct den_command den_cmd_simulate = {
    "simulate",
    "DIR [--scenes N] [--frames N] [--kind KIND] [--seed N]",
    "Make a data set with known truth (needs no server)",
    "Writes DIR/sceneNN/frame_KK.tif (16 bit: shot noise and read noise), the truth as\n"
    "DIR/sceneNN/clean.tif (float) and DIR/pairs.csv; prints the path of the last.\n",
    options,
    1,
    1,
    run,
};
