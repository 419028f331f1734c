#include "experiment_report.h"

#include <jansson.h>
#include <string.h>
#include <unistd.h>

#include "follow.h"
#include "http_client.h"

bool den_experiment_print(struct den_cli *cli, const char *job, struct den_err *err)
{
    json_t *report = NULL;
    char path[256];
    if (!den_client_path(path, sizeof path, "/v1/jobs", job, "/report", err))
        return false;
    if (!cli->json) {
        (void)fflush(stdout);
        return den_client_download(cli, path, "text/markdown", STDOUT_FILENO, err);
    }
    if (!den_client_get(cli, path, &report, err))
        return false;
    den_print_json(report);
    json_decref(report);
    return true;
}

bool den_experiment_picture(struct den_cli *cli, const char *job, const char *file,
                            struct den_err *err)
{
    char path[256];
    if (!den_client_path(path, sizeof path, "/v1/jobs", job, "/report", err))
        return false;
    if (strcmp(file, "-") == 0) {
        (void)fflush(stdout);
        return den_client_download(cli, path, "image/svg+xml", STDOUT_FILENO, err);
    }
    return den_download_file(cli, path, "image/svg+xml", file, err);
}
