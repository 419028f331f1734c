#ifndef DEN_CONTROL_H
#define DEN_CONTROL_H

/* The socket <state>/control: one line of words in, lines out.  Each of these begins with
 * what it is: ' ' a line for people, '=' the end and a number, '!' the end, a failure. */

#include "err.h"

#include <stddef.h>

#define DEN_CONTROL_LINE 4200 /* bytes, the end of the line among them */

/* 0600, in the place of one that an earlier daemon left; the state's lock is held. */
bool den_control_listen(const char *state, int *ret_fd, struct den_err *err) DEN_CHECKED;
/* DEN_E_NOT_FOUND when nobody listens. */
bool den_control_connect(const char *state, int *ret_fd, struct den_err *err) DEN_CHECKED;
/* Somebody who may ask: the user of this process, or root.  Who is silent for 5 seconds
 * is given up. */
bool den_control_accept(int listener, int *ret_fd) DEN_CHECKED;
/* One line without its end; false: there is none, or it is too long. */
bool den_control_read(int fd, char *to, size_t size) DEN_CHECKED;
/* false: the reader has gone, or takes nothing for 5 seconds; then the connection is shut
 * down, so that no later line waits, too, and the reader finds no end in what it got. */
bool den_control_line(int fd, const char *mark, const char *text);

#endif
