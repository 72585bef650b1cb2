/* Owns what every message of an agent begins with: the protocol, the run of its messenger, the
 * host. */
#include "common/wire/wire_internal.h"

static void write_host(struct json_writer *json, const struct wire_host *host)
{
    json_write_key(json, "host");
    json_write_object_begin(json);
    json_write_field_string(json, "hostname", host->hostname);
    json_write_field_string(json, "machine_id", host->machine_id);
    json_write_field_string(json, "boot_id", host->boot_id);
    json_write_field_string(json, "os", host->os);
    json_write_field_string(json, "agent_version", host->agent_version);
    if (host->instance_id[0])
        json_write_field_string(json, "instance_id", host->instance_id);
    if (host->display_name[0])
        json_write_field_string(json, "display_name", host->display_name);
    json_write_object_end(json);
}

static void read_host(struct wire_reader *parent, struct wire_host *host)
{
    struct wire_reader reader = wire_enter(parent, "host", false);
    host->hostname = wire_read_text(&reader, "hostname", 1, 253, NULL);
    host->machine_id = wire_read_text(&reader, "machine_id", 1, 64, NULL);
    host->boot_id = wire_read_text(&reader, "boot_id", 1, 64, NULL);
    host->os = wire_read_text(&reader, "os", 0, 256, "");
    host->agent_version = wire_read_text(&reader, "agent_version", 1, 64, NULL);
    host->instance_id = wire_read_text(&reader, "instance_id", 1, 64, "");
    host->display_name = wire_read_text(&reader, "display_name", 1, 256, "");
    wire_leave(parent, &reader);
}

void wire_sender_write(struct json_writer *json, const char *session, const struct wire_host *host)
{
    json_write_field_unsigned(json, "protocol", WIRE_PROTOCOL);
    json_write_field_string(json, "session", session);
    write_host(json, host);
}

void wire_sender_read(struct wire_reader *reader, const char **ret_session, struct wire_host *host)
{
    if (wire_read_number(reader, "protocol", false) != WIRE_PROTOCOL)
        wire_fail(reader, "protocol must be %d: update the older side", WIRE_PROTOCOL);
    *ret_session = wire_read_text(reader, "session", 36, 36, NULL);
    if (!reader->error && !wire_is_uuid(*ret_session))
        wire_fail(reader, "session must be a UUID");
    read_host(reader, host);
}
