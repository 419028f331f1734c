/* Two users of one server: whatever the one asks about what is the other's, the answer is
 * the one to a question about what does not exist; and who shows no good token gets
 * nothing at all.  Every route with every method, on real objects of each kind. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api.h"
#include "http.h"
#include "str.h"
#include "tenant_scene.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static struct scene scene;

static void setup(void)
{
    scene_start(&scene);
}

static void teardown(void)
{
    scene_end(&scene);
}

/* ---- pairs of questions ---- */

static unsigned asked[CALLERS], guessed, by_status[600];

/* What is there, and what a question about nothing has in its place. */
struct thing {
    const char *under; /* beginning of the pattern */
    const char *there, *prefix;
    char absent[32];
};
static struct thing things[16];
static size_t thing_count;

static void add_thing(const char *under, const char *there, const char *prefix)
{
    ck_assert_uint_lt(thing_count, COUNT(things));
    things[thing_count++] =
        (struct thing){.under = under, .there = there, .prefix = prefix};
}

static void list_things(void)
{
    thing_count = 0;
    add_thing("/v1/images/", scene.story.noisy[0], "img_");
    add_thing("/v1/images/", scene.story.clean[3], "img_");
    add_thing("/v1/datasets/", scene.story.training, "set_");
    for (size_t i = 0; i < JOBS; i++)
        add_thing("/v1/jobs/", scene.jobs[i], "job_");
    add_thing("/v1/uploads/", scene.upload, "upl_");
    add_thing("/v1/models/", MODEL, NULL);
    add_thing("/v1/tokens/", scene.token, NULL);
}

/* Each time other ones. */
static void guess_absent(void)
{
    for (size_t i = 0; i < thing_count; i++) {
        struct thing *t = &things[i];
        if (t->prefix != NULL) {
            guess_id(t->prefix, t->absent);
            continue;
        }
        ck_assert(den_str_copy(t->absent, sizeof t->absent, t->there));
        t->absent[1] = t->absent[1] == 'o' ? 'q' : 'o';
    }
}

/* The pattern with a word in the place of what it is about. */
static void path_of(const char *pattern, const char *word, const char *query, char *to,
                    size_t size)
{
    static const struct {
        const char *name, *value;
    } others[] = {{"{version}", "1"}, {"{alias}", "best"}, {"{file}", "none.js"}};
    char *path = text_replace(pattern, "{id}", word);
    char *next = text_replace(path, "{name}", word);
    free(path);
    path = next;
    for (size_t i = 0; i < COUNT(others); i++) {
        next = text_replace(path, others[i].name, others[i].value);
        free(path);
        path = next;
    }
    ck_assert(den_str_format(to, size, "%s%s", path, query));
    free(path);
}

static const char *token_of(enum caller caller, const char *scope)
{
    static const char *const scopes[] = {"read", "submit", "train"};
    if (caller != NARROW)
        return scene.bearer[caller];
    for (size_t i = 0; scope != NULL && i < COUNT(scopes); i++)
        if (strcmp(scope, scopes[i]) == 0)
            return scene.narrow[i];
    return scene.narrow[2];
}

struct probe {
    enum caller caller;
    const char *scope;  /* of the route */
    const char *method; /* ... */
    const char *there, *absent, *json_there, *json_absent;
    const char *word_there, *word_absent; /* what to take out of the answers */
    const char *more;                     /* header lines */
    long status;                          /* wanted; 0 = any of 4xx */
};

static void probe(const struct probe *p)
{
    const char *token = token_of(p->caller, p->scope), *secret;
    struct told there = scene_ask(&scene, token, p->method, p->there, p->json_there,
                                  p->more, p->word_there);
    struct told absent = scene_ask(&scene, token, p->method, p->absent, p->json_absent,
                                   p->more, p->word_absent);
    asked[p->caller]++;
    guessed++;
    by_status[there.status < 600 ? there.status : 599]++;
    const char *who = caller_names[p->caller];
    ck_assert_msg(strcmp(there.text, absent.text) == 0,
                  "%s, %s %s %s: the answer is\n%.1000s\nand of nothing\n%.1000s", who,
                  p->method, p->there, p->json_there != NULL ? p->json_there : "",
                  there.text, absent.text);
    secret = tenant_leak(there.text);
    ck_assert_msg(secret == NULL, "%s, %s %s: tells %s\n%.1000s", who, p->method,
                  p->there, secret, there.text);
    ck_assert_msg(p->status == 0 ? there.status >= 400 && there.status < 500
                                 : there.status == p->status,
                  "%s, %s %s %s: wanted %ld\n%.1000s", who, p->method, p->there,
                  p->json_there != NULL ? p->json_there : "", p->status, there.text);
    told_free(&there);
    told_free(&absent);
}

