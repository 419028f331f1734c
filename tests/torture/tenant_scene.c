#include "tenant_scene.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

const char *const caller_names[CALLERS] = {"other owner", "administrator",     "no token",
                                           "garbage",     "one character off", "revoked",
                                           "expired",     "wrong scope"};

/* A proxy that is believed, so that each wrong token may come from a new address. */
static const char *const options[] = {"--auth",    "required", "--proxies", "127.0.0.1",
                                      "--threads", "1",        NULL};

/* ---- asking ---- */

struct told scene_ask(const struct scene *scene, const char *token, const char *method,
                      const char *path, const char *json, const char *more,
                      const char *asked)
{
    char header[BEARER_SIZE + 300], address[32];
    bool part = strcmp(method, "PATCH") == 0;
    (void)snprintf(header, sizeof header, "%s%s%s%s%s",
                   fresh_address(address, sizeof address), token[0] != '\0' ? "\r\n" : "",
                   token, more != NULL ? "\r\n" : "", more != NULL ? more : "");
    struct question q = {.method = method, .path = path, .header = header, .body = json};
    if (json != NULL) {
        q.length = strlen(json);
        q.type = part ? "application/offset+octet-stream" : "application/json";
    }
    return tenant_ask(scene->story.daemon.url, &q, asked);
}

static json_t *body_of(const struct told *told)
{
    const char *body = strstr(told->text, "\r\n\r\n");
    ck_assert_ptr_nonnull(body);
    json_t *json = json_loads(body + 4, 0, NULL);
    ck_assert_msg(json != NULL, "%s", told->text);
    return json;
}

json_t *scene_json(const struct scene *scene, const char *token, const char *path)
{
    struct told told = scene_ask(scene, token, "GET", path, NULL, NULL, NULL);
    ck_assert_msg(told.status == 200, "%s: %s", path, told.text);
    json_t *json = body_of(&told);
    told_free(&told);
    return json;
}

void scene_upload(const struct scene *scene, const char *token, const char *file,
                  long status, char *id)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL, path[160];
    size_t length = 0;
    (void)snprintf(path, sizeof path, "%s/%s", scene->story.files, file);
    must(den_fs_read(path, 1 << 24, &data, &length, &err));
    (void)snprintf(path, sizeof path, "/v1/images?name=mine-%s", file);
    struct question q = {.method = "POST",
                         .path = path,
                         .header = token,
                         .type = "image/tiff",
                         .body = data,
                         .length = length};
    struct told told = tenant_ask(scene->story.daemon.url, &q, NULL);
    ck_assert_msg(told.status == status, "%s", told.text);
    json_t *json = body_of(&told);
    ck_assert(den_str_copy(id, 32, text_at(json, "id")));
    (void)snprintf(path, sizeof path, "\r\nLocation: /v1/images/%s\r\n", id);
    ck_assert_ptr_nonnull(strstr(told.text, path));
    json_decref(json);
    den_free(data);
    told_free(&told);
}

void scene_run(const struct scene *scene, const char *token, const char *json, char *id)
{
    enum { WAIT_S = 60 };
    char path[64];
    double until = den_monotonic_s() + WAIT_S;
    struct told told = scene_ask(scene, token, "POST", "/v1/jobs", json, NULL, NULL);
    ck_assert_msg(told.status == 202, "%s: %s", json, told.text);
    json_t *job = body_of(&told);
    ck_assert(den_str_copy(id, 32, text_at(job, "id")));
    told_free(&told);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    while (!json_is_string(at(job, "finished_at")) && den_monotonic_s() < until) {
        json_decref(job);
        (void)usleep(20000);
        job = scene_json(scene, token, path);
    }
    ck_assert_msg(strcmp(text_at(job, "state"), "succeeded") == 0, "%s: %s", json,
                  text_at(job, "error.detail"));
    json_decref(job);
}

/* ---- what the first user has: made before tokens are asked for ---- */

static void run_to_end(const struct scene *scene, const char *json, char *id)
{
    scene_run(scene, "", json, id);
}

static void make_jobs(struct scene *scene)
{
    struct story *s = &scene->story;
    char json[700];
    story_train(s, MODEL, 3, scene->jobs[TRAINED]);
    json_decref(wait_job(s->daemon.url, scene->jobs[TRAINED], 60));
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"model\":\"" MODEL "\"}",
                   s->noisy[0]);
    run_to_end(scene, json, scene->jobs[DENOISED]);
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"evaluate\",\"dataset\":\"%s\",\"method\":\"median\"}",
                   s->held_out);
    run_to_end(scene, json, scene->jobs[JUDGED]);
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"experiment\",\"dataset\":\"%s\",\"grid\":{\"common\":{"
                   "\"iterations\":2,\"crop\":32,\"batch\":2,\"ngf\":4,"
                   "\"validation_fraction\":0},\"rows\":[{\"name\":\"a\"}],\"samples\":"
                   "[0],\"seeds\":[1],\"metrics\":[\"psnr\"],\"filters\":[\"median\"],"
                   "\"test_dataset\":\"%s\"}}",
                   s->training, s->held_out);
    run_to_end(scene, json, scene->jobs[GRID]);
    story_train(s, MODEL, 1000000, scene->jobs[RUNNING]);
    story_train(s, MODEL, 1000000, scene->jobs[QUEUED]);
}

