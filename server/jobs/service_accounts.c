#include "service_accounts.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "service_private.h"
#include "str.h"

bool den_service_auth_required(const struct den_service *service)
{
    return service->config.auth_required;
}

bool den_service_admit(struct den_service *service, const char *text, const char *address,
                       unsigned needs, struct den_caller *ret, struct den_err *err)
{
    if (!service->config.auth_required) {
        *ret = (struct den_caller){.owner = DEN_OWNER_LOCAL, .scopes = DEN_SCOPE_ALL};
        return true;
    }
    const struct den_clocks now = {.wall_ms = den_wall_ms(),
                                   .steady_ms = (int64_t)(1e3 * den_monotonic_s())};
    return den_tokens_check(service->tokens, text, address, needs, now, ret, err);
}

bool den_service_token_get(struct den_service *service, const char *id,
                           struct den_token_row *ret)
{
    return den_tokens_get(service->tokens, id, den_wall_ms(), ret);
}

/* ---- changes ---- */

enum { PAGE = 500 };

bool den_service_tokens_load(struct den_service *service, struct den_err *err)
{
    struct den_token_row *rows = NULL;
    size_t count = 0, got = PAGE;
    bool done = true;
    /* Two changes at a time could else load what they read in the wrong order. */
    pthread_mutex_lock(&service->tokens_lock);
    while (done && got == PAGE) {
        struct den_token_row *more = den_realloc(rows, count + PAGE, sizeof *rows);
        if (more == NULL) {
            done = den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
            break;
        }
        rows = more;
        done =
            service->kind->token_list(service->store, count > 0 ? rows[count - 1].id : "",
                                      PAGE, rows + count, &got, err);
        count += done ? got : 0;
    }
    done = done && den_tokens_load(service->tokens, rows, count, err);
    pthread_mutex_unlock(&service->tokens_lock);
    den_free(rows);
    return done;
}

bool den_service_token_add(struct den_service *service, const char *name,
                           const char *owner, unsigned scopes, int64_t days, char *text,
                           struct den_token_row *ret, struct den_err *err)
{
    const int64_t day_ms = INT64_C(24) * 3600 * 1000;
    struct den_token_row row = {.scopes = scopes, .created_ms = den_wall_ms()};
    if (!den_token_name_check(name, "/name", err) ||
        !den_owner_check(owner, "/owner", err))
        return false;
    den_str_copy(row.name, sizeof row.name, name);
    den_str_copy(row.owner, sizeof row.owner, owner);
    row.expires_ms = days > 0 ? row.created_ms + days * day_ms : 0;
    char fresh[DEN_TOKEN_TEXT_SIZE];
    den_token_new(fresh, &row);
    bool done = service->kind->token_add(service->store, &row, err) &&
                den_service_tokens_load(service, err);
    if (done) {
        den_log(DEN_INFO, "token_created", " token=%s owner=%s", row.id, row.owner);
        memcpy(text, fresh, sizeof fresh);
        *ret = row;
    }
    explicit_bzero(fresh, sizeof fresh);
    return done;
}

bool den_service_token_revoke(struct den_service *service, const char *which,
                              struct den_token_row *ret, struct den_err *err)
{
    struct den_token_row row;
    if (!service->kind->token_revoke(service->store, which, den_wall_ms(), &row, err))
        return false;
    /* From here on it is revoked for good, so nothing that can fail comes between.  Who
     * loads read the table before, and is done, or reads it afterwards. */
    pthread_mutex_lock(&service->tokens_lock);
    den_tokens_drop(service->tokens, row.id);
    pthread_mutex_unlock(&service->tokens_lock);
    den_log(DEN_INFO, "token_revoked", " token=%s owner=%s", row.id, row.owner);
    *ret = row;
    return true;
}

bool den_service_tokens_note(struct den_service *service, struct den_err *err)
{
    enum { MOST = 64 };
    struct den_token_row rows[MOST];
    size_t count = den_tokens_used(service->tokens, rows, MOST);
    return count == 0 || service->kind->token_used(service->store, rows, count, err);
}

bool den_service_first_token(struct den_service *service, char *text, struct den_err *err)
{
    struct den_token_row row;
    size_t count = 0;
    text[0] = '\0';
    return service->kind->token_list(service->store, "", 1, &row, &count, err) &&
           (count > 0 || den_service_token_add(service, "first-admin", "admin",
                                               DEN_SCOPE_ALL, 0, text, &row, err));
}

bool den_service_private(const struct den_service *service, struct den_err *err)
{
    static const char *const names[] = {"", "/denoised.db"};
    static const char *const words[] = {"state folder", "database file"};
    for (size_t i = 0; i < 2; i++) {
        char path[PATH_MAX];
        struct stat info;
        den_str_format(path, sizeof path, "%s%s", service->state, names[i]);
        if (stat(path, &info) != 0) {
            if (errno != ENOENT || i == 0) /* another store has another file */
                return den_err_sys(err, errno, "the %s cannot be looked at", words[i]);
        } else if ((info.st_mode & 077) != 0)
            return den_err_set(err, DEN_E_FORBIDDEN,
                               "the %s can be read by others (mode %03o), and it holds "
                               "what tokens protect; chmod go= it",
                               words[i], (unsigned)info.st_mode & 0777);
    }
    return true;
}

/* ---- words ---- */

static const char *state_of(const struct den_token_row *row)
{
    if (row->revoked_ms != 0)
        return "revoked";
    return row->expires_ms != 0 && row->expires_ms <= den_wall_ms() ? "expired" : "holds";
}

