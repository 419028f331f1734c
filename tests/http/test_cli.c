/* The client without a server: usage, help, simulate, pairs, preview. */

#include <string.h>

#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "image.h"
#include "mem.h"
#include "program.h"

static char folder[64];

static void setup(void)
{
    folder_make(folder);
}

static void teardown(void)
{
    folder_remove(folder);
}

static const char *in_folder(const char *name, char *to, size_t size)
{
    (void)snprintf(to, size, "%s/%s", folder, name);
    return to;
}

static void put_text(const char *name, const char *text, size_t length)
{
    struct den_err err = DEN_ERR_INIT;
    char path[160];
    must(den_fs_write(in_folder(name, path, sizeof path), text, length, &err));
}

/* ---- usage ---------------------------------------------------------------------------
 */

static const struct {
    const char *args[8];
    int status;
    const char *words;
} wrong[] = {
    {{NULL}, 2, "no command is given"},
    {{"frobnicate"}, 2, "there is no command 'frobnicate'"},
    {{"-x"}, 2, "there is no option -x"},
    {{"--json=1", "models"}, 2, "--json takes no value"},
    {{"submit"}, 2, "too few arguments; usage: denoise submit"},
    {{"submit", "a.tif"}, 2, "--model NAME or --method"},
    {{"submit", "a.tif", "--model", "m", "--method", "median"}, 2, "either"},
    {{"submit", "a.tif", "--model"}, 2, "--model needs a value"},
    {{"submit", "a.tif", "--modell", "m"}, 2, "there is no option --modell"},
    {{"submit", "a.tif", "--model=m", "-m", "n"}, 2, "--model is given twice"},
    {{"submit", "a.tif", "--method", "median"}, 2, "a.tif: it cannot be read"},
    {{"submit", ".", "--method", "median"},
     2,
     ".: no image lies in this folder; --recursive"},
    {{"submit", "x*.tif", "--method", "median"}, 2, "x*.tif: no file has such a name"},
    {{"submit", "/dev/null", "--method", "median"}, 2, "it is not a regular file"},
    {{"submit", "--method", "median", "--", "-o"}, 2, "-o: it cannot be read"},
    {{"train", "--pairs", "x.csv"}, 2, "--name"},
    {{"train", "--name", "m"}, 2, "no images are named"},
    {{"train", "--name", "m", "--dataset", "s", "--pairs", "x.csv"}, 2, "several ways"},
    {{"train", "--name", "m", "--dataset", "s", "--where", "x"}, 2, "--where needs --pa"},
    {{"train", "--name", "m", "--noisy", "a", "b", "c"}, 2, "as many clean images"},
    {{"train", "--name", "m", "--pairs", "x.csv"}, 2, "x.csv: "},
    {{"train", "--name", "m", "--seed", "-1"}, 2, "--seed: \"-1\" is not a whole number"},
    {{"train", "--name", "m", "--set", "crop"}, 2, "not of the form key=value"},
    {{"train", "--name", "m", "--set", "a=1", "a=2"}, 2, "--set a is given twice"},
    {{"evaluate", "--dataset", "s"}, 2, "--model NAME or --method"},
    {{"status", "a", "b"}, 2, "'b' is one argument too many"},
    {{"status", "--limit", "0"}, 2, "--limit: \"0\""},
    {{"status", ".."}, 2, "'..' names nothing"},
    {{"models", "--server", "gopher://localhost"}, 2, "not the address of a server"},
    {{"models", "--server", "http://127.0.0.1:9"}, 5, "no server answers at http://127"},
    {{"models", "--token", "a b"}, 2, "--token holds no token: one word of at most"},
    {{"models", "--token", ""}, 2, "--token holds no token"},
    {{"models", "--token", "a\r\nX: y"}, 2, "--token holds no token"},
    {{"models", "--token", "a", "--token-file", "b"}, 2, "either --token or"},
    {{"models", "--token-file", "nowhere"}, 2, "nowhere: "},
    {{"models"}, 5, "start one with `denoised`"},
    {{"wait", "job_1"}, 5, "no server answers"},
    {{"simulate", "d", "--size", "12"}, 2, "--size '12' is not of the form"},
    {{"simulate", "d", "--kind", "cats"}, 2, "the scene 'cats' is unknown"},
    {{"simulate", "d", "--gain", "0"}, 2, "gain is 0"},
    {{"simulate", "d", "--scenes", "many"}, 2, "--scenes: \"many\""},
    {{"preview", "a.tif"}, 2, "-o PNG"},
    {{"preview", "a.tif", "-o", "b.tif"}, 2, "does not end with .png"},
    {{"preview", "a.tif", "-o", "b.png", "--crop", "1,2,3"}, 2, "--crop '1,2,3'"},
    {{"preview", "a.tif", "-o", "b.png", "--contrast", "2"}, 2, "--contrast '2'"},
    {{"preview", "a.tif", "-o", "b.png", "--low", "99.9"}, 2, "--low 99.9 is not below"},
};

