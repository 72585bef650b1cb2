/* The topics of the stream; user of the sources is a struct api_stream_sources. */
#ifndef CONSOLE_API_API_STREAM_SOURCES_H
#define CONSOLE_API_API_STREAM_SOURCES_H

#include "console/api/api_internal.h"
#include "console/stream/stream_hub.h"

struct api_stream_sources {
    const struct api_service *service;
    struct buffer computers, sensors; /* as they were at the last look */
};

extern const struct stream_source API_STREAM_SOURCES[];
extern const size_t API_STREAM_SOURCE_COUNT;
void api_stream_sources_done(struct api_stream_sources *sources);

#endif
