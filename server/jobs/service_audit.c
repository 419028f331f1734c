#include "service_audit.h"

#include <string.h>

#include "clock.h"
#include "mem.h"
#include "service_private.h"
#include "str.h"

enum { PAGE = 200 };

/* Calls visit with the rows in their order until it returns false. */
static bool each_row(struct den_service *service,
                     bool (*visit)(void *context, const struct den_audit_row *row),
                     void *context, struct den_err *err)
{
    struct den_audit_row *rows = den_new(PAGE, sizeof *rows, err);
    size_t count = PAGE;
    int64_t from = 0;
    bool done = rows != NULL, more = true;
    while (done && more && count == PAGE) {
        done = service->kind->audit_list(service->store, true, from, PAGE, rows, &count,
                                         err);
        for (size_t i = 0; done && more && i < count; i++)
            more = visit(context, &rows[i]);
        if (done && count > 0)
            from = rows[count - 1].seq;
    }
    den_free(rows);
    return done;
}

static bool follow(void *context, const struct den_audit_row *row)
{
    return den_audit_follows(context, row);
}

bool den_service_audit_verify(struct den_service *service, den_say *say, void *context,
                              size_t *ret_wrong, struct den_err *err)
{
    struct den_audit_walk walk = {.seq = 0};
    int64_t before = 0, after = 0;
    char line[300];
    /* Rows may be added meanwhile, so the end lies between the two. */
    if (!service->kind->audit_end(service->store, &before, err) ||
        !each_row(service, follow, &walk, err) ||
        !service->kind->audit_end(service->store, &after, err))
        return false;
    bool holds = walk.seq >= before && walk.seq <= after;
    if (holds)
        den_str_format(
            line, sizeof line,
            "audit: %lld rows, each follows from the one before; the newest has "
            "the hash %s",
            (long long)walk.seq, walk.seq > 0 ? walk.hash : "-");
    else
        den_str_format(
            line, sizeof line,
            "audit: row %lld is not as it was written, or is missing; the %lld "
            "before it are good",
            (long long)walk.seq + 1, (long long)walk.seq);
    (void)say(context, line);
    *ret_wrong = holds ? 0 : 1;
    return true;
}

/* ---- show ---- */

struct shown {
    int64_t since_ms;
    bool json;
    den_say *say;
    void *context;
};

/* No field has a character that JSON would escape: see the checks of each. */
static bool show(void *opaque, const struct den_audit_row *row)
{
    const struct shown *shown = opaque;
    char line[900], time[DEN_TIME_SIZE];
    if (row->time_ms < shown->since_ms)
        return true;
    den_time_format(row->time_ms, time);
    den_str_format(line, sizeof line,
                   shown->json
                       ? "{\"seq\":%lld,\"time\":\"%s\",\"owner\":\"%s\",\"token\":"
                         "\"%s\",\"action\":\"%s\",\"object\":\"%s\",\"result\":"
                         "\"%s\",\"request_id\":\"%s\",\"prev\":\"%s\",\"hash\":"
                         "\"%s\"}"
                       : "%6lld  %s  %-16s  %-20s  %-16s  %-30s  %-10s  %s",
                   (long long)row->seq, time, row->owner, row->token, row->action,
                   row->object, row->result, row->request, row->prev, row->hash);
    return shown->say(shown->context, line);
}

bool den_service_audit_do(struct den_service *service, const char *words, den_say *say,
                          void *context, size_t *ret_wrong, struct den_err *err)
{
    static const char lead[] = "audit show ";
    char number[24] = "";
    struct shown shown = {.say = say, .context = context};
    if (strcmp(words, "audit verify") == 0)
        return den_service_audit_verify(service, say, context, ret_wrong, err);
    if (!den_str_starts(words, lead))
        return den_err_set(err, DEN_E_INVALID,
                           "the audit table can be verified and shown, not '%.40s'",
                           words);
    words += sizeof lead - 1;
    size_t length = strcspn(words, " ");
    if (length < sizeof number)
        memcpy(number, words, length);
    shown.json = strcmp(words + length, " json") == 0;
    if (words[length] != '\0' && !shown.json)
        return den_err_set(err, DEN_E_INVALID, "the audit table can be shown as json");
    return den_parse_int(number, 0, INT64_MAX, &shown.since_ms, err) &&
           each_row(service, show, &shown, err);
}
