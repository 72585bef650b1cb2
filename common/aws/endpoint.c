/* Names of services. Owns the table of partitions. */
#include "common/aws/endpoint.h"

#include "common/text/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

struct partition {
    const char *prefix; /* of its regions; "" = all others */
    const char *suffix, *dual_stack_suffix;
    bool plain_fips; /* the usual name is the FIPS one */
};

/* Source: partitions.json of AWS's SDKs. The first that fits counts. */
static const struct partition partitions[] = {
    {"cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false},
    {"us-gov-", "amazonaws.com", "api.aws", true},
    {"us-iso-", "c2s.ic.gov", "api.aws.ic.gov", false},
    {"us-isob-", "sc2s.sgov.gov", "api.aws.scloud", false},
    {"eu-isoe-", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk", false},
    {"us-isof-", "csp.hci.ic.gov", "api.aws.hci.ic.gov", false},
    {"eusc-", "amazonaws.eu", "api.amazonwebservices.eu", false},
    {"", "amazonaws.com", "api.aws", false},
};

static const struct partition *partition_of(const char *region)
{
    const struct partition *partition = partitions;

    while (!text_starts_with(region, partition->prefix))
        partition++;
    return partition;
}

static int write_host(const struct aws_settings *settings, const char *service, const char *region,
                      char *host, size_t size)
{
    const struct partition *partition = partition_of(region);
    bool is_s3 = text_equal(service, "s3");
    const char *fips = settings->fips && (is_s3 || !partition->plain_fips) ? "-fips" : "";

    if (is_s3)
        return text_format(host, size, "s3%s%s.%s.%s", fips,
                           settings->dual_stack ? ".dualstack" : "", region, partition->suffix);
    if (settings->dual_stack)
        return text_format(host, size, "%s%s.%s.%s", service, settings->fips ? "-fips" : "", region,
                           partition->dual_stack_suffix);
    return text_format(host, size, "%s%s.%s.%s", service, fips, region, partition->suffix);
}

/* ---- endpoints that were set ---- */

static const char *set_endpoint(const struct aws_settings *settings, const char *service)
{
    for (size_t i = 0; i < AWS_ENDPOINT_SERVICES; i++)
        if (text_equal(service, aws_endpoint_services[i]) &&
            settings->service_endpoints[i][0] != '\0')
            return settings->service_endpoints[i];
    return settings->endpoint;
}

/* The port that the Host header leaves out. */
static void drop_usual_port(char *host, const char *port)
{
    size_t length = strlen(host), port_length = strlen(port);

    if (text_ends_with(host, port))
        host[length - port_length] = '\0';
}

static int read_endpoint(const char *url, struct aws_endpoint *endpoint)
{
    bool plain = text_starts_with(url, "http://");

    if (!plain && !text_starts_with(url, "https://"))
        return -EINVAL;
    const char *host = strstr(url, "//") + 2;
    size_t length = strcspn(host, "/");
    if (length == 0 || (host[length] == '/' && host[length + 1] != '\0'))
        return -EINVAL;
    for (size_t i = 0; i < length; i++)
        if (!isalnum((unsigned char)host[i]) && strchr("-._:[]", host[i]) == NULL)
            return -EINVAL;
    (void)text_format(endpoint->host, sizeof endpoint->host, "%.*s", (int)length, host);
    (void)text_format(endpoint->origin, sizeof endpoint->origin, "%.*s",
                      (int)(host - url + (ptrdiff_t)length), url);
    drop_usual_port(endpoint->host, plain ? ":80" : ":443");
    return 0;
}

/* ---- buckets ---- */

static bool bucket_is_valid(const char *bucket)
{
    size_t length = strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-");

    return bucket[length] == '\0' && length >= 3 && length <= 63 &&
           isalnum((unsigned char)bucket[0]);
}

/* In the host's name where certificates allow it (no dots), else in the path. */
static void place_bucket(struct aws_endpoint *endpoint, const char *bucket, bool own_endpoint)
{
    char host[AWS_TEXT_BYTES];

    if (own_endpoint || strchr(bucket, '.') != NULL) {
        (void)text_format(endpoint->prefix, sizeof endpoint->prefix, "/%s", bucket);
        return;
    }
    (void)text_copy(host, sizeof host, endpoint->host);
    (void)text_format(endpoint->host, sizeof endpoint->host, "%s.%s", bucket, host);
    (void)text_format(endpoint->origin, sizeof endpoint->origin, "https://%s", endpoint->host);
}

int aws_endpoint_find(const struct aws_settings *settings, const char *service, const char *region,
                      const char *bucket, struct aws_endpoint *ret_endpoint, char *problem,
                      size_t problem_size)
{
    const char *own = set_endpoint(settings, service);

    *ret_endpoint = (struct aws_endpoint){.prefix = ""};
    if (!aws_region_is_valid(region)) {
        (void)text_format(problem, problem_size, "\"%.64s\" is no name of an AWS region", region);
        return -EINVAL;
    }
    if (bucket != NULL && !bucket_is_valid(bucket)) {
        (void)text_format(problem, problem_size, "\"%.64s\" is no name of a bucket", bucket);
        return -EINVAL;
    }
    if (own[0] != '\0' && read_endpoint(own, ret_endpoint) < 0) {
        (void)text_format(problem, problem_size,
                          "the endpoint \"%.200s\" cannot be used: write https://HOST[:PORT]", own);
        return -EINVAL;
    }
    if (own[0] == '\0') {
        int r =
            write_host(settings, service, region, ret_endpoint->host, sizeof ret_endpoint->host);
        if (r < 0)
            return r;
        (void)text_format(ret_endpoint->origin, sizeof ret_endpoint->origin, "https://%s",
                          ret_endpoint->host);
    }
    if (bucket != NULL)
        place_bucket(ret_endpoint, bucket, own[0] != '\0');
    return 0;
}

int aws_endpoint_label(const struct aws_settings *settings, const char *service, const char *label,
                       struct aws_endpoint *endpoint)
{
    char host[AWS_TEXT_BYTES];

    if (!aws_region_is_valid(label))
        return -EINVAL;
    if (set_endpoint(settings, service)[0] != '\0')
        return 0;
    (void)text_copy(host, sizeof host, endpoint->host);
    int r = text_format(endpoint->host, sizeof endpoint->host, "%s.%s", label, host);
    if (r >= 0)
        r = text_format(endpoint->origin, sizeof endpoint->origin, "https://%s", endpoint->host);
    return r < 0 ? r : 0;
}
