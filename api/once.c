/* Idempotency-Key: a request that is sent again, because nobody knows whether the first
 * one arrived, takes effect once and gets the answer of then [draft-ietf-httpapi-
 * idempotency-key-header].  The key is written to the store in the transaction of the
 * effect (den_tx_idempotency), the answer after it: a crash in between leaves a key
 * without an answer, and then the object answers for itself. */

#include "once.h"

#include <nettle/base16.h>
#include <nettle/sha2.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "str.h"

enum { KEY_MAX = 255, ANSWER_MAX = 64 * 1024 };
static const int64_t kept_ms = (int64_t)24 * 3600 * 1000;

/* ---- what is asked for --------------------------------------------------------------
 */

static void add(struct sha256_ctx *sha, const char *text, size_t length)
{
    char head[24];
    (void)den_str_format(head, sizeof head, "%zu:", length);
    sha256_update(sha, strlen(head), (const uint8_t *)head);
    sha256_update(sha, length, (const uint8_t *)text);
}

static void add_text(struct sha256_ctx *sha, const char *text)
{
    add(sha, text != NULL ? text : "", text != NULL ? strlen(text) : 0);
}

static void add_query(struct sha256_ctx *sha, const struct den_request *request)
{
    const char *keys = den_request_route(request)->query;
    for (const char *at = keys != NULL ? keys : ""; *at != '\0';) {
        char key[48] = "";
        size_t length = strcspn(at, " ");
        if (length < sizeof key)
            memcpy(key, at, length);
        add_text(sha, den_request_query(request, key));
        at += length + (at[length] == ' ');
    }
}

/* Method, path, query, body; of uploads in parts, the headers that are their body. */
static void hash_request(const struct den_request *request, char *to)
{
    struct sha256_ctx sha;
    uint8_t digest[SHA256_DIGEST_SIZE];
    const struct den_upload *upload = den_request_upload(request);
    size_t length = 0;
    const char *body = den_request_body(request, &length);
    sha256_init(&sha);
    add_text(&sha, den_request_method(request));
    add_text(&sha, den_request_path(request));
    add_query(&sha, request);
    add(&sha, body != NULL ? body : "", body != NULL ? length : 0);
    add_text(&sha, upload != NULL ? upload->sha256 : NULL);
    add_text(&sha, upload != NULL ? upload->filename : NULL);
    add_text(&sha, den_request_header(request, "Upload-Length"));
    add_text(&sha, den_request_header(request, "Upload-Metadata"));
    sha256_digest(&sha, sizeof digest, digest);
    base16_encode_update(to, sizeof digest, digest);
    to[DEN_SHA256_SIZE - 1] = '\0';
}

static bool check_key(const char *key, struct den_err *err)
{
    size_t length = strlen(key);
    bool good = length >= 1 && length <= KEY_MAX;
    for (size_t i = 0; good && i < length; i++)
        good = key[i] > 0x20 && key[i] < 0x7f;
    return good ||
           den_err_field(err, DEN_E_MALFORMED, "Idempotency-Key",
                         "an Idempotency-Key has 1 to %d visible ASCII characters",
                         KEY_MAX);
}

/* ---- under way ----------------------------------------------------------------------
 */

/* A key is here while its request runs; a restart ends both. */
static bool begin(struct den_once *once, struct den_pending *mine)
{
    pthread_mutex_lock(&once->lock);
    struct den_pending *other = once->first;
    while (other != NULL &&
           (strcmp(other->owner, mine->owner) != 0 || strcmp(other->key, mine->key) != 0))
        other = other->next;
    if (other == NULL) {
        mine->next = once->first;
        once->first = mine;
    }
    pthread_mutex_unlock(&once->lock);
    return other == NULL;
}

static void end(struct den_once *once, struct den_pending *mine)
{
    pthread_mutex_lock(&once->lock);
    struct den_pending **at = &once->first;
    while (*at != mine)
        at = &(*at)->next;
    *at = mine->next;
    pthread_mutex_unlock(&once->lock);
}

/* ---- the answer of then -------------------------------------------------------------
 */

static const struct {
    const char *prefix;
    bool (*again)(struct den_api *api, const struct den_request *request,
                  const char *object, struct den_reply *reply, struct den_err *err);
} objects[] = {
    {"job_", den_again_job},    {"set_", den_again_dataset}, {"img_", den_again_image},
    {"upl_", den_again_upload}, {"tok_", den_again_token},
};

/* It took effect, and its answer is not there: as the object is by now. */
static bool answer_by_object(struct den_api *api, const struct den_request *request,
                             const char *object, struct den_reply *reply,
                             struct den_err *err)
{
    if (strchr(object, '@') != NULL) /* a name may begin like anything */
        return den_again_alias(api, request, object, reply, err);
    for (size_t i = 0; i < sizeof objects / sizeof objects[0]; i++)
        if (den_str_starts(object, objects[i].prefix))
            return objects[i].again(api, request, object, reply, err);
    return den_err_set(err, DEN_E_CONFLICT,
                       "a request with this Idempotency-Key took effect, and its answer "
                       "is not known any more");
}

