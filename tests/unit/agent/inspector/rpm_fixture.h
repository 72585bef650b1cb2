/* Headers as rpm makes them, for tests: entries are added one by one, then put together. */
#ifndef TESTS_UNIT_AGENT_INSPECTOR_RPM_FIXTURE_H
#define TESTS_UNIT_AGENT_INSPECTOR_RPM_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#define RPM_FIXTURE_BYTES 8192

struct rpm_fixture {
    uint8_t index[RPM_FIXTURE_BYTES], data[RPM_FIXTURE_BYTES];
    size_t entries, length;
    uint8_t header[2 * RPM_FIXTURE_BYTES]; /* after rpm_fixture_finish */
    size_t header_length;
};

enum rpm_fixture_tag {
    RPM_NAME = 1000,
    RPM_FILEDIGESTS = 1035,
    RPM_FILEFLAGS = 1037,
    RPM_DIRINDEXES = 1116,
    RPM_BASENAMES = 1117,
    RPM_DIRNAMES = 1118,
    RPM_FILEDIGESTALGO = 5011,
};

/* NULL-terminated texts; type as in the header (6 text, 8 texts). */
void rpm_fixture_texts(struct rpm_fixture *fixture, uint32_t tag, uint32_t type,
                       const char *const *texts);
void rpm_fixture_numbers(struct rpm_fixture *fixture, uint32_t tag, const uint32_t *numbers,
                         uint32_t count);
/* Any entry, also a broken one; the data is what the others brought. */
void rpm_fixture_entry(struct rpm_fixture *fixture, uint32_t tag, uint32_t type, uint32_t offset,
                       uint32_t count);
void rpm_fixture_finish(struct rpm_fixture *fixture);

#define TOOL_SHA256 "1111111111111111111111111111111111111111111111111111111111111111"
#define CONF_SHA256 "2222222222222222222222222222222222222222222222222222222222222222"
#define OLD_SHA256  "3333333333333333333333333333333333333333333333333333333333333333"

/* Package "tool": /usr/bin/tool, /etc/tool.conf (config), /bin/old, /var/log/tool.log (ghost),
 * /usr/bin/link (no digest). Not finished. */
void rpm_fixture_tool(struct rpm_fixture *fixture);

#endif