/* ---- every route, every method, everybody ---- */

static const char *const methods[] = {"GET",   "HEAD",   "POST",   "PUT",
                                      "PATCH", "DELETE", "OPTIONS"};

static bool has_row(const char *pattern, const char *method)
{
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++)
        if (strcmp(r->pattern, pattern) == 0 && strcmp(r->method, method) == 0)
            return true;
    return false;
}

static bool is_first_row(const struct den_route *row)
{
    for (const struct den_route *r = den_api_routes(); r != row; r++)
        if (strcmp(r->pattern, row->pattern) == 0)
            return false;
    return true;
}

/* A body that the route would take. */
static const char *body_of_route(const struct den_route *r)
{
    if (r->body == DEN_BODY_PART)
        return "0123456789";
    if (r->body != DEN_BODY_JSON)
        return NULL;
    return strstr(r->pattern, "/shared") != NULL ? "{\"shared\":true}"
                                                 : "{\"version\":1}";
}

static long wanted(const struct den_route *r, enum caller caller)
{
    bool admin = strcmp(r->scope, "admin") == 0;
    if (caller == NARROW)
        return strcmp(r->scope, "any") == 0 ? 200 : 403;
    if (caller > CHIEF)
        return 401;
    return admin ? 403 : 404;
}

static void probe_thing(const struct den_route *r, const struct thing *t,
                        const char *method, const char *query, const char *more)
{
    char there[200], absent[200], lines[300];
    bool own = strcmp(method, r->method) == 0;
    bool head = strcmp(method, "HEAD") == 0 && strcmp(r->method, "GET") == 0;
    const char *json = own ? body_of_route(r) : NULL;
    path_of(r->pattern, t->there, query, there, sizeof there);
    path_of(r->pattern, t->absent, query, absent, sizeof absent);
    (void)snprintf(lines, sizeof lines, TUS "\r\nUpload-Offset: 0%s%s",
                   more != NULL ? "\r\n" : "", more != NULL ? more : "");
    for (enum caller caller = 0; caller < CALLERS; caller++) {
        if (caller == CHIEF && strcmp(r->scope, "admin") == 0)
            continue; /* who may */
        struct probe p = {.caller = caller,
                          .scope = r->scope,
                          .method = method,
                          .there = there,
                          .absent = absent,
                          .json_there = json,
                          .json_absent = json,
                          .word_there = t->there,
                          .word_absent = t->absent,
                          .more = lines,
                          .status = own || head ? wanted(r, caller) : 0};
        probe(&p);
    }
}

/* The routes which are not about one thing: no answer without a token, and to the other
 * user one without secrets. */
static void probe_plain(const struct den_route *r)
{
    for (enum caller caller = 0; caller < CALLERS; caller++) {
        struct told told = scene_ask(&scene, token_of(caller, r->scope), r->method,
                                     r->pattern, body_of_route(r), TUS, NULL);
        long want = wanted(r, caller);
        asked[caller]++;
        by_status[told.status]++;
        const char *secret = tenant_leak(told.text);
        if (caller == NARROW || (caller == CHIEF && strcmp(r->scope, "admin") == 0))
            secret = NULL; /* the owner himself, and who may see tokens */
        ck_assert_msg(secret == NULL, "%s, %s %s: tells %s\n%.1000s",
                      caller_names[caller], r->method, r->pattern, secret, told.text);
        ck_assert_msg(caller <= CHIEF || told.status == want, "%s, %s %s: %s",
                      caller_names[caller], r->method, r->pattern, told.text);
        told_free(&told);
    }
}

