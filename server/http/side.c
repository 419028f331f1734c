/* Side threads: handlers that may block run here, with the connection suspended.  Two
 * lines, so that who computes for long keeps nobody waiting who only wants a word with
 * the disk; and many threads for the latter, which share what they wait for. */

#include "http_private.h"
#include "log.h"

static struct den_line *line_of(const struct den_request *r)
{
    const struct den_route *route = r->match.route;
    bool computes = route->slow == DEN_COMPUTES ||
                    (route->slow == DEN_AT_ONCE && den_serve_streamed(route));
    return &r->http->lines[computes ? DEN_LINE_COMPUTES : DEN_LINE_WAITS];
}

/* Queueing and suspending are one step under the lock, so that the resume comes after. */
bool den_side_put(struct den_request *r)
{
    struct den_http *http = r->http;
    struct den_line *line = line_of(r);
    pthread_mutex_lock(&http->lock);
    bool taken = !http->no_suspend;
    if (taken) {
        r->state = DEN_STATE_SIDE;
        r->next = NULL;
        if (line->tail != NULL)
            line->tail->next = r;
        else
            line->head = r;
        line->tail = r;
        MHD_suspend_connection(r->connection);
        pthread_cond_signal(&line->work);
    }
    pthread_mutex_unlock(&http->lock);
    return taken;
}

/* Under the lock. */
static struct den_request *take(struct den_line *line)
{
    struct den_request *r = line->head;
    if (r == NULL)
        return NULL;
    line->head = r->next;
    if (line->head == NULL)
        line->tail = NULL;
    return r;
}

static void *work(void *opaque)
{
    struct den_line *line = opaque;
    struct den_http *http = line->http;
    pthread_mutex_lock(&http->lock);
    for (;;) {
        struct den_request *r = take(line);
        if (r == NULL && http->side_ends)
            break;
        if (r == NULL) {
            pthread_cond_wait(&line->work, &http->lock);
            continue;
        }
        pthread_mutex_unlock(&http->lock);
        den_log_context("request", r->id);
        den_serve_run(r);
        den_log_context(NULL, NULL);
        pthread_mutex_lock(&http->lock);
        /* From here on the request belongs to its connection's thread again. */
        r->state = DEN_STATE_DONE;
        MHD_resume_connection(r->connection);
    }
    pthread_mutex_unlock(&http->lock);
    return NULL;
}

static const size_t sizes[DEN_LINES] = {
    [DEN_LINE_COMPUTES] = DEN_COMPUTING_THREADS, [DEN_LINE_WAITS] = DEN_WAITING_THREADS};

bool den_side_init(struct den_http *http)
{
    bool made = true;
    for (size_t i = 0; i < DEN_LINES; i++) {
        http->lines[i].http = http;
        made = pthread_cond_init(&http->lines[i].work, NULL) == 0 && made;
    }
    return made;
}

bool den_side_start(struct den_http *http, struct den_err *err)
{
    for (size_t i = 0; i < DEN_LINES; i++)
        for (struct den_line *line = &http->lines[i]; line->count < sizes[i];
             line->count++) {
            int sys = pthread_create(&line->threads[line->count], NULL, work, line);
            if (sys != 0)
                return den_err_sys(err, sys, "a thread cannot be started");
        }
    return true;
}

void den_side_stop(struct den_http *http)
{
    pthread_mutex_lock(&http->lock);
    http->side_ends = true;
    for (size_t i = 0; i < DEN_LINES; i++)
        pthread_cond_broadcast(&http->lines[i].work);
    pthread_mutex_unlock(&http->lock);
    for (size_t i = 0; i < DEN_LINES; i++)
        while (http->lines[i].count > 0)
            pthread_join(http->lines[i].threads[--http->lines[i].count], NULL);
}

void den_side_release(struct den_http *http)
{
    for (size_t i = 0; i < DEN_LINES; i++)
        pthread_cond_destroy(&http->lines[i].work);
}