static void day_of(int64_t wall_ms, char *to, size_t size)
{
    char text[DEN_TIME_SIZE];
    den_time_format(wall_ms, text);
    den_str_format(to, size, "%.10s", wall_ms != 0 ? text : "never");
}

static bool say_columns(const struct den_token_row *row, den_say *say, void *context)
{
    char line[400], scopes[DEN_SCOPES_SIZE], days[3][12];
    den_scopes_write(row->scopes, scopes);
    day_of(row->created_ms, days[0], sizeof days[0]);
    day_of(row->expires_ms, days[1], sizeof days[1]);
    day_of(row->used_ms, days[2], sizeof days[2]);
    den_str_format(
        line, sizeof line, "%-20s  %-20s  %-16s  %-24s  %-10s  %-10s  %-10s  %s", row->id,
        row->name, row->owner, scopes, days[0], days[1], days[2], state_of(row));
    return say(context, line);
}

static void add_time(const char *key, int64_t wall_ms, char *to, size_t size)
{
    char text[DEN_TIME_SIZE];
    size_t used = strlen(to);
    den_time_format(wall_ms, text);
    if (wall_ms == 0)
        den_str_format(to + used, size - used, ",\"%s\":null", key);
    else
        den_str_format(to + used, size - used, ",\"%s\":\"%s\"", key, text);
}

/* An object a line; no name has a character that JSON would escape. */
static bool say_json(const struct den_token_row *row, den_say *say, void *context)
{
    char line[700], scopes[DEN_SCOPES_SIZE];
    den_scopes_write(row->scopes, scopes);
    den_str_format(line, sizeof line,
                   "{\"id\":\"%s\",\"name\":\"%s\",\"owner\":\"%s\",\"scopes\":[",
                   row->id, row->name, row->owner);
    char *rest = scopes, *word;
    for (bool first = true; (word = strsep(&rest, ",")) != NULL; first = false) {
        size_t used = strlen(line);
        den_str_format(line + used, sizeof line - used, "%s\"%s\"", first ? "" : ",",
                       word);
    }
    size_t used = strlen(line);
    den_str_format(line + used, sizeof line - used, "]");
    add_time("created_at", row->created_ms, line, sizeof line);
    add_time("expires_at", row->expires_ms, line, sizeof line);
    add_time("revoked_at", row->revoked_ms, line, sizeof line);
    add_time("last_used_at", row->used_ms, line, sizeof line);
    used = strlen(line);
    den_str_format(line + used, sizeof line - used, "}");
    return say(context, line);
}

static bool list(struct den_service *service, bool json, den_say *say, void *context,
                 struct den_err *err)
{
    struct den_token_row *rows = den_new(PAGE, sizeof *rows, err);
    char line[400], after[DEN_TOKEN_ID_SIZE] = "";
    size_t count = PAGE;
    bool done = rows != NULL, heard = true;
    if (done && !json) {
        den_str_format(
            line, sizeof line, "%-20s  %-20s  %-16s  %-24s  %-10s  %-10s  %-10s  %s",
            "ID", "NAME", "OWNER", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATE");
        heard = say(context, line);
    }
    while (done && heard && count == PAGE) {
        done = service->kind->token_list(service->store, after, PAGE, rows, &count, err);
        for (size_t i = 0; done && heard && i < count; i++)
            heard = (json ? say_json : say_columns)(&rows[i], say, context);
        if (done && count == PAGE)
            memcpy(after, rows[count - 1].id, sizeof after);
    }
    den_free(rows);
    return done;
}

static bool create(struct den_service *service, char *words, den_say *say, void *context,
                   struct den_err *err)
{
    char *word[4] = {NULL}, text[DEN_TOKEN_TEXT_SIZE];
    struct den_token_row row;
    unsigned scopes = 0;
    int64_t days = 0;
    for (size_t i = 0; i < 4; i++)
        if ((word[i] = strsep(&words, " ")) == NULL)
            return den_err_set(err, DEN_E_INVALID,
                               "a token needs a name, an owner, scopes and days");
    if (!den_scopes_read(word[2], "/scopes", &scopes, err) ||
        !den_parse_int(word[3], 0, DEN_TOKEN_DAYS_MAX, &days, err) ||
        !den_service_token_add(service, word[0], word[1], scopes, days, text, &row, err))
        return false;
    (void)say(context, text);
    explicit_bzero(text, sizeof text);
    return true;
}

bool den_service_accounts_do(struct den_service *service, const char *words, den_say *say,
                             void *context, struct den_err *err)
{
    static const char create_word[] = "token create ", revoke_word[] = "token revoke ";
    char copy[400], line[200];
    struct den_token_row row;
    if (strcmp(words, "token list") == 0 || strcmp(words, "token list json") == 0)
        return list(service, den_str_ends(words, "json"), say, context, err);
    if (den_str_starts(words, revoke_word)) {
        if (!den_service_token_revoke(service, words + sizeof revoke_word - 1, &row, err))
            return false;
        den_str_format(line, sizeof line, "revoked %s (%s of %s)", row.id, row.name,
                       row.owner);
        (void)say(context, line);
        return true;
    }
    if (!den_str_starts(words, create_word) ||
        !den_str_copy(copy, sizeof copy, words + sizeof create_word - 1))
        return den_err_set(err, DEN_E_INVALID,
                           "tokens can be created, listed and revoked, not '%.40s'",
                           words);
    return create(service, copy, say, context, err);
}