/* With the route's own method, and with those that no row has. */
static void probe_methods(const struct den_route *r, const struct thing *t)
{
    bool first = is_first_row(r);
    probe_thing(r, t, r->method, "", NULL);
    for (size_t m = 0; m < COUNT(methods); m++)
        if (strcmp(methods[m], "HEAD") == 0 ? strcmp(r->method, "GET") == 0
                                            : first && !has_row(r->pattern, methods[m]))
            probe_thing(r, t, methods[m], "", NULL);
}

static void probe_routes(void)
{
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++) {
        bool plain = strchr(r->pattern, '{') == NULL, found = false;
        if (r->scope == NULL)
            continue;
        if (plain)
            probe_plain(r);
        for (size_t t = 0; t < thing_count; t++)
            if (strncmp(r->pattern, things[t].under, strlen(things[t].under)) == 0) {
                probe_methods(r, &things[t]);
                found = true;
            }
        /* A new kind of thing needs a line in list_things(). */
        ck_assert_msg(plain || found, "nothing to ask %s %s about", r->method,
                      r->pattern);
    }
}

/* ---- conditional, partial and other forms of the same question ---- */

/* The entity tag as the owner gets it, as a header line. */
static void line_of_tag(const char *path, char *to, size_t size)
{
    struct told told = scene_ask(&scene, scene.owner, "HEAD", path, NULL, NULL, NULL);
    (void)snprintf(to, size, "If-None-Match: %s",
                   told.etag[0] != '\0' ? told.etag : "\"none\"");
    told_free(&told);
}

static void probe_forms(void)
{
    static const char *const lines[] = {
        "If-None-Match: *",
        "Range: bytes=0-9",
        "If-Match: *",
        "If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT",
        "Accept: text/markdown",
        "Accept: image/svg+xml",
        "Accept: text/event-stream\r\nLast-Event-ID: 0",
        "X-Forwarded-User: local",
        "X-Request-Id: job_01JD0000000000000000000000"};
    static const char *const queries[] = {"?as=float32&size=8", "?page=0", "?limit=1",
                                          "?cursor=1"};
    char path[200], tag[200];
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++) {
        if (r->scope == NULL || strcmp(r->method, "GET") != 0)
            continue;
        for (size_t t = 0; t < thing_count; t++) {
            if (strncmp(r->pattern, things[t].under, strlen(things[t].under)) != 0)
                continue;
            path_of(r->pattern, things[t].there, "", path, sizeof path);
            if (strstr(path, "/events") != NULL) /* the owner's would not end */
                (void)snprintf(tag, sizeof tag, "If-None-Match: \"1\"");
            else
                line_of_tag(path, tag, sizeof tag);
            struct probe p = {.caller = OTHER, .scope = r->scope, .method = "GET"};
            char absent[200];
            path_of(r->pattern, things[t].absent, "", absent, sizeof absent);
            p.there = path;
            p.absent = absent;
            p.word_there = things[t].there;
            p.word_absent = things[t].absent;
            char all[300];
            for (size_t i = 0; i <= COUNT(lines); i++) {
                (void)snprintf(all, sizeof all, TUS "\r\n%s",
                               i < COUNT(lines) ? lines[i] : tag);
                p.more = all;
                p.status = strcmp(r->scope, "admin") == 0 ? 403 : 404;
                probe(&p);
            }
            for (size_t i = 0; i < COUNT(queries); i++) {
                char with[240], without[240];
                (void)snprintf(with, sizeof with, "%s%s", path, queries[i]);
                (void)snprintf(without, sizeof without, "%s%s", absent, queries[i]);
                p.there = with;
                p.absent = without;
                p.more = TUS;
                p.status = 0; /* 404, or 400 where the route has no such key */
                probe(&p);
            }
        }
    }
}

/* ---- bodies that name what is another's ---- */

#define GRID_OF(members)                                                               \
    "\"grid\":{\"common\":{\"iterations\":2,\"crop\":32,\"batch\":2,\"ngf\":4},"       \
    "\"rows\":[{\"name\":\"a\"}],\"samples\":[0],\"seeds\":[1],\"metrics\":[\"psnr\"]" \
    "," members "}"

