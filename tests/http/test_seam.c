/* A real image in tiles and whole, through the daemon: no seams.
 *
 * A tile differs from the whole only where the net sees further than the overlap of 32
 * pixels.  The net `care` hardly does.  A U-Net of 5 strided layers sees about 100 pixels
 * far, so that near the borders of tiles single pixels differ by more, blended without an
 * edge; an image of up to 1.5 million pixels is one tile unless `tile` is set. */

#include <math.h>
#include <string.h>

#include "fs.h"
#include "image.h"
#include "story.h"

/* The result of a denoise job with the model, read into *ret. */
static void denoise(struct story *s, const char *image, const char *model, bool tiled,
                    struct den_image *ret)
{
    struct den_err err = DEN_ERR_INIT;
    char by[100], id[32], path[160];
    (void)snprintf(by, sizeof by, "\"model\":\"%s\"", model);
    submit_denoise(s->daemon.url, image, by, id);
    json_t *job = wait_success(s->daemon.url, id, 120);
    ck_assert_int_eq(number_at(job, "progress.steps") > 1, tiled);
    struct answer a = get(s->daemon.url, text_at(job, "result.href"));
    ck_assert_int_eq(a.status, 200);
    (void)snprintf(path, sizeof path, "%s/result.tif", s->files);
    must(den_fs_write(path, a.body, a.length, &err));
    must(den_image_load(path, NULL, ret, &err));
    answer_free(&a);
    json_decref(job);
}

/* Largest difference, in parts of the range of the image. */
static double distance(const struct den_image *a, const struct den_image *b,
                       double *ret_range)
{
    size_t n = (size_t)a->info.width * a->info.height;
    float low = a->pixels[0], high = low;
    double most = 0;
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, a->pixels[i]);
        high = fmaxf(high, a->pixels[i]);
        most = fmax(most, fabs((double)a->pixels[i] - (double)b->pixels[i]));
    }
    *ret_range = (double)(high - low);
    return most / *ret_range;
}

START_TEST(a_real_image_in_tiles_is_the_image_as_a_whole)
{
    need_test_data(data);
    struct story s;
    char file[300], image[32];
    static const char *const whole[] = {"--tile", "2048", NULL};
    static const char *const tiled[] = {"--tile", "384", NULL};
    /* Parts of the range; measured: 0.0053 and 0.00064 */
    static const struct {
        const char *name;
        double bound;
    } models[] = {{"unet", 0.01}, {"care", 0.001}};
    struct den_image one, many;
    double range = 0;
    story_start(&s, whole);
    story_train_with(&s, "unet",
                     "\"preset\":\"cpu\",\"config\":{" TINY ",\"iterations\":60}");
    story_train_with(&s, "care",
                     "\"preset\":\"care\",\"config\":{\"iterations\":20,\"batch\":2}");
    (void)snprintf(file, sizeof file, "%s/noisy_only_16bit/convallaria_frame0000.tif",
                   data);
    upload(s.daemon.url, file, image);
    for (size_t k = 0; k < 2; k++) {
        denoise(&s, image, models[k].name, false, &one);
        ck_assert_int_eq(daemon_stop(&s.daemon), 0);
        daemon_restart(&s.daemon, tiled);
        denoise(&s, image, models[k].name, true, &many);
        ck_assert_int_eq(daemon_stop(&s.daemon), 0);
        daemon_restart(&s.daemon, whole);
        double apart = distance(&one, &many, &range);
        printf("%s: at most %.4f %% of %.0f grey values\n", models[k].name, 100 * apart,
               range);
        ck_assert_msg(apart < models[k].bound, "%s: %g", models[k].name, apart);
        den_image_release(&one);
        den_image_release(&many);
    }
    story_end(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seam");
    TCase *tc = tcase_create("seam");
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, a_real_image_in_tiles_is_the_image_as_a_whole);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
