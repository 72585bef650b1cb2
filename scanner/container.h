/* Whether a file is likely to cost much: a container of other files, or simply large. */
#ifndef SCANNER_CONTAINER_H
#define SCANNER_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the beginning that container_likely wants to see (fewer for a shorter file). */
#define CONTAINER_PEEK_BYTES 512

bool container_likely(const uint8_t *head, size_t length, uint64_t file_size);

#endif