/* @ is another's, or nothing. */
static const struct {
    const char *path, *json;
    char kind; /* image, data set, model */
} bodies[] = {
    {"/v1/datasets",
     "{\"name\":\"d\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"@\",\"clean\":\"OWN\"}]"
     "}",
     'i'},
    {"/v1/datasets",
     "{\"name\":\"d\",\"kind\":\"pairs\",\"pairs\":[{\"noisy\":\"OWN\",\"clean\":\"@\"}]"
     "}",
     'i'},
    {"/v1/datasets", "{\"name\":\"d\",\"kind\":\"repeats\",\"images\":[\"OWN\",\"@\"]}",
     'i'},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"@\",\"method\":\"median\"}", 'i'},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"OWN\",\"model\":\"@\"}", 'm'},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"OWN\",\"model\":\"@@1\"}", 'm'},
    {"/v1/jobs", "{\"kind\":\"denoise\",\"image\":\"OWN\",\"model\":\"@@best\"}", 'm'},
    {"/v1/jobs", "{\"kind\":\"evaluate\",\"dataset\":\"@\",\"method\":\"median\"}", 'd'},
    {"/v1/jobs", "{\"kind\":\"evaluate\",\"dataset\":\"SET\",\"model\":\"@\"}", 'm'},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"@\"}", 'd'},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"SET\",\"base_model\":\"@\"}", 'm'},
    {"/v1/jobs", "{\"kind\":\"train\",\"dataset\":\"SET\",\"base_model\":\"@@best\"}",
     'm'},
    {"/v1/jobs",
     "{\"kind\":\"experiment\",\"dataset\":\"@\"," GRID_OF(
         "\"test_dataset\":\"SET\"") "}",
     'd'},
    {"/v1/jobs",
     "{\"kind\":\"experiment\",\"dataset\":\"SET\"," GRID_OF(
         "\"test_dataset\":\"@\"") "}",
     'd'},
};

static char *fill_body(const char *json, char kind, const char *word)
{
    /* "@@1" is a model's version: the first @ is the name. */
    char *named = text_replace(json, kind == 'm' ? "\"@" : "@", "\x01");
    char *own = text_replace(named, "OWN", scene.own_image);
    char *set = text_replace(own, "SET", scene.own_set);
    char quoted[40];
    (void)snprintf(quoted, sizeof quoted, "%s%s", kind == 'm' ? "\"" : "", word);
    char *whole = text_replace(set, "\x01", quoted);
    free(named);
    free(own);
    free(set);
    return whole;
}

static const char *another(char kind, char *absent)
{
    switch (kind) {
    case 'i':
        guess_id("img_", absent);
        return scene.story.noisy[1];
    case 'd':
        guess_id("set_", absent);
        return scene.story.held_out;
    default:
        ck_assert(den_str_copy(absent, 32, NO_MODEL));
        return MODEL;
    }
}

static void probe_bodies(void)
{
    static const char *const queries[] = {"", "?dry_run=true"};
    for (size_t i = 0; i < COUNT(bodies); i++)
        for (size_t q = 0; q < COUNT(queries); q++) {
            char path[80], absent[32];
            if (q > 0 && strcmp(bodies[i].path, "/v1/jobs") != 0)
                continue;
            const char *there = another(bodies[i].kind, absent);
            char *json = fill_body(bodies[i].json, bodies[i].kind, there);
            char *other = fill_body(bodies[i].json, bodies[i].kind, absent);
            (void)snprintf(path, sizeof path, "%s%s", bodies[i].path, queries[q]);
            for (enum caller caller = 0; caller <= CHIEF; caller++) {
                struct probe p = {.caller = caller,
                                  .scope = "submit",
                                  .method = "POST",
                                  .there = path,
                                  .absent = path,
                                  .json_there = json,
                                  .json_absent = other,
                                  .word_there = there,
                                  .word_absent = absent,
                                  .status = 404};
                if (caller == CHIEF && strstr(json, scene.own_image) != NULL)
                    p.status = 404; /* that one is not hers either */
                probe(&p);
            }
            free(json);
            free(other);
        }
}

/* ---- lists ---- */

