/* Files of microscopes and of format suites through the whole server: uploaded, denoised,
 * fetched, and compared with what was sent - only pixels may differ. */
#include <dirent.h>
#include <string.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "mem.h"
#include "str.h"
#include "verify.h"

enum { MOST = 256 };

static struct daemon d;
static char files[64];

/* least: how many of the folder's files must come back denoised. */
static const struct folder {
    const char *name;
    unsigned least;
} folders[] = {
    {"format_variants", 39},  {"neubias_tiff", 17},
    {"ome_tiff", 4},          {"ome_tiff/master", 5},
    {"tiff_formats", 82},     {"pngsuite/16bit", 14},
    {"pngsuite/primary", 48}, {"pngsuite/libpng_testpngs", 71},
};

static struct item {
    char name[96];
    char job[32]; /* "" when the file or the job was refused */
} items[MOST];

static void setup(void)
{
    folder_make(files);
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(files);
}

static bool is_image(const char *name)
{
    static const char *const ends[] = {".tif", ".tiff", ".png", ".jpg"};
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (den_str_ends(name, ends[i]))
            return true;
    return false;
}

/* False for a refusal, which must say why. */
static bool accepted(const char *name, struct answer *a, const char *key, char *to)
{
    bool ok = a->status == 200 || a->status == 201 || a->status == 202;
    if (ok)
        (void)snprintf(to, 32, "%s", text_at(a->json, key));
    else
        ck_assert_msg(a->status >= 400 && a->status < 500 &&
                          strlen(text_at(a->json, "detail")) > 15,
                      "%s: %ld %s", name, a->status, a->body);
    answer_free(a);
    return ok;
}

static void submit(const char *path, struct item *item)
{
    char url[192], id[32], body[160];
    (void)snprintf(url, sizeof url, "/v1/images?name=%s", item->name);
    struct answer a = post_file(d.url, url, path);
    if (!accepted(item->name, &a, "id", id))
        return;
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"gaussian\"}", id);
    a = post_json(d.url, "/v1/jobs", body);
    (void)accepted(item->name, &a, "id", item->job);
}

/* Fetches the result and compares it with the source. */
static void compare(const char *source, const struct item *item, const json_t *job)
{
    static struct den_verdict v;
    struct den_err err = DEN_ERR_INIT;
    char copy[96];
    struct answer a = get(d.url, text_at(job, "result.href"));
    ck_assert_msg(a.status == 200, "%s: %ld %s", item->name, a.status, a.body);
    (void)snprintf(copy, sizeof copy, "%s/copy", files);
    FILE *file = fopen(copy, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(a.body, 1, a.length, file), a.length);
    ck_assert_int_eq(fclose(file), 0);
    answer_free(&a);
    must(den_verify(source, copy, NULL, &v, &err));
    ck_assert_msg(v.differences == 0, "%s: %s, %s: %s (%u differences)", item->name,
                  v.list[0].where, v.list[0].what, v.list[0].how,
                  (unsigned)v.differences);
    ck_assert_msg(strstr(v.provenance, item->job) != NULL, "%s: the record is '%s'",
                  item->name, v.provenance);
}

static size_t submit_folder(const char *path)
{
    struct dirent **names = NULL;
    char file[512];
    size_t count = 0;
    int n = scandir(path, &names, NULL, alphasort);
    ck_assert_int_gt(n, 0);
    for (int i = 0; i < n; i++) {
        if (is_image(names[i]->d_name)) {
            ck_assert_uint_lt(count, MOST);
            struct item *item = &items[count++];
            item->job[0] = '\0';
            ck_assert(den_str_copy(item->name, sizeof item->name, names[i]->d_name));
            ck_assert(den_str_format(file, sizeof file, "%s/%s", path, item->name));
            submit(file, item);
        }
        free(names[i]);
    }
    free(names);
    return count;
}

START_TEST(what_comes_back_differs_in_pixels_alone)
{
    need_test_data(root);
    const struct folder *folder = &folders[_i];
    char path[400], file[512];
    unsigned clean = 0, refused = 0, failed = 0;
    ck_assert(den_str_format(path, sizeof path, "%s/%s", root, folder->name));
    size_t count = submit_folder(path);
    for (size_t i = 0; i < count; i++) {
        if (items[i].job[0] == '\0') {
            refused++;
            continue;
        }
        json_t *job = wait_job(d.url, items[i].job, 60);
        ck_assert(den_str_format(file, sizeof file, "%s/%s", path, items[i].name));
        if (strcmp(text_at(job, "state"), "succeeded") == 0) {
            compare(file, &items[i], job);
            clean++;
        } else {
            ck_assert(strlen(text_at(job, "error.detail")) > 15);
            printf("%s: %s\n", items[i].name, text_at(job, "error.detail"));
            failed++;
        }
        json_decref(job);
    }
    printf("%s: %zu files, %u refused, %u failed, %u denoised and clean\n", folder->name,
           count, refused, failed, clean);
    (void)fflush(stdout);
    ck_assert_uint_eq(failed, 0);
    ck_assert_uint_ge(clean, folder->least);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corpora");
    TCase *tc = tcase_create("corpora");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, what_comes_back_differs_in_pixels_alone, 0,
                        (int)(sizeof folders / sizeof *folders));
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
