#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "fs.h"
#include "handlers.h"
#include "mem.h"
#include "str.h"
#include "upkeep.h"

static const char contract[] = {
#include "openapi.inc"
    0};
static const char page[] = {
#include "index.inc"
    0};

DEN_HANDLER(den_h_health)
{
    (void)app;
    (void)request;
    return den_reply_json(reply, 200, json_pack("{ss}", "status", "ok"), err);
}

DEN_HANDLER(den_h_ready)
{
    struct den_api *api = app;
    (void)request;
    if (api->http != NULL && den_http_draining(api->http))
        return den_err_set(
            err, DEN_E_DRAINING,
            "the server is going down; running jobs will go on at its next "
            "start");
    return api->store_kind->ping(api->store, err) &&
           den_service_room(api->service, err) &&
           den_reply_json(reply, 200, json_pack("{ss}", "status", "ready"), err);
}

static void gauge(struct den_buf *out, const char *name, const char *type,
                  const char *help, double value)
{
    den_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.17g\n", name, help, name, type,
                   name, value);
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

static void http_metrics(struct den_buf *out, struct den_http *http)
{
    struct den_http_stats stats = den_http_stats(http);
    den_buf_puts(out, "# HELP denoised_http_requests_total Requests by status class.\n"
                      "# TYPE denoised_http_requests_total counter\n");
    for (int i = 1; i < 6; i++)
        den_buf_printf(out, "denoised_http_requests_total{class=\"%dxx\"} %llu\n", i,
                       (unsigned long long)stats.requests[i]);
    gauge(out, "denoised_upload_bytes_total", "counter", "Bytes of uploads received.",
          (double)stats.upload_bytes);
    gauge(out, "denoised_http_connections", "gauge", "Open connections.",
          stats.connections);
    gauge(out, "denoised_event_streams", "gauge", "Open event streams.", stats.streams);
}

DEN_HANDLER(den_h_metrics)
{
    struct den_api *api = app;
    (void)request;
    struct den_service_stats stats;
    if (!den_service_stats(api->service, &stats, err))
        return false;
    struct den_buf out;
    den_buf_init(&out, (size_t)1 << 20);
    den_buf_puts(&out,
                 "# HELP denoised_jobs Jobs by state.\n# TYPE denoised_jobs gauge\n");
    for (int i = 0; i < DEN_JOB_STATES; i++)
        den_buf_printf(&out, "denoised_jobs{state=\"%s\"} %llu\n",
                       den_job_state_name((enum den_job_state)i),
                       (unsigned long long)stats.jobs[i]);
    gauge(&out, "denoised_images_added_total", "counter", "New images since the start.",
          (double)stats.images_added);
    gauge(&out, "denoised_tiles_total", "counter", "Tiles denoised since the start.",
          (double)stats.tiles_done);
    gauge(&out, "denoised_train_iterations_total", "counter",
          "Training iterations since the start.", (double)stats.iterations_done);
    gauge(&out, "denoised_workers", "gauge", "Worker threads.", stats.workers);
    gauge(&out, "denoised_workers_busy", "gauge", "Worker threads with a job.",
          stats.workers_busy);
    if (api->http != NULL)
        http_metrics(&out, api->http);
    gauge(&out, "denoised_memory_bytes", "gauge", "Heap bytes that the program counts.",
          (double)den_mem_live());
    gauge(&out, "process_resident_memory_bytes", "gauge", "Resident memory.",
          resident_bytes());
    den_buf_printf(
        &out,
        "# HELP denoised_build_info Version.\n# TYPE denoised_build_info gauge\n"
        "denoised_build_info{version=\"%s\"} 1\n",
        DEN_VERSION);
    bool done = den_buf_ok(&out, err);
    if (done)
        den_reply_text(reply, "text/plain; version=0.0.4", out.data);
    den_buf_release(&out);
    return done;
}

DEN_HANDLER(den_h_contract)
{
    (void)app;
    (void)request;
    (void)err;
    den_reply_text(reply, "application/yaml", contract);
    return true;
}

DEN_HANDLER(den_h_page)
{
    (void)app;
    (void)request;
    (void)err;
    den_reply_text(reply, "text/html; charset=utf-8", page);
    return true;
}