static void probe_lists(void)
{
    static const char *const paths[] = {
        "/v1/images?limit=500",
        "/v1/images?cursor=img_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "/v1/datasets?limit=500",
        "/v1/datasets?cursor=set_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "/v1/jobs?limit=500",
        "/v1/jobs?cursor=job_7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
        "/v1/jobs?state=running",
        "/v1/jobs?state=queued",
        "/v1/jobs?state=succeeded",
        "/v1/jobs?state=failed",
        "/v1/jobs?kind=train",
        "/v1/jobs?kind=denoise",
        "/v1/jobs?kind=evaluate",
        "/v1/jobs?kind=experiment",
        "/v1/models?limit=500",
        ("/v1/models?cursor=" MODEL),
        ("/v1/models?cursor=" NO_MODEL),
        "/v1/me",
        "/v1/methods",
        "/metrics",
        "/readyz",
        "/openapi.yaml",
        "/"};
    for (size_t i = 0; i < COUNT(paths); i++)
        for (enum caller caller = 0; caller <= CHIEF; caller++) {
            struct told told = scene_ask(&scene, scene.bearer[caller], "GET", paths[i],
                                         NULL, NULL, NULL);
            const char *secret = tenant_leak(told.text);
            asked[caller]++;
            by_status[told.status]++;
            ck_assert_msg(told.status == 200, "%s: %.1000s", paths[i], told.text);
            ck_assert_msg(secret == NULL, "%s: tells %s\n%.1000s", paths[i], secret,
                          told.text);
            told_free(&told);
        }
}

/* ---- what the owner has stays as it is ---- */

static void take_out(char *text, const char *key)
{
    char *at = strstr(text, key);
    ck_assert_ptr_nonnull(at);
    at += strlen(key);
    const char *rest = at + strcspn(at, ",}\r");
    memmove(at, rest, strlen(rest) + 1);
}

/* Everything the owner sees, as one text; of jobs at work only the state, and of those
 * that wait not how long, which is another number each time. */
static void tell_thing(FILE *to, const struct den_route *r, const struct thing *t)
{
    char path[200];
    bool moving = t->there == scene.jobs[RUNNING];
    if (strcmp(r->method, "GET") != 0 || strstr(r->pattern, "/events") != NULL ||
        strcmp(t->under, "/v1/tokens/") == 0 ||
        strncmp(r->pattern, t->under, strlen(t->under)) != 0 ||
        (moving && strstr(r->pattern, "}/") != NULL))
        return;
    path_of(r->pattern, t->there, "", path, sizeof path);
    struct told told = scene_ask(&scene, scene.owner, "GET", path, NULL, TUS, NULL);
    const char *state = strstr(told.text, "\"state\":");
    if (moving) {
        ck_assert_ptr_nonnull(state);
        (void)fprintf(to, "%s %.*s\n", path, (int)strcspn(state, ","), state);
    } else {
        if (strstr(told.text, "\"eta_s\":") != NULL) {
            take_out(told.text, "\"eta_s\":");
            take_out(told.text, "Content-Length:");
        }
        (void)fprintf(to, "%s %s\n", path, told.text);
    }
    told_free(&told);
}

static char *everything(void)
{
    char *all = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&all, &size);
    ck_assert_ptr_nonnull(to);
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++)
        for (size_t t = 0; t < thing_count; t++)
            tell_thing(to, r, &things[t]);
    ck_assert_int_eq(fclose(to), 0);
    return all;
}

static void print_counts(const char *what)
{
    unsigned total = 0;
    printf("%s:", what);
    for (enum caller caller = 0; caller < CALLERS; caller++) {
        printf(" %s %u,", caller_names[caller], asked[caller]);
        total += asked[caller];
    }
    printf(" guessed ids %u; answers", guessed);
    for (size_t i = 0; i < COUNT(by_status); i++)
        if (by_status[i] > 0)
            printf(" %zu: %u", i, by_status[i]);
    printf("; %u attempts, 0 leaks\n", total + guessed);
    /* Not counting the methods that nothing has, nor the ids of nothing. */
    ck_assert_uint_ge(total - by_status[405], test_full() ? 10000 : 1000);
}

