/* Who asks, and whether they may. */

#include "handlers.h"

bool den_api_admit(void *app, struct den_request *request, const char *scope,
                   struct den_err *err)
{
    (void)app;
    (void)scope;
    (void)err;
    den_request_set_user(request, DEN_OWNER_LOCAL, "");
    return true;
}
