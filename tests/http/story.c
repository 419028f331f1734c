#include "story.h"

#include <string.h>

#include "folder.h"

static void add_pairs(struct story *s, const char *name, int from, int to, char *id)
{
    char body[1024];
    int n = snprintf(body, sizeof body, "{\"name\":\"%s\",\"kind\":\"pairs\",\"pairs\":[",
                     name);
    for (int i = from; i < to; i++)
        n += snprintf(body + n, sizeof body - (size_t)n,
                      "%s{\"noisy\":\"%s\",\"clean\":\"%s\"}", i > from ? "," : "",
                      s->noisy[i], s->clean[i]);
    (void)snprintf(body + n, sizeof body - (size_t)n, "]}");
    struct answer a = post_json(s->daemon.url, "/v1/datasets", body);
    ck_assert_msg(a.status == 201, "%ld %s", a.status, a.body);
    (void)snprintf(id, 32, "%s", text_at(a.json, "id"));
    answer_free(&a);
}

void story_start(struct story *s, const char *const *extra_args)
{
    memset(s, 0, sizeof *s);
    daemon_start(&s->daemon, extra_args);
    folder_make(s->files);
    for (int i = 0; i < 4; i++) {
        char path[128];
        scene_write(s->files, (uint64_t)i + 1, 64, 1);
        (void)snprintf(path, sizeof path, "%s/clean%d.tif", s->files, i + 1);
        upload(s->daemon.url, path, s->clean[i]);
        (void)snprintf(path, sizeof path, "%s/noisy%d_0.tif", s->files, i + 1);
        upload(s->daemon.url, path, s->noisy[i]);
    }
    add_pairs(s, "training", 0, 3, s->training);
    add_pairs(s, "held out", 3, 4, s->held_out);
}

void story_end(struct story *s)
{
    daemon_remove(&s->daemon);
    folder_remove(s->files);
}

void story_train(struct story *s, const char *model, unsigned iterations, char *id)
{
    char body[512];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"%s\",\"preset\":"
                   "\"cpu\",\"config\":{" TINY ",\"iterations\":%u}}",
                   s->training, model, iterations);
    submit_job(s->daemon.url, body, id);
}

void story_train_with(struct story *s, const char *model, const char *members)
{
    char body[512], id[32];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"%s\",%s}",
                   s->training, model, members);
    submit_job(s->daemon.url, body, id);
    json_decref(wait_success(s->daemon.url, id, 120));
}

void story_denoise(struct story *s, const char *by, char *id)
{
    submit_denoise(s->daemon.url, s->noisy[3], by, id);
    json_decref(wait_success(s->daemon.url, id, 50));
}

void story_train_and_denoise(struct story *s)
{
    char id[32];
    story_train(s, "m", 2, id);
    json_decref(wait_success(s->daemon.url, id, 50));
    story_denoise(s, "\"model\":\"m\"", id);
}
