/* Images over HTTP: both ways of uploading, metadata, bytes back, ranges, previews,
 * removal. */

#include <string.h>

#include "buf.h"
#include "folder.h"
#include "fs.h"
#include "image.h"
#include "story.h"

static struct daemon d;
static char files[64];

static void setup(void)
{
    daemon_start(&d, NULL);
    folder_make(files);
    scene_write(files, 1, 96, 2);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(files);
}

static void read_file(const char *name, char **data, size_t *length)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", files, name);
    must(den_fs_read(path, 1 << 24, data, length, &err));
}

START_TEST(the_same_bytes_are_one_image_however_they_come)
{
    char *data = NULL;
    size_t length;
    read_file("noisy1_0.tif", &data, &length);
    struct answer a =
        ask("POST", d.url, "/v1/images?name=a.tif", "image/tiff", data, length, NULL);
    ck_assert_int_eq(a.status, 201);
    char id[32], location[80];
    (void)snprintf(id, sizeof id, "%s", text_at(a.json, "id"));
    ck_assert_ptr_nonnull(strstr(answer_header(&a, "Location", location, 80), id));
    ck_assert_str_eq(text_at(a.json, "name"), "a.tif");
    ck_assert_str_eq(text_at(a.json, "format"), "tiff");
    ck_assert_str_eq(text_at(a.json, "dtype"), "uint16");
    close_to(number_at(a.json, "width"), 96, 1e-12);
    close_to(number_at(a.json, "pages"), 1, 1e-12);
    close_to(number_at(a.json, "bytes"), (double)length, 1e-12);
    answer_free(&a);

    static const char head[] = "--cut\r\nContent-Disposition: form-data; name=\"file\"; "
                               "filename=\"b.tif\"\r\nContent-Type: image/tiff\r\n\r\n",
                      tail[] = "\r\n--cut--\r\n";
    struct den_buf body;
    den_buf_init(&body, 1 << 20);
    den_buf_puts(&body, head);
    den_buf_add(&body, data, length);
    den_buf_puts(&body, tail);
    a = ask("POST", d.url, "/v1/images", "multipart/form-data; boundary=cut", body.data,
            body.length, NULL);
    den_buf_release(&body);
    ck_assert_msg(a.status == 200, "%ld %s", a.status, a.body);
    ck_assert_str_eq(text_at(a.json, "id"), id);
    answer_free(&a);
    ck_assert_uint_eq(daemon_files(&d), 1);
    den_free(data);
}
END_TEST

START_TEST(the_bytes_come_back_whole_and_in_ranges)
{
    char path[128], id[32], file[128], etag[128], value[128], line[200];
    char *data = NULL;
    size_t length;
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", files);
    upload(d.url, file, id);
    read_file("noisy1_0.tif", &data, &length);
    (void)snprintf(path, sizeof path, "/v1/images/%s/content", id);
    struct answer a = get(d.url, path);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(a.length, length);
    ck_assert_int_eq(memcmp(a.body, data, length), 0);
    ck_assert_ptr_nonnull(
        strstr(answer_header(&a, "Content-Disposition", value, 128), "noisy1_0.tif"));
    (void)answer_header(&a, "ETag", etag, sizeof etag);
    ck_assert_uint_eq(strlen(etag), 66);
    answer_free(&a);
    (void)snprintf(line, sizeof line, "If-None-Match: %s", etag);
    a = ask("GET", d.url, path, NULL, NULL, 0, line);
    ck_assert_int_eq(a.status, 304);
    answer_free(&a);
    a = ask("GET", d.url, path, NULL, NULL, 0, "Range: bytes=100-199");
    ck_assert_int_eq(a.status, 206);
    ck_assert_uint_eq(a.length, 100);
    ck_assert_int_eq(memcmp(a.body, data + 100, 100), 0);
    answer_free(&a);
    a = ask("GET", d.url, path, NULL, NULL, 0, "Range: bytes=99999999-");
    ck_assert_int_eq(a.status, 416);
    answer_free(&a);
    den_free(data);
}
END_TEST

START_TEST(a_preview_is_a_png_of_the_wanted_size)
{
    char path[160], id[32], file[128], media[64];
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", files);
    upload(d.url, file, id);
    (void)snprintf(path, sizeof path, "/v1/images/%s/preview?size=48&low=1&high=99", id);
    struct answer a = get(d.url, path);
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(answer_header(&a, "Content-Type", media, 64), "image/png");
    (void)snprintf(file, sizeof file, "%s/preview.png", files);
    must(den_fs_write(file, a.body, a.length, &err));
    answer_free(&a);
    struct den_image image;
    must(den_image_load(file, NULL, &image, &err));
    ck_assert_uint_eq(image.info.width, 48);
    ck_assert_int_eq(image.info.dtype, DEN_U8);
    den_image_release(&image);
    (void)snprintf(path, sizeof path, "/v1/images/%s/preview?page=1", id);
    a = get(d.url, path);
    ck_assert_int_eq(a.status, 422);
    answer_free(&a);
    ck_assert_uint_eq(daemon_files(&d), 1);
}
END_TEST

