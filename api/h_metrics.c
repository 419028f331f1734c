/* /metrics in the text format of Prometheus, version 0.0.4.  Every label has a fixed set
 * of values: states, kinds, rows of the route table.  Nothing that a client sends becomes
 * one. */

#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "fs.h"
#include "handlers.h"
#include "histogram.h"
#include "jail.h"
#include "mem.h"
#include "str.h"

static void head(struct den_buf *out, const char *name, const char *type,
                 const char *help)
{
    den_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(struct den_buf *out, const char *name, const char *type,
                   const char *help, double value)
{
    head(out, name, type, help);
    den_buf_printf(out, "%s %.17g\n", name, value);
}

/* One series of a histogram; labels: `kind="train"`, with nothing to be escaped. */
static void histogram(struct den_buf *out, const char *name, const char *labels,
                      struct den_histogram *source,
                      const struct den_histogram_bounds *bounds)
{
    struct den_histogram_view view = den_histogram_look(source, bounds);
    for (size_t i = 0; i < bounds->count; i++)
        den_buf_printf(out, "%s_bucket{%s,le=\"%.15g\"} %llu\n", name, labels,
                       bounds->at[i], (unsigned long long)view.upto[i]);
    unsigned long long all = view.upto[bounds->count];
    den_buf_printf(out,
                   "%s_bucket{%s,le=\"+Inf\"} %llu\n%s_sum{%s} %.17g\n"
                   "%s_count{%s} %llu\n",
                   name, labels, all, name, labels, view.sum, name, labels, all);
}

/* ---- parts -------------------------------------------------------------------------
 */

static void route_seconds(struct den_buf *out, struct den_http *http)
{
    static const char name[] = "denoised_http_request_seconds";
    const struct den_route *routes = den_api_routes();
    char labels[160];
    size_t i = 0;
    head(out, name, "histogram",
         "Seconds from the first line of a request until its answer was ready, by row of "
         "the route table.");
    for (; routes[i].method != NULL; i++) {
        den_str_format(labels, sizeof labels, "method=\"%s\",route=\"%s\"",
                       routes[i].method, routes[i].pattern);
        histogram(out, name, labels, den_http_seconds(http, i), &den_request_bounds);
    }
    histogram(out, name, "method=\"any\",route=\"none\"", den_http_seconds(http, i),
              &den_request_bounds);
}

static void http_metrics(struct den_buf *out, struct den_http *http)
{
    struct den_http_stats stats = den_http_stats(http);
    head(out, "denoised_http_requests_total", "counter", "Requests by status class.");
    for (int i = 1; i < 6; i++)
        den_buf_printf(out, "denoised_http_requests_total{class=\"%dxx\"} %llu\n", i,
                       (unsigned long long)stats.requests[i]);
    route_seconds(out, http);
    single(out, "denoised_upload_bytes_total", "counter", "Bytes of uploads received.",
           (double)stats.upload_bytes);
    single(out, "denoised_http_connections", "gauge", "Open connections.",
           stats.connections);
    single(out, "denoised_event_streams", "gauge", "Open event streams.", stats.streams);
    single(out, "denoised_draining", "gauge", "1 while the server is going down.",
           den_http_draining(http) ? 1 : 0);
}

static void job_metrics(struct den_buf *out, struct den_service *service,
                        const struct den_service_stats *stats)
{
    head(out, "denoised_jobs", "gauge", "Jobs by state.");
    for (int i = 0; i < DEN_JOB_STATES; i++)
        den_buf_printf(out, "denoised_jobs{state=\"%s\"} %llu\n",
                       den_job_state_name((enum den_job_state)i),
                       (unsigned long long)stats->jobs[i]);
    head(out, "denoised_job_seconds", "histogram",
         "Seconds of work of the last attempt of jobs that have ended, by kind.");
    for (size_t i = 0; i < DEN_JOB_KINDS; i++) {
        char labels[48];
        den_str_format(labels, sizeof labels, "kind=\"%s\"", den_job_kinds[i]->name);
        histogram(out, "denoised_job_seconds", labels, den_service_seconds(service, i),
                  &den_job_bounds);
    }
    single(out, "denoised_images_added_total", "counter", "New images since the start.",
           (double)stats->images_added);
    single(out, "denoised_tiles_total", "counter", "Tiles denoised since the start.",
           (double)stats->tiles_done);
    single(out, "denoised_train_iterations_total", "counter",
           "Training iterations since the start.", (double)stats->iterations_done);
    single(out, "denoised_workers", "gauge", "Worker threads.", stats->workers);
    single(out, "denoised_workers_busy", "gauge", "Worker threads with a job.",
           stats->workers_busy);
}

static void vital_metrics(struct den_buf *out, const struct den_service_vitals *vitals)
{
    head(out, "denoised_queue_depth", "gauge", "Jobs that wait, by kind.");
    for (size_t i = 0; i < DEN_JOB_KINDS; i++)
        den_buf_printf(out, "denoised_queue_depth{kind=\"%s\"} %llu\n",
                       den_job_kinds[i]->name, (unsigned long long)vitals->queued[i]);
    single(out, "denoised_worker_silent_seconds", "gauge",
           "Seconds since the last sign of life of the worker that is silent longest.",
           vitals->silent);
    head(
        out, "denoised_checkpoint_age_seconds", "gauge",
        "Seconds since the newest checkpoint of a running training, NaN when none runs.");
    if (vitals->checkpoint_age < 0)
        den_buf_puts(out, "denoised_checkpoint_age_seconds NaN\n");
    else
        den_buf_printf(out, "denoised_checkpoint_age_seconds %.3f\n",
                       vitals->checkpoint_age);
    single(out, "denoised_disk_free_bytes", "gauge",
           "Bytes free on the disk of the state folder.", (double)vitals->disk_free);
    single(out, "denoised_disk_least_bytes", "gauge",
           "Bytes that uploads have to leave free.", (double)vitals->disk_least);
}

static void jail_metrics(struct den_buf *out)
{
    static const char *const reasons[DEN_JAIL_REASONS] = {
        [DEN_JAIL_CALL] = "call",         [DEN_JAIL_TIME] = "time",
        [DEN_JAIL_KILLED] = "killed",     [DEN_JAIL_CRASH] = "crash",
        [DEN_JAIL_NONSENSE] = "nonsense",
    };
    head(out, "denoised_jail_refusals_total", "counter",
         "Image files whose decoder was stopped, by reason.");
    for (int i = 0; i < DEN_JAIL_REASONS; i++)
        den_buf_printf(out, "denoised_jail_refusals_total{reason=\"%s\"} %llu\n",
                       reasons[i],
                       (unsigned long long)den_jail_refusals((enum den_jail_reason)i));
}

/* Resident memory of this process in bytes; 0 when the kernel does not say. */
static double resident_bytes(void)
{
    char *text = NULL;
    size_t length = 0;
    int64_t resident = 0;
    if (!den_fs_read("/proc/self/statm", 256, &text, &length, NULL))
        return 0;
    char *second = strchr(text, ' '); /* "total resident shared ..." in pages */
    if (second != NULL) {
        second++;
        second[strcspn(second, " ")] = '\0';
        if (!den_parse_int(second, 0, INT64_MAX, &resident, NULL))
            resident = 0;
    }
    den_free(text);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void process_metrics(struct den_buf *out)
{
    single(out, "denoised_memory_bytes", "gauge", "Heap bytes that the program counts.",
           (double)den_mem_live());
    single(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
           resident_bytes());
    head(out, "denoised_build_info", "gauge", "Version.");
    den_buf_printf(out, "denoised_build_info{version=\"%s\"} 1\n", DEN_VERSION);
}

DEN_HANDLER(den_h_metrics)
{
    struct den_api *api = app;
    (void)request;
    struct den_service_stats stats;
    struct den_service_vitals vitals;
    if (!den_service_stats(api->service, &stats, err) ||
        !den_service_vitals(api->service, &vitals, err))
        return false;
    struct den_buf out;
    den_buf_init(&out, (size_t)1 << 20);
    job_metrics(&out, api->service, &stats);
    vital_metrics(&out, &vitals);
    jail_metrics(&out);
    if (api->http != NULL)
        http_metrics(&out, api->http);
    process_metrics(&out);
    bool done = den_buf_ok(&out, err);
    if (done)
        den_reply_text(reply, "text/plain; version=0.0.4", out.data);
    den_buf_release(&out);
    return done;
}