START_TEST(a_wrong_command_line_ends_with_a_sentence)
{
    struct outcome o = run_denoise(folder, NULL, wrong[_i].args);
    must_end(&o, wrong[_i].status, wrong[_i].words);
    ck_assert_msg(strncmp(o.err, "denoise: ", 9) == 0, "%s", o.err);
    ck_assert_str_eq(o.out, "");
    outcome_free(&o);
}
END_TEST

START_TEST(every_command_has_help)
{
    struct outcome all = DENOISE(folder, NULL, "--help");
    ck_assert_int_eq(all.status, 0);
    char *line = strstr(all.out, "commands:\n");
    ck_assert_ptr_nonnull(line);
    int n = 0;
    for (line = strchr(line, '\n') + 1; line[0] == ' '; line = strchr(line, '\n') + 1) {
        char name[32], usage[64];
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(line + 2, " "), line + 2);
        (void)snprintf(usage, sizeof usage, "usage: denoise %s ", name);
        struct outcome one = DENOISE(folder, NULL, name, "--help");
        must_end(&one, 0, "");
        ck_assert_msg(strncmp(one.out, usage, strlen(usage)) == 0, "%s", one.out);
        outcome_free(&one);
        n++;
    }
    ck_assert_int_ge(n, 12);
    outcome_free(&all);
}
END_TEST

/* ---- simulate ------------------------------------------------------------------------
 */

static void same_file(const char *a, const char *b, bool want)
{
    struct den_err err = DEN_ERR_INIT;
    char path[160], *x = NULL, *y = NULL;
    size_t nx = 0, ny = 0;
    must(den_fs_read(in_folder(a, path, sizeof path), 1 << 24, &x, &nx, &err));
    must(den_fs_read(in_folder(b, path, sizeof path), 1 << 24, &y, &ny, &err));
    bool same = nx == ny && memcmp(x, y, nx) == 0;
    ck_assert_msg(same == want, "%s and %s", a, b);
    den_free(x);
    den_free(y);
}

static void simulate(const char *name, const char *seed)
{
    struct outcome o = DENOISE(folder, NULL, "simulate", name, "--scenes=2", "--frames=2",
                               "--size", "48x32", "--seed", seed);
    must_end(&o, 0, "");
    outcome_free(&o);
}

START_TEST(the_same_seed_simulates_the_same_bytes)
{
    simulate("a", "7");
    simulate("b", "7");
    simulate("c", "8");
    same_file("a/pairs.csv", "b/pairs.csv", true);
    same_file("a/scene02/frame_01.tif", "b/scene02/frame_01.tif", true);
    same_file("a/scene02/clean.tif", "b/scene02/clean.tif", true);
    same_file("a/scene02/clean.tif", "c/scene02/clean.tif", false);
    same_file("a/scene02/clean.tif", "a/scene01/clean.tif", false);
    same_file("a/scene02/frame_01.tif", "a/scene02/frame_02.tif", false);
}
END_TEST

