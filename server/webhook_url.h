#ifndef DEN_WEBHOOK_URL_H
#define DEN_WEBHOOK_URL_H

/* Where a webhook may go: to named hosts by HTTPS, and at their addresses only to public
 * ones and to networks that are named.  A server that fetches what a client says must not
 * become the client's way into the network [OWASP API Security 2023, API7]. */

#include <netinet/in.h>
#include <sys/socket.h>

#include "err.h"

#define DEN_WEBHOOK_SIZE 512 /* a URL with its NUL */
#define DEN_NETWORKS 32

struct den_networks {
    struct {
        struct in6_addr address; /* IPv4 as ::ffff:a.b.c.d */
        unsigned bits;           /* of the prefix, 0 to 128 */
    } rows[DEN_NETWORKS];
    size_t count;
};
/* "10.0.0.0/8 fd00::/8" */
bool den_networks_read(const char *text, struct den_networks *ret,
                       struct den_err *err) DEN_CHECKED;
/* hosts: "name name:port", by spaces; without a port 443 is meant.  "" allows nothing. */
bool den_webhook_check(const char *url, const char *hosts,
                       struct den_err *err) DEN_CHECKED;
/* Is the address public, or in one of the networks? */
bool den_webhook_address(const struct sockaddr *address,
                         const struct den_networks *networks);

#endif