START_TEST(nobody_gets_at_what_is_anothers)
{
    list_things();
    char *before = everything();
    ck_assert_ptr_nonnull(strstr(before, scene.story.training));
    for (int round = 0; round < (test_full() ? 6 : 1); round++) {
        guess_absent();
        probe_routes();
        probe_forms();
        probe_bodies();
        probe_lists();
    }
    char *after = everything();
    size_t same = 0;
    while (before[same] != '\0' && before[same] == after[same])
        same++;
    size_t from = same > 400 ? same - 400 : 0;
    ck_assert_msg(before[same] == after[same], "changed: before\n%.800s\nafter\n%.800s",
                  before + from, after + from);
    free(before);
    free(after);
    print_counts("tenants");
}
END_TEST

/* ---- the same bytes ---- */

START_TEST(the_same_bytes_are_new_to_everybody)
{
    char first[32], again[32], path[96];
    scene_upload(&scene, scene.bearer[OTHER], "noisy1_0.tif", 201, first);
    scene_upload(&scene, scene.bearer[OTHER], "noisy1_0.tif", 200, again);
    ck_assert_str_eq(first, again);
    ck_assert_str_ne(first, scene.story.noisy[0]);
    scene_upload(&scene, scene.owner, "noisy1_0.tif", 200, again);
    ck_assert_str_eq(again, scene.story.noisy[0]);
    (void)snprintf(path, sizeof path, "/v1/images/%s", first);
    struct told told =
        scene_ask(&scene, scene.bearer[OTHER], "DELETE", path, NULL, NULL, NULL);
    ck_assert_int_eq(told.status, 204);
    told_free(&told);
    /* One blob lies under both; it stays. */
    (void)snprintf(path, sizeof path, "/v1/images/%s/content", scene.story.noisy[0]);
    told = scene_ask(&scene, scene.owner, "GET", path, NULL, NULL, NULL);
    ck_assert_int_eq(told.status, 200);
    told_free(&told);
}
END_TEST

/* ---- answers that are kept ---- */

START_TEST(anothers_idempotency_key_is_no_key_of_ones_own)
{
    static const char more[] = TUS "\r\nUpload-Length: 7\r\nIdempotency-Key: key-1\r\n"
                                   "Upload-Metadata: name a2V5LnRpZg==";
    const char *const tokens[] = {scene.owner, scene.owner, scene.bearer[OTHER],
                                  scene.bearer[OTHER], scene.bearer[NOBODY]};
    static const long want[] = {201, 201, 201, 201, 401};
    static const bool replayed[] = {false, true, false, true, false};
    char *said[COUNT(tokens)];
    for (size_t i = 0; i < COUNT(tokens); i++) {
        struct told told =
            scene_ask(&scene, tokens[i], "POST", "/v1/uploads", NULL, more, NULL);
        ck_assert_msg(told.status == want[i], "%s", told.text);
        ck_assert_msg((strstr(told.text, "Idempotency-Replayed: true") != NULL) ==
                          replayed[i],
                      "%zu: %s", i, told.text);
        const char *place = strstr(told.text, "Location: ");
        place = place != NULL ? place + strlen("Location: ") : "";
        said[i] = strndup(place, strcspn(place, "\r\n"));
        told_free(&told);
    }
    ck_assert_str_eq(said[0], said[1]);
    ck_assert_str_eq(said[2], said[3]);
    ck_assert_str_ne(said[0], said[2]);
    for (size_t i = 0; i < 4; i++) { /* whose it is */
        struct told told =
            scene_ask(&scene, tokens[i / 2 * 2], "GET", said[i % 2 * 2], NULL, TUS, NULL);
        ck_assert_int_eq(told.status, i / 2 == i % 2 ? 200 : 404);
        told_free(&told);
    }
    for (size_t i = 0; i < COUNT(tokens); i++)
        free(said[i]);
}
END_TEST

/* ---- shared models ---- */

static long status_of(const char *token, const char *method, const char *path,
                      const char *json)
{
    struct told told = scene_ask(&scene, token, method, path, json, NULL, NULL);
    long status = told.status;
    told_free(&told);
    return status;
}