START_TEST(simulated_images_have_the_size_and_types_promised)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_info info;
    char path[160];
    simulate("a", "7");
    must(den_image_verify(in_folder("a/scene01/frame_02.tif", path, sizeof path), NULL,
                          &info, &err));
    ck_assert(info.dtype == DEN_U16 && info.width == 48 && info.height == 32);
    must(den_image_verify(in_folder("a/scene01/clean.tif", path, sizeof path), NULL,
                          &info, &err));
    ck_assert(info.dtype == DEN_F32 && info.width == 48 && info.height == 32);
    struct outcome o = DENOISE(folder, NULL, "pairs", "a/pairs.csv");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "scene01_01\ta/scene01/frame_01.tif\ta/scene01/clean.tif\n"
                            "scene01_02\ta/scene01/frame_02.tif\ta/scene01/clean.tif\n"
                            "scene02_01\ta/scene02/frame_01.tif\ta/scene02/clean.tif\n"
                            "scene02_02\ta/scene02/frame_02.tif\ta/scene02/clean.tif\n");
    outcome_free(&o);
    o = DENOISE(folder, NULL, "pairs", "a/pairs.csv", "--where", "02_02", "--json");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out,
                     "[{\"id\":\"scene02_02\",\"noisy\":\"a/scene02/frame_02.tif\","
                     "\"clean\":\"a/scene02/clean.tif\"}]\n");
    outcome_free(&o);
    o = DENOISE(folder, NULL, "simulate", "json", "--scenes=1", "--frames=1", "--json",
                "--size=16x16");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "{\"pairs\":\"json/pairs.csv\"}\n");
    outcome_free(&o);
    o = DENOISE(folder, NULL, "simulate", "a");
    must_end(&o, 2, "a holds a data set already");
    outcome_free(&o);
}
END_TEST

/* ---- lists of pairs ------------------------------------------------------------------
 */

#define HEAD "id,noisy,gt\n"
static const char scenes[] = HEAD "a1,1.tif,A.tif\na2,2.tif,A.tif\nb1,3.tif,B.tif\n"
                                  "b2,4.tif,B.tif\nc1,5.tif,C.tif\na3,6.tif,A.tif\n";

static const struct {
    const char *text, *option, *value; /* option NULL: none */
    const char *want;                  /* the ids, or a part of the error */
    bool good;
} lists[] = {
    {scenes, NULL, NULL, "a1 a2 b1 b2 c1 a3", true},
    {scenes, "--where", "^a", "a1 a2 a3", true},
    {scenes, "--where", "^(b|c)1$", "b1 c1", true},
    {scenes, "--hold-out", "0.2", "a1 a2 b1 b2 a3", true},
    {scenes, "--held-out", "0.2", "c1", true},
    {scenes, "--held-out", "0.67", "b1 b2 c1", true},
    {scenes, "--held-out", "1", "b1 b2 c1", true}, /* one scene stays */
    {scenes, "--where", "x", "no row matches --where 'x'", false},
    {scenes, "--where", "(", "--where '(' is not an extended regular", false},
    {scenes, "--held-out", "2", "--held-out: \"2\"", false},
    {HEAD "a1,1.tif,A.tif\n", "--held-out", "0.2", "all pairs show one scene", false},
    {"noisy,clean\n1.tif,2.tif\n", NULL, NULL, "1.tif", true},
    {"clean,x,noisy,id\r\n2.tif,,1.tif,\"a, \"\"b\"\"\"\r\n", NULL, NULL, "a, \"b\"",
     true},
    {"\xef\xbb\xbf" HEAD "\n\na1,1.tif,A.tif", NULL, NULL, "a1", true},
    {"", NULL, NULL, "line 1: the header has no column 'noisy'", false},
    {"id,noisy\n", NULL, NULL, "line 1: the header has no column 'gt'", false},
    {HEAD, NULL, NULL, "there is no row behind the header", false},
    {HEAD "a1,1.tif\n", NULL, NULL, "line 2: 2 fields where the header has 3", false},
    {HEAD "\na1,1.tif,A.tif\nb,\"\n\",\n", NULL, NULL, "line 4: the clean image", false},
    {HEAD "a1,,A.tif\n", NULL, NULL, "line 2: the noisy image is not named", false},
    {HEAD "a1,\"1.tif,A.tif\n", NULL, NULL, "line 2: a quote is opened", false},
    {HEAD "a1,1\"2.tif,A.tif\n", NULL, NULL, "line 2: a quote stands inside", false},
    {HEAD "a1,\"1.tif\"x,A.tif\n", NULL, NULL, "line 2: something stands", false},
};

