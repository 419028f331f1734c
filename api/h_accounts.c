/* Tokens, what a token is good for, and what was done with them. */

#include <string.h>

#include "clock.h"
#include "handlers.h"
#include "mem.h"
#include "quota.h"
#include "service_accounts.h"
#include "str.h"

static json_t *scopes_of(unsigned scopes)
{
    char text[DEN_SCOPES_SIZE];
    json_t *list = json_array();
    den_scopes_write(scopes, text);
    char *rest = text, *word;
    while ((word = strsep(&rest, ",")) != NULL)
        if (*word != '\0')
            (void)json_array_append_new(list, json_string(word));
    return list;
}

static json_t *json_of(const struct den_token_row *row)
{
    return json_pack("{ss ss ss so so so so so}", "id", row->id, "name", row->name,
                     "owner", row->owner, "scopes", scopes_of(row->scopes), "created_at",
                     den_json_time(row->created_ms), "expires_at",
                     den_json_time(row->expires_ms), "revoked_at",
                     den_json_time(row->revoked_ms), "last_used_at",
                     den_json_time(row->used_ms));
}

/* null: no limit */
static json_t *limit_of(int64_t limit)
{
    return limit > 0 ? json_integer((json_int_t)limit) : json_null();
}

static json_t *quotas_of(const struct den_quotas *quotas)
{
    return json_pack("{so so so so}", "queued_jobs", limit_of(quotas->queued_jobs),
                     "running_jobs", limit_of(quotas->running_jobs), "stored_bytes",
                     limit_of(quotas->stored_bytes), "compute_seconds_per_day",
                     limit_of(quotas->compute_s));
}

static json_t *usage_of(const struct den_quota_usage *usage)
{
    return json_pack("{sI sI sI sf}", "queued_jobs", (json_int_t)usage->queued_jobs,
                     "running_jobs", (json_int_t)usage->running_jobs, "stored_bytes",
                     (json_int_t)usage->stored_bytes, "compute_seconds_per_day",
                     usage->compute_s);
}

DEN_HANDLER(den_h_me)
{
    struct den_api *api = app;
    struct den_quotas quotas = den_service_quotas(api->service);
    struct den_quota_usage usage;
    if (!den_quota_usage(api->service, den_request_owner(request), &usage, err))
        return false;
    bool required = den_service_auth_required(api->service);
    json_t *out = json_pack("{ss ss so so so so}", "auth", required ? "required" : "off",
                            "owner", den_request_owner(request), "token",
                            den_json_text(den_request_token(request)), "scopes",
                            scopes_of(den_api_scopes(api, request)), "quotas",
                            quotas_of(&quotas), "usage", usage_of(&usage));
    return den_reply_json(reply, 200, out, err);
}

DEN_HANDLER(den_h_token_list)
{
    struct den_api *api = app;
    size_t limit, count = 0;
    const char *after;
    if (!den_api_page(request, NULL, &limit, &after, err))
        return false;
    if (after[0] != '\0' && !den_token_id_valid(after))
        return den_err_field(err, DEN_E_MALFORMED, "cursor",
                             "query key 'cursor' is not a next_cursor of this list");
    struct den_token_row *rows = den_new(limit, sizeof *rows, err);
    json_t *items = json_array();
    bool done = rows != NULL &&
                api->store_kind->token_list(api->store, after, limit, rows, &count, err);
    for (size_t i = 0; done && i < count; i++)
        (void)json_array_append_new(items, json_of(&rows[i]));
    if (done)
        done = den_reply_list(reply, "tokens", items,
                              count == limit ? rows[count - 1].id : "", err);
    else
        json_decref(items);
    den_free(rows);
    return done;
}

/* ["read", "submit"] */
static bool read_scopes(const json_t *body, unsigned *ret, struct den_err *err)
{
    enum { MOST = 4 };
    json_t *list = NULL, *item;
    size_t i;
    unsigned scopes = 0;
    if (!den_in_array(body, "", "scopes", true, MOST, &list, err))
        return false;
    json_array_foreach(list, i, item)
    {
        const char *name = json_string_value(item);
        unsigned bit = name != NULL ? den_scope_find(name) : 0;
        if (bit == 0) {
            char at[32];
            (void)den_str_format(at, sizeof at, "/scopes/%zu", i);
            return den_err_field(err, DEN_E_INVALID, at,
                                 "a scope is one of read, submit, train and admin");
        }
        scopes |= bit;
    }
    *ret = scopes;
    return true;
}

