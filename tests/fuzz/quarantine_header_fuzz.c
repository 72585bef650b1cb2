/* A sealed file's header: whatever is decoded encodes to the same bytes again; as a whole sealed
 * file, anything but what we sealed is refused. */
#include "agent/respond/quarantine_facts.h"
#include "agent/respond/sealed_file.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static void check_facts(const uint8_t *data, size_t size)
{
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_BUFFER struct buffer again = BUFFER_WITH_MAXIMUM(LIMIT_QUARANTINE_HEADER);
    int r = quarantine_facts_decode(data, size, &facts);

    require(r == 0 || r == -EBADMSG || r == -ENOMEM);
    if (r < 0)
        return;
    require(facts.path[0] == '/' && quarantine_id_valid(facts.id));
    require(strlen(facts.signature) < LIMIT_SIGNATURE_NAME_BYTES);
    if (quarantine_facts_encode(&facts, &again) < 0)
        return; /* longer than a header may be */
    require(again.length == size && memcmp(again.data, data, size) == 0);
}

static void check_file(const uint8_t *data, size_t size)
{
    static const uint8_t key[AEAD_KEY_BYTES] = {1};
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_CLOSE int fd = memfd_create("sealed", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        return;
    require(sealed_file_read_facts(key, fd, &facts) < 0); /* nobody guesses the tag */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_facts(data, size);
    check_file(data, size);
    return 0;
}