START_TEST(a_list_of_pairs_gives_ids_or_names_the_line)
{
    put_text("p.csv", lists[_i].text, strlen(lists[_i].text));
    struct outcome o =
        DENOISE(folder, NULL, "pairs", "p.csv", lists[_i].option, lists[_i].value);
    if (!lists[_i].good) {
        must_end(&o, 2, lists[_i].want);
        outcome_free(&o);
        return;
    }
    must_end(&o, 0, "");
    char ids[256] = "";
    for (const char *at = o.out; *at != '\0'; at = strchr(at, '\n') + 1) {
        size_t used = strlen(ids);
        (void)snprintf(ids + used, sizeof ids - used, "%s%.*s", used > 0 ? " " : "",
                       (int)strcspn(at, "\t"), at);
    }
    ck_assert_str_eq(ids, lists[_i].want);
    outcome_free(&o);
}
END_TEST

START_TEST(a_list_with_a_nul_byte_is_no_text)
{
    static const char bytes[] = HEAD "a1,1.tif\0,A.tif\n";
    put_text("p.csv", bytes, sizeof bytes - 1);
    struct outcome o = DENOISE(folder, NULL, "pairs", "p.csv");
    must_end(&o, 2, "p.csv: this is no text");
    outcome_free(&o);
}
END_TEST

/* ---- preview -------------------------------------------------------------------------
 */

/* A 16-bit image of 3 x 2 pixels with these grey values. */
static void put_image(const char *name, const float *pixels)
{
    struct den_err err = DEN_ERR_INIT;
    char path[160];
    float copy[6];
    memcpy(copy, pixels, sizeof copy);
    struct den_image image = {.info = {.format = "tiff",
                                       .width = 3,
                                       .height = 2,
                                       .pages = 1,
                                       .channels = 1,
                                       .dtype = DEN_U16},
                              .pixels = copy};
    must(den_image_save(in_folder(name, path, sizeof path), &image, &err));
}

static const struct {
    const char *name, *args[8];
    uint32_t width, height;
    float pixels[6 * 3]; /* of panel pixels in order, one per zoomed square */
} views[] = {
    /* a: 1000 to 1255 in steps of 51; b: 1000 everywhere but one pixel of 1510 */
    {"one panel fills the range", {"a.tif"}, 3, 2, {0, 51, 102, 153, 204, 255}},
    {"panels share one contrast",
     {"a.tif", "b.tif"},
     10,
     2,
     {0, 26, 51, 77, 102, 128, 0, 0, 0, 0, 0, 255}},
    {"each panel has its own contrast",
     {"a.tif", "b.tif", "--contrast", "each"},
     10,
     2,
     {0, 51, 102, 153, 204, 255, 0, 0, 0, 0, 0, 255}},
    {"the contrast of the first panel",
     {"a.tif", "b.tif", "--contrast", "1"},
     10,
     2,
     {0, 51, 102, 153, 204, 255, 0, 0, 0, 0, 0, 255}},
    {"a crop is zoomed",
     {"a.tif", "--crop", "1,0,2,2", "--zoom", "3"},
     6,
     6,
     {0, 64, 191, 255}},
};

