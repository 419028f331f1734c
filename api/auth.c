/* Who asks, and whether they may. */

#include "handlers.h"

#include <string.h>
#include <strings.h>

#include "service_accounts.h"

/* The token behind "Authorization: Bearer", NULL when there is none.  Another scheme is
 * a wrong token. */
static const char *bearer(const struct den_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *value = den_request_header(request, "Authorization");
    if (value == NULL)
        return NULL;
    if (strncasecmp(value, scheme, sizeof scheme - 1) != 0)
        return "";
    value += sizeof scheme - 1;
    return value + strspn(value, " ");
}

bool den_api_admit(void *app, struct den_request *request, const char *scope,
                   struct den_err *err)
{
    struct den_api *api = app;
    struct den_caller caller;
    if (scope == NULL) { /* open to all, and nobody's */
        den_request_set_user(request, "", "");
        return true;
    }
    if (!den_service_admit(api->service, bearer(request), den_request_client(request),
                           den_scope_find(scope), &caller, err))
        return false;
    den_request_set_user(request, caller.owner, caller.token);
    return true;
}

unsigned den_api_scopes(struct den_api *api, const struct den_request *request)
{
    struct den_token_row row;
    if (!den_service_auth_required(api->service))
        return DEN_SCOPE_ALL;
    return den_service_token_get(api->service, den_request_token(request), &row)
               ? row.scopes
               : 0;
}

bool den_api_need_scope(struct den_api *api, const struct den_request *request,
                        const char *scope, const char *what, struct den_err *err)
{
    return (den_api_scopes(api, request) & den_scope_find(scope)) != 0 ||
           den_err_set(err, DEN_E_FORBIDDEN, "%s needs the scope %s", what, scope);
}