static void make_alias_and_upload(struct scene *scene)
{
    struct told told = scene_ask(scene, "", "PUT", "/v1/models/" MODEL "/aliases/best",
                                 "{\"version\":1}", NULL, NULL);
    ck_assert_msg(told.status == 200 || told.status == 201, "%s", told.text);
    told_free(&told);
    told = scene_ask(
        scene, "", "POST", "/v1/uploads", NULL,
        TUS "\r\nUpload-Length: 10\r\nUpload-Metadata: name c2VjcmV0LnRpZg==", NULL);
    ck_assert_msg(told.status == 201, "%s", told.text);
    json_t *upload = body_of(&told);
    ck_assert(den_str_copy(scene->upload, sizeof scene->upload, text_at(upload, "id")));
    json_decref(upload);
    told_free(&told);
}

/* ---- tokens ---- */

static void expire_token(const struct scene *scene, const char *name)
{
    char path[96], sql[120];
    sqlite3 *db = NULL;
    (void)snprintf(path, sizeof path, "%s/denoised.db", scene->story.daemon.state);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    (void)snprintf(sql, sizeof sql, "UPDATE tokens SET expires_ms = 1 WHERE name = '%s'",
                   name);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_changes(db), 1);
    sqlite3_close(db);
}

static void make_tokens(struct scene *scene)
{
    static const char all[] = "read,submit,train";
    const struct daemon *d = &scene->story.daemon;
    make_token(d, "owner", "local", all, scene->owner);
    make_token(d, "revoked", "local", all, scene->bearer[REVOKED]);
    make_token(d, "expired", "local", all, scene->bearer[EXPIRED]);
    make_token(d, "other", "bob", all, scene->bearer[OTHER]);
    make_token(d, "chief", "carol", "read,submit,train,admin", scene->bearer[CHIEF]);
    make_token(d, "no-read", "local", "submit,train", scene->narrow[0]);
    make_token(d, "no-submit", "local", "read,train", scene->narrow[1]);
    make_token(d, "no-train", "local", "read,submit", scene->narrow[2]);
    ck_assert(den_str_copy(scene->bearer[GARBAGE], BEARER_SIZE,
                           "Authorization: Bearer den_c2VjcmV0IGFuZCBvcGVu"));
    memcpy(scene->bearer[ALMOST], scene->owner, BEARER_SIZE);
    char *changed = &scene->bearer[ALMOST][strlen(scene->owner) - 12];
    *changed = *changed == 'A' ? 'B' : 'A';
    revoke_token(d, "revoked");
}

/* ---- what nobody else may read ---- */

static void secret_at(const struct scene *scene, const char *path, const char *member)
{
    json_t *json = scene_json(scene, scene->owner, path);
    tenant_secret(text_at(json, member));
    json_decref(json);
}

static void note_secrets(struct scene *scene)
{
    const struct story *s = &scene->story;
    char path[96];
    for (size_t i = 0; i < 4; i++) {
        tenant_secret(s->clean[i]);
        tenant_secret(s->noisy[i]);
        (void)snprintf(path, sizeof path, "/v1/images/%s", s->noisy[i]);
        secret_at(scene, path, "sha256");
        secret_at(scene, path, "name");
    }
    for (size_t i = 0; i < JOBS; i++)
        tenant_secret(scene->jobs[i]);
    tenant_secret(s->training);
    tenant_secret(s->held_out);
    tenant_secret("held out");
    tenant_secret(MODEL);
    tenant_secret(scene->upload);
    tenant_secret("secret.tif");
    secret_at(scene, "/v1/models/" MODEL "/versions/1", "sha256");
    json_t *me = scene_json(scene, scene->owner, "/v1/me");
    ck_assert(den_str_copy(scene->token, sizeof scene->token, text_at(me, "token")));
    json_decref(me);
    tenant_secret(scene->token);
}

/* ---- what the second user has ---- */

static void make_others(struct scene *scene)
{
    char json[300];
    scene_write(scene->story.files, 9, 64, 1);
    scene_upload(scene, scene->bearer[OTHER], "noisy9_0.tif", 201, scene->own_image);
    scene_upload(scene, scene->bearer[OTHER], "clean9.tif", 201, scene->own_second);
    (void)snprintf(json, sizeof json,
                   "{\"name\":\"mine\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"%s\","
                   "\"clean\":\"%s\"}]}",
                   scene->own_image, scene->own_second);
    struct told told =
        scene_ask(scene, scene->bearer[OTHER], "POST", "/v1/datasets", json, NULL, NULL);
    ck_assert_msg(told.status == 201, "%s", told.text);
    json_t *set = body_of(&told);
    ck_assert(den_str_copy(scene->own_set, sizeof scene->own_set, text_at(set, "id")));
    json_decref(set);
    told_free(&told);
}

void scene_start(struct scene *scene)
{
    memset(scene, 0, sizeof *scene);
    story_start(&scene->story, options + 2);
    make_jobs(scene);
    make_alias_and_upload(scene);
    ck_assert_int_eq(daemon_stop(&scene->story.daemon), 0);
    daemon_restart(&scene->story.daemon, options);
    make_tokens(scene);
    ck_assert_int_eq(daemon_stop(&scene->story.daemon), 0);
    expire_token(scene, "expired");
    daemon_restart(&scene->story.daemon, options);
    note_secrets(scene);
    make_others(scene);
}

void scene_end(struct scene *scene)
{
    story_end(&scene->story);
}