START_TEST(a_shared_model_opens_itself_and_nothing_else)
{
    static const char version[] = "/v1/models/" MODEL "/versions/1";
    const char *other = scene.bearer[OTHER];
    char json[200], id[32], path[96];
    ck_assert_int_eq(
        status_of(scene.owner, "PUT", "/v1/models/" MODEL "/shared", "{\"shared\":true}"),
        200);
    json_t *model = scene_json(&scene, other, version);
    ck_assert_str_eq(text_at(model, "owner"), "local");
    ck_assert(json_is_true(at(model, "shared")));
    json_decref(model);
    ck_assert_int_eq(
        status_of(other, "GET", "/v1/models/" MODEL "/versions/1/weights", NULL), 200);
    ck_assert_int_eq(status_of(other, "GET", "/v1/models/" MODEL "/aliases/best", NULL),
                     200);
    (void)snprintf(json, sizeof json,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"model\":\"" MODEL "@best\"}",
                   scene.own_image);
    scene_run(&scene, other, json, id);
    /* Seen, but the owner's alone to change; and what it was made of is not there. */
    static const struct {
        const char *method, *path, *json;
    } changes[] = {
        {"PUT", "/v1/models/" MODEL "/shared", "{\"shared\":false}"},
        {"PUT", "/v1/models/" MODEL "/aliases/best", "{\"version\":1}"},
        {"DELETE", "/v1/models/" MODEL "/aliases/best", NULL},
        {"POST", "/v1/models/" MODEL "/aliases/best/rollback", NULL},
        {"DELETE", "/v1/models/" MODEL, NULL},
        {"DELETE", version, NULL},
    };
    for (size_t i = 0; i < COUNT(changes); i++)
        ck_assert_msg(
            status_of(other, changes[i].method, changes[i].path, changes[i].json) == 403,
            "%s %s", changes[i].method, changes[i].path);
    (void)snprintf(path, sizeof path, "/v1/datasets/%s", scene.story.training);
    ck_assert_int_eq(status_of(other, "GET", path, NULL), 404);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", scene.jobs[TRAINED]);
    ck_assert_int_eq(status_of(other, "GET", path, NULL), 404);
    ck_assert_int_eq(status_of(scene.owner, "PUT", "/v1/models/" MODEL "/shared",
                               "{\"shared\":false}"),
                     200);
    ck_assert_int_eq(status_of(other, "GET", version, NULL), 404);
}
END_TEST

/* ---- time ---- */

static int ascending(const void *a, const void *b)
{
    const double *p = a, *q = b;
    return (*p > *q) - (*p < *q);
}

/* Told, not judged: the machine may be busy. */
START_TEST(the_time_of_an_answer_tells_little)
{
    enum { TIMES = 301 };
    static double other[TIMES], none[TIMES];
    char there[80], absent[80], id[32];
    guess_id("img_", id);
    (void)snprintf(there, sizeof there, "/v1/images/%s", scene.story.noisy[0]);
    (void)snprintf(absent, sizeof absent, "/v1/images/%s", id);
    for (size_t i = 0; i < TIMES; i++) {
        const char *token = scene.bearer[OTHER];
        struct told a = scene_ask(&scene, token, "GET", there, NULL, NULL, NULL);
        struct told b = scene_ask(&scene, token, "GET", absent, NULL, NULL, NULL);
        ck_assert(a.status == 404 && b.status == 404);
        other[i] = a.second;
        none[i] = b.second;
        told_free(&a);
        told_free(&b);
    }
    qsort(other, TIMES, sizeof *other, ascending);
    qsort(none, TIMES, sizeof *none, ascending);
    printf(
        "404 of another's image after %.0f us, of none after %.0f us (medians of %d)\n",
        other[TIMES / 2] * 1e6, none[TIMES / 2] * 1e6, TIMES);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tenants");
    TCase *tc = tcase_create("tenants");
    tcase_add_unchecked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 600 : 180);
    tcase_add_test(tc, nobody_gets_at_what_is_anothers);
    tcase_add_test(tc, the_same_bytes_are_new_to_everybody);
    tcase_add_test(tc, anothers_idempotency_key_is_no_key_of_ones_own);
    tcase_add_test(tc, a_shared_model_opens_itself_and_nothing_else);
    tcase_add_test(tc, the_time_of_an_answer_tells_little);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