START_TEST(a_preview_shows_grey_values_as_promised)
{
    static const float a[] = {1000, 1051, 1102, 1153, 1204, 1255},
                       b[] = {1000, 1000, 1000, 1000, 1000, 1510};
    struct den_err err = DEN_ERR_INIT;
    struct den_image picture = {0};
    const char *args[16] = {"preview", "-o", "p.png", "--low", "0", "--high", "100"};
    char path[160];
    put_image("a.tif", a);
    put_image("b.tif", b);
    for (size_t i = 0; views[_i].args[i] != NULL; i++)
        args[7 + i] = views[_i].args[i];
    struct outcome o = run_denoise(folder, NULL, args);
    must_end(&o, 0, "");
    outcome_free(&o);
    must(den_image_load(in_folder("p.png", path, sizeof path), NULL, &picture, &err));
    ck_assert_uint_eq(picture.info.width, views[_i].width);
    ck_assert_uint_eq(picture.info.height, views[_i].height);
    ck_assert(picture.info.dtype == DEN_U8);
    bool cropped = views[_i].height == 6;
    size_t zoom = cropped ? 3 : 1, wide = cropped ? 2 : 3,
           panels = (views[_i].width + 4) / 7;
    for (size_t p = 0; p < (cropped ? 1 : panels); p++)
        for (size_t y = 0; y < 2 * zoom; y++)
            for (size_t x = 0; x < wide * zoom; x++) {
                double got =
                    (double)picture.pixels[y * picture.info.width + p * (3 + 4) + x];
                double want =
                    (double)views[_i].pixels[p * 2 * wide + y / zoom * wide + x / zoom];
                ck_assert_msg(got - want <= 1 && want - got <= 1,
                              "%s: panel %zu, %zu,%zu is %g, want %g", views[_i].name, p,
                              x, y, got, want);
            }
    if (panels == 2)
        close_to(picture.pixels[4], 255.0, 0); /* the gap is white */
    den_image_release(&picture);
}
END_TEST

START_TEST(a_preview_of_unequal_images_says_which_one)
{
    static const float a[6] = {0};
    put_image("a.tif", a);
    simulate("s", "1");
    struct outcome o =
        DENOISE(folder, NULL, "preview", "s/scene01/clean.tif", "a.tif", "-o", "p.png");
    must_end(&o, 2, "a.tif: the image has 3 x 2 pixels; it does not hold 48 x 32 at 0,0");
    outcome_free(&o);
    o = DENOISE(folder, NULL, "preview", "a.tif", "-o", "p.png", "--page", "1");
    must_end(&o, 2, "a.tif: the image has 1 pages; there is no page 1");
    outcome_free(&o);
    put_text("t.tif", "hello", 5);
    o = DENOISE(folder, NULL, "preview", "t.tif", "-o", "p.png");
    must_end(&o, 2, "t.tif: ");
    outcome_free(&o);
}
END_TEST

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

int main(void)
{
    Suite *suite = suite_create("cli");
    TCase *all = tcase_create("local");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 60);
    tcase_add_loop_test(all, a_wrong_command_line_ends_with_a_sentence, 0, COUNT(wrong));
    tcase_add_test(all, every_command_has_help);
    tcase_add_test(all, the_same_seed_simulates_the_same_bytes);
    tcase_add_test(all, simulated_images_have_the_size_and_types_promised);
    tcase_add_loop_test(all, a_list_of_pairs_gives_ids_or_names_the_line, 0,
                        COUNT(lists));
    tcase_add_test(all, a_list_with_a_nul_byte_is_no_text);
    tcase_add_loop_test(all, a_preview_shows_grey_values_as_promised, 0, COUNT(views));
    tcase_add_test(all, a_preview_of_unequal_images_says_which_one);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
