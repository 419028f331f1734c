#ifndef DEN_NOTIFY_H
#define DEN_NOTIFY_H

/* What systemd wants to know of a service of Type=notify, by the protocol of
 * sd_notify(3): datagrams to the socket that NOTIFY_SOCKET names, a path or, with '@' in
 * front, an abstract name.  Without that variable nothing is sent. */

#include "err.h"

/* Lines of NAME=VALUE, as "READY=1".  A socket that cannot be reached is no error: it is
 * a matter of whoever started us. */
void den_notify(const char *lines);

/* A thread that sends WATCHDOG=1 twice per WATCHDOG_USEC, as long as alive answers true;
 * it may also not answer at all.  When it does not, or says no, systemd ends the service
 * and starts it anew.  *ret NULL: no watchdog is wanted of this process. */
struct den_watchdog;
bool den_watchdog_start(bool (*alive)(void *context, struct den_err *err), void *context,
                        struct den_watchdog **ret, struct den_err *err) DEN_CHECKED;
void den_watchdog_stop(struct den_watchdog *watchdog); /* NULL is fine */

#endif
