#ifndef DEN_SERVICE_AUDIT_H
#define DEN_SERVICE_AUDIT_H

#include "upkeep.h"

/* Follows the chain of the audit table from its first row to its last.  A line says that
 * it holds, and its newest hash, or which row is the first that is not as it was written;
 * that is *ret_wrong of 1. */
bool den_service_audit_verify(struct den_service *service, den_say *say, void *context,
                              size_t *ret_wrong, struct den_err *err) DEN_CHECKED;
/* The words "audit verify", "audit show SINCE" and "audit show SINCE json", SINCE in
 * milliseconds since 1970. */
bool den_service_audit_do(struct den_service *service, const char *words, den_say *say,
                          void *context, size_t *ret_wrong,
                          struct den_err *err) DEN_CHECKED;

#endif