START_TEST(lists_are_newest_first_and_go_on_at_the_cursor)
{
    char file[128], first[32], second[32], path[128];
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", files);
    upload(d.url, file, first);
    (void)snprintf(file, sizeof file, "%s/noisy1_1.tif", files);
    upload(d.url, file, second);
    struct answer a = get(d.url, "/v1/images?limit=1");
    ck_assert_str_eq(text_at(a.json, "images.0.id"), second);
    (void)snprintf(path, sizeof path, "/v1/images?limit=1&cursor=%s",
                   text_at(a.json, "next_cursor"));
    answer_free(&a);
    a = get(d.url, path);
    ck_assert_str_eq(text_at(a.json, "images.0.id"), first);
    answer_free(&a);
    a = get(d.url, "/v1/images");
    ck_assert(json_is_null(at(a.json, "next_cursor")));
    answer_free(&a);
}
END_TEST

START_TEST(an_image_is_removed_with_its_bytes_unless_a_data_set_needs_it)
{
    char file[128], clean[32], noisy[32], body[256], path[128];
    (void)snprintf(file, sizeof file, "%s/clean1.tif", files);
    upload(d.url, file, clean);
    (void)snprintf(file, sizeof file, "%s/noisy1_0.tif", files);
    upload(d.url, file, noisy);
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"x\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%s\","
                   "\"clean\":\"%s\"}]}",
                   noisy, clean);
    struct answer a = post_json(d.url, "/v1/datasets", body);
    ck_assert_int_eq(a.status, 201);
    char set[32];
    (void)snprintf(set, sizeof set, "%s", text_at(a.json, "id"));
    answer_free(&a);
    (void)snprintf(path, sizeof path, "/v1/images/%s", noisy);
    a = ask("DELETE", d.url, path, NULL, NULL, 0, NULL);
    ck_assert_int_eq(a.status, 409);
    answer_free(&a);
    (void)snprintf(body, sizeof body, "/v1/datasets/%s", set);
    a = ask("DELETE", d.url, body, NULL, NULL, 0, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_free(&a);
    a = ask("DELETE", d.url, path, NULL, NULL, 0, NULL);
    ck_assert_int_eq(a.status, 204);
    answer_free(&a);
    a = get(d.url, path);
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
    ck_assert_uint_eq(daemon_files(&d), 1);
}
END_TEST

START_TEST(the_system_pages_answer)
{
    static const struct {
        const char *path, *words;
    } pages[] = {
        {"/healthz", "\"ok\""},
        {"/readyz", "\"ready\""},
        {"/metrics", "denoised_jobs{state=\"queued\"} 0"},
        {"/metrics", "process_resident_memory_bytes "},
        {"/openapi.yaml", "openapi: 3.1.0"},
        {"/", "<h1>denoised</h1>"},
        {"/v1/methods", "\"lambda_l1\""},
        {"/v1/methods", "\"psnr_matched\""},
        {"/v1/jobs", "\"jobs\":[]"},
        {"/v1/models", "\"models\":[]"},
        {"/v1/datasets", "\"datasets\":[]"},
    };
    for (size_t i = 0; i < sizeof pages / sizeof pages[0]; i++) {
        char id[80];
        struct answer a = get(d.url, pages[i].path);
        ck_assert_msg(a.status == 200, "%s: %ld", pages[i].path, a.status);
        ck_assert_msg(strstr(a.body, pages[i].words) != NULL, "%s lacks %s: %s",
                      pages[i].path, pages[i].words, a.body);
        ck_assert(strlen(answer_header(&a, "X-Request-Id", id, sizeof id)) > 0);
        answer_free(&a);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("api_images");
    TCase *tc = tcase_create("images");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, the_same_bytes_are_one_image_however_they_come);
    tcase_add_test(tc, the_bytes_come_back_whole_and_in_ranges);
    tcase_add_test(tc, a_preview_is_a_png_of_the_wanted_size);
    tcase_add_test(tc, lists_are_newest_first_and_go_on_at_the_cursor);
    tcase_add_test(tc, an_image_is_removed_with_its_bytes_unless_a_data_set_needs_it);
    tcase_add_test(tc, the_system_pages_answer);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