static bool replay(struct den_api *api, const struct den_request *request,
                   const struct den_answer_row *row, struct den_reply *reply,
                   struct den_err *err)
{
    if (row->status == 0) {
        if (!answer_by_object(api, request, row->object, reply, err))
            return false;
    } else {
        den_reply_status(reply, row->status);
        if (row->location[0] != '\0')
            den_reply_header(reply, "Location", row->location);
        if (row->media[0] != '\0')
            den_reply_text(reply, row->media, row->body);
    }
    den_reply_header(reply, "Idempotency-Replayed", "true");
    return true;
}

/* ---- the first time -----------------------------------------------------------------
 */

/* Texts of tokens are never kept, and of an upload in parts the state of now counts. */
static bool may_keep(const struct den_request *request)
{
    const char *pattern = den_request_route(request)->pattern;
    return strcmp(pattern, "/v1/tokens") != 0 && strcmp(pattern, "/v1/uploads") != 0;
}

static void keep(struct den_api *api, const struct den_pending *mine, const char *sha256,
                 const struct den_reply *reply)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_reply_view view;
    struct den_answer_row row = {.created_ms = den_wall_ms()};
    char text[sizeof err.text + 8];
    if (!den_reply_look(reply, &view) || view.status >= 500 || view.status == 429 ||
        view.length > ANSWER_MAX ||
        !den_str_copy(row.media, sizeof row.media, view.media) ||
        !den_str_copy(row.location, sizeof row.location, view.location))
        return;
    den_str_copy(row.request_sha256, sizeof row.request_sha256, sha256);
    row.status = view.status;
    char *body = den_strdup(view.data);
    row.body = body;
    if (body == NULL ||
        !api->store_kind->answer_put(api->store, mine->owner, mine->key, &row, &err))
        den_log(DEN_WARN, "answer_not_kept", " error=%s",
                den_log_quote(err.text, text, sizeof text));
    den_free(body);
}

/* Refusals that will not be others the next time are answers, too. */
static bool run(struct den_api *api, const struct den_route *route,
                struct den_request *request, struct den_reply *reply, struct den_err *err)
{
    if (route->handle(api, request, reply, err))
        return true;
    if (err->code == DEN_E_BUSY || den_api_status(err->code) >= 500)
        return false;
    den_reply_reset(reply);
    den_api_problem(api, request, err, reply);
    return true;
}

/* Under `begin`. */
static bool go_on(struct den_api *api, const struct den_route *route,
                  const struct den_pending *mine, struct den_request *request,
                  struct den_reply *reply, struct den_err *err)
{
    struct den_answer_row row = {.status = 0};
    bool found = false, done = false;
    char sha256[DEN_SHA256_SIZE];
    hash_request(request, sha256);
    int64_t old_ms = den_wall_ms() - kept_ms;
    if (!api->store_kind->answer_get(api->store, mine->owner, mine->key, &row, &found,
                                     err))
        return false;
    if (found && row.created_ms < old_ms) {
        found = false;
        if (!api->store_kind->answer_drop(api->store, mine->owner, mine->key, old_ms,
                                          err))
            goto out;
    }
    if (found && strcmp(row.request_sha256, sha256) != 0) {
        den_err_field(
            err, DEN_E_INVALID, "Idempotency-Key",
            "this Idempotency-Key was used for another request; take a new one");
        goto out;
    }
    if (found) {
        done = replay(api, request, &row, reply, err);
        goto out;
    }
    struct den_actor actor = *den_actor();
    actor.key = mine->key;
    actor.key_sha256 = sha256;
    den_actor_set(&actor);
    done = run(api, route, request, reply, err);
    den_actor_set(NULL);
    if (done && may_keep(request))
        keep(api, mine, sha256, reply);
out:
    den_free(row.body);
    return done;
}

bool den_api_once(struct den_api *api, const struct den_route *route,
                  struct den_request *request, struct den_reply *reply,
                  struct den_err *err)
{
    struct den_pending mine = {.owner = den_request_owner(request),
                               .key = den_request_header(request, "Idempotency-Key")};
    if (!check_key(mine.key, err))
        return false;
    if (!begin(&api->once, &mine)) {
        den_err_set(err, DEN_E_CONFLICT,
                    "a request with this Idempotency-Key is under way; ask again");
        err->retry_s = 1;
        return false;
    }
    bool done = go_on(api, route, &mine, request, reply, err);
    end(&api->once, &mine);
    return done;
}