DEN_HANDLER(den_h_token_add)
{
    struct den_api *api = app;
    json_t *body = NULL;
    const char *name = NULL, *owner = NULL;
    unsigned scopes = 0;
    int64_t days = 0;
    bool has_days, done = false;
    char text[DEN_TOKEN_TEXT_SIZE] = "", location[64];
    struct den_token_row row;
    if (!den_in_body(request, &body, err) ||
        !den_in_only(body, "", "name owner scopes expires_days", err) ||
        !den_in_string(body, "", "name", true, DEN_TOKEN_NAME_SIZE - 1, &name, err) ||
        !den_in_string(body, "", "owner", true, DEN_OWNER_SIZE - 1, &owner, err) ||
        !read_scopes(body, &scopes, err) ||
        !den_in_integer(body, "", "expires_days", 1, DEN_TOKEN_DAYS_MAX, &has_days, &days,
                        err) ||
        !den_service_token_add(api->service, name, owner, scopes, days, text, &row, err))
        goto out;
    json_t *out = json_of(&row);
    (void)json_object_set_new(out, "token", json_string(text));
    (void)den_str_format(location, sizeof location, "/v1/tokens/%s", row.id);
    den_reply_header(reply, "Location", location);
    done = den_reply_json(reply, 201, out, err);
out:
    explicit_bzero(text, sizeof text);
    json_decref(body);
    return done;
}

DEN_HANDLER(den_h_token_delete)
{
    struct den_api *api = app;
    struct den_token_row row;
    const char *id = den_request_param(request, "id");
    if (id == NULL || !den_token_id_valid(id))
        return den_err_set(err, DEN_E_NOT_FOUND,
                           "this is not the id of a token (tok_ and 16 digits)");
    if (!den_service_token_revoke(api->service, id, &row, err))
        return false;
    den_reply_status(reply, 204);
    return true;
}

/* ---- audit ---- */

static json_t *json_of_change(const struct den_audit_row *row)
{
    return json_pack("{sI so ss so ss ss ss so ss ss}", "seq", (json_int_t)row->seq,
                     "time", den_json_time(row->time_ms), "owner", row->owner, "token",
                     den_json_text(row->token), "action", row->action, "object",
                     row->object, "result", row->result, "request_id",
                     den_json_text(row->request), "prev", row->prev, "hash", row->hash);
}

DEN_HANDLER(den_h_audit_list)
{
    struct den_api *api = app;
    size_t limit, count = 0;
    const char *after;
    int64_t from = 0;
    char cursor[24] = "";
    if (!den_api_page(request, NULL, &limit, &after, err))
        return false;
    if (after[0] != '\0' && !den_parse_int(after, 1, INT64_MAX, &from, NULL))
        return den_err_field(err, DEN_E_MALFORMED, "cursor",
                             "query key 'cursor' is not a next_cursor of this list");
    struct den_audit_row *rows = den_new(limit, sizeof *rows, err);
    json_t *items = json_array();
    bool done = rows != NULL && api->store_kind->audit_list(api->store, false, from,
                                                            limit, rows, &count, err);
    for (size_t i = 0; done && i < count; i++)
        (void)json_array_append_new(items, json_of_change(&rows[i]));
    if (count == limit && count > 0 && rows[count - 1].seq > 1)
        (void)den_str_format(cursor, sizeof cursor, "%lld",
                             (long long)rows[count - 1].seq);
    if (done)
        done = den_reply_list(reply, "audit", items, cursor, err);
    else
        json_decref(items);
    den_free(rows);
    return done;
}

/* Nobody has its text any more. */
DEN_AGAIN(den_again_token)
{
    (void)api;
    (void)request;
    (void)reply;
    return den_err_set(
        err, DEN_E_CONFLICT,
        "a request with this Idempotency-Key made the token %s, whose text "
        "was told only then; revoke it and make another",
        object);
}
