/* policies/log_rules: each rule by lines as programs write them, with the fields that matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/log_rules/log_engine.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define NOW (1767323045ULL * NS_PER_SECOND)
#define AT  "2026-01-02T03:04:05+00:00 host "

static struct log_rules *rules;

struct seen {
    uint32_t ids[4];
    size_t count;
    char fields[512];
};

static const struct {
    const char *line, *file;
    uint32_t id;
    const char *fields; /* "user=bob;!uid=1": those that must be there, and must not */
} cases[] = {
    {AT "sshd[1]: Failed password for root from 203.0.113.5 port 40022 ssh2", "auth.log", 1001,
     "user=root;source_address=203.0.113.5"},
    {AT "sshd-session[1]: Failed password for a b from c from 2001:db8::1 port 1 ssh2", "x", 1001,
     "user=a b from c;source_address=2001:db8::1"},
    {AT "sshd[1]: Failed password for invalid user x from 203.0.113.5 port 1 ssh2", "x", 1002,
     "user=x"},
    {AT "sshd[1]: Invalid user admin from 203.0.113.5 port 40022", "x", 1003,
     "user=admin;source_address=203.0.113.5"},
    {AT
     "sshd[1]: error: maximum authentication attempts exceeded for root from 1.2.3.4 port 9 ssh2 [preauth]",
     "x", 1004, "user=root"},
    {AT "sshd[1]: User bob from 1.2.3.4 not allowed because not listed in AllowUsers", "x", 1005,
     "user=bob;source_address=1.2.3.4"},
    {AT "login[5]: FAILED LOGIN (1) on '/dev/tty1' FOR 'bob', Authentication failure", "x", 1006,
     "user=bob"},
    {AT "su[5]: FAILED SU (to root) bob on pts/0", "x", 1007, "user=bob"},
    {AT "su: FAILED su for root by bob", "x", 1007, "user=bob"},
    {AT
     "sshd[1]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=1.2.3.4  user=root",
     "x", 1008, "user=root"},
    {AT
     "vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=bob rhost=1.2.3.4  user=bob",
     "x", 1009, "source_address=1.2.3.4;user=bob"},
    {AT
     "gdm-password][1931]: pam_unix(gdm-password:auth): authentication failure; logname=bob uid=0 euid=0 tty=/dev/tty1 ruser= rhost=  user=bob",
     "x", 1009, "service=gdm-password;user=bob"},
    {AT "sshd[1]: Accepted publickey for bob from 1.2.3.4 port 5 ssh2: ED25519 SHA256:abc", "x",
     1202, "user=bob"},
    {AT "login[1]: ROOT LOGIN ON tty1", "x", 1203, "tty=tty1"},
    {AT "sshd[1]: /etc/ssh/sshd_config line 12: Bad configuration option: Foo", "x", 1301,
     "file=/etc/ssh/sshd_config"},
    {AT "sshd[1]: /etc/ssh/sshd_config: terminating, 1 bad configuration options", "x", 1301,
     "file=/etc/ssh/sshd_config"},
    {AT "sshd[1]: error: Bind to port 22 on 0.0.0.0 failed: Address already in use.", "x", 1302,
     "port=22"},
    {AT
     "sudo:   bob : user NOT in sudoers ; TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/sh",
     "x", 2001, "user=bob"},
    {AT
     "sudo:   bob : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/sh",
     "x", 2001, "user=bob"},
    {AT "sudo:   bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/rm -f /var/log/auth.log",
     "x", 2002, "command=/usr/bin/rm -f /var/log/auth.log"},
    {AT "sudo:   bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/usr/bin/apt update", "x",
     2003, "target_user=root"},
    {AT "su: (to root) bob on pts/1", "x", 2004, "user=bob"},
    {AT
     "useradd[9]: new user: name=toor, UID=0, GID=0, home=/root, shell=/bin/bash, from=/dev/pts/0",
     "x", 3001, "user=toor"},
    {AT
     "useradd[9]: new user: name=bob, UID=1001, GID=1001, home=/home/bob, shell=/bin/bash, from=none",
     "x", 3002, "user=bob;uid=1001"},
    {AT "userdel[9]: delete user 'bob'", "x", 3003, "user=bob"},
    {AT "groupadd[9]: new group: name=ops, GID=2000", "x", 3004, "group=ops"},
    {AT "groupdel[9]: group 'ops' removed", "x", 3005, "group=ops"},
    {AT "usermod[9]: add 'bob' to group 'sudo'", "x", 3006, "user=bob"},
    {AT "gpasswd[9]: user bob added by root to group wheel", "x", 3006, "user=bob"},
    {AT "usermod[9]: add 'bob' to group 'audio'", "x", 3007, "group=audio"},
    {AT "usermod[9]: change user 'bob' shell from '/bin/sh' to '/bin/bash'", "x", 3008, "user=bob"},
    {AT "passwd[9]: pam_unix(passwd:chauthtok): password changed for bob", "x", 3009, "user=bob"},
    {AT "systemd[1]: nginx.service: Failed with result 'exit-code'.", "x", 4001,
     "unit=nginx.service"},
    {AT "systemd[1]: nginx.service: Start request repeated too quickly.", "x", 4002,
     "unit=nginx.service"},
    {AT "systemd-coredump[9]: Process 77 (nginx) of user 33 dumped core.", "x", 4003,
     "program=nginx"},
    {AT "kernel: [  1.5] nginx[77]: segfault at 0 ip 00007f sp 00007f error 4 in libc.so.6[7f+1]",
     "x", 5001, "program=nginx"},
    {AT "kernel: traps: nginx[77] general protection fault ip:7f sp:7f error:0 in x[1+1]", "x",
     5001, "program=nginx"},
    {AT
     "kernel: Out of memory: Killed process 77 (java) total-vm:1kB, anon-rss:1kB, UID:1000 pgtables:1kB",
     "x", 5002, "program=java"},
    {AT "kernel: Memory cgroup out of memory: Killed process 77 (java) total-vm:1kB", "x", 5002,
     "program=java"},
    {AT "kernel: rootkit: loading out-of-tree module taints kernel.", "x", 5003, "module=rootkit"},
    {"type=KERN_MODULE msg=audit(1767323044.250:7): name=\"rootkit\"", "audit.log", 5003,
     "module=rootkit"},
    {AT "kernel: device eth0 entered promiscuous mode", "x", 5004, "interface=eth0"},
    {AT "kernel: Kernel panic - not syncing: Fatal exception", "x", 5005, "reason=Fatal exception"},
    {"type=DAEMON_END msg=audit(1767323044.250:7): op=terminate auid=0 uid=0 ses=1 pid=1 res=success",
     "audit.log", 6001, "operation=END"},
    {"type=CONFIG_CHANGE msg=audit(1767323044.250:7): op=set audit_enabled=0 old=1 auid=0 ses=1 res=1",
     "audit.log", 6002, "enabled=0"},
    {"type=CONFIG_CHANGE msg=audit(1767323044.250:7): auid=0 ses=1 op=remove_rule key=\"x\" list=4 res=1",
     "audit.log", 6003, "operation=remove_rule"},
    {"2026-01-02 03:04:05 upgrade bash:amd64 5.1-1 5.2-1", "dpkg.log", 7001, "package=bash"},
    {"2026-01-02 03:04:05 install nmap:amd64 <none> 7.93-1", "dpkg.log", 7002, "package=nmap"},
    {"2026-01-02T03:04:05+0000 SUBDEBUG Installed: nmap-3:7.93-1.el9.x86_64", "dnf.rpm.log", 0, ""},
    {"2026-01-02T03:04:05+0000 SUBDEBUG Installed: nmap-7.93-1.el9.x86_64", "dnf.rpm.log", 7002,
     "package=nmap-7.93-1.el9.x86_64"},
    /* Addresses that are made up: in a user's name, in a certificate's ID, in both. */
    {AT "sshd[1]: Failed password for root from 9.9.9.9 port 1 ssh2: x from 1.2.3.4 port 5 ssh2",
     "x", 1001, "source_address=1.2.3.4"},
    {AT
     "sshd[1]: Failed publickey for root from 1.2.3.4 port 5 ssh2: RSA-CERT SHA256:a ID me (serial 0) CA RSA SHA256:b",
     "x", 1001, "user=root;source_address=1.2.3.4;port=5"},
    {AT
     "sshd[1]: Failed publickey for root from 1.2.3.4 port 5 ssh2: RSA-CERT SHA256:a ID x from 9.9.9.9 port 1 ssh2: RSA SHA256:c (serial 0) CA RSA SHA256:b",
     "x", 1001, "method=publickey;!source_address=9.9.9.9;!source_address=1.2.3.4"},
    {AT
     "sshd[1]: Failed publickey for root from 1.2.3.4 port 5 ssh2: RSA-CERT SHA256:a ID x from 9.9.9.9 port 1 ssh2",
     "x", 1001, "method=publickey;!source_address=9.9.9.9"},
    {AT
     "sshd[1]: Failed publickey for invalid user x from 9.9.9.9 port 1 ssh2: RSA SHA256:a from 1.2.3.4 port 5 ssh2: RSA SHA256:b",
     "x", 1002, "!source_address=9.9.9.9"},
    {AT
     "sshd[1]: Accepted publickey for bob from 1.2.3.4 port 5 ssh2: RSA-CERT SHA256:a ID x from 9.9.9.9 port 1 ssh2: RSA SHA256:c",
     "x", 1202, "source_address=1.2.3.4"},
    {AT
     "vsftpd[1]: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser=x rhost=9.9.9.9 rhost=1.2.3.4",
     "x", 1009, "service=vsftpd;!source_address=9.9.9.9;!source_address=1.2.3.4"},
    /* What a stranger says on the way out, or calls themselves. */
    {AT
     "sshd[1]: Connection closed by invalid user maximum authentication attempts exceeded for root from 9.9.9.9 port 1 1.2.3.4 port 5 [preauth]",
     "x", 0, ""},
    {AT
     "sshd[1]: Received disconnect from 1.2.3.4 port 5:11: error: Bind to port 22 on 0.0.0.0 failed: x.",
     "x", 0, ""},
    {AT
     "sshd[1]: banner exchange: Connection from 1.2.3.4 port 5: Failed password for root from 9.9.9.9 port 1 ssh2",
     "x", 0, ""},
    {AT
     "logger: pam_unix(vsftpd:auth): authentication failure; logname= uid=0 euid=0 tty=ftp ruser= rhost=9.9.9.9  user=root",
     "x", 0, ""},
    /* What a user calls a program. */
    {AT
     "kernel: process 'Out of memory: Killed process 1 (systemd) UID:0' started with executable stack",
     "x", 0, ""},
    {AT
     "kernel: process 'x[1]: segfault at 0 ip 0 sp 0 error 4 in y' started with executable stack",
     "x", 0, ""},
    {AT "kernel: process 'x eth0 entered promiscuous mode' started with executable stack", "x", 0,
     ""},
    {AT "kernel: virtio_net virtio0 eth0: entered promiscuous mode", "x", 5004, "interface=eth0"},
    {AT "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/journalctl --vacuum-time=1s",
     "x", 2002, "user=bob"},
    {AT "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/sbin/auditctl -D", "x", 2002,
     "user=bob"},
    /* What only looks like it. */
    {AT "logger: Failed password for root from 203.0.113.5 port 40022 ssh2", "x", 0, ""},
    {AT "sshd[1]: Connection closed by 203.0.113.5 port 40022 [preauth]", "x", 0, ""},
    {AT "systemd[1]: Started nginx.service - A web server.", "x", 0, ""},
};

static int note(void *user, const struct log_line *line, const struct log_match *match)
{
    struct seen *seen = user;
    size_t length = 1;

    (void)line;
    (void)text_copy(seen->fields, sizeof seen->fields, ";");
    assert_true(seen->count < ARRAY_LENGTH(seen->ids));
    seen->ids[seen->count++] = match->rule->id;
    for (size_t i = 0; i < match->field_count; i++) {
        (void)text_format(seen->fields + length, sizeof seen->fields - length, "%s=%.*s;",
                          match->fields[i].name, (int)match->fields[i].length,
                          match->fields[i].value);
        length = strlen(seen->fields);
    }
    return 0;
}

static void take(struct log_engine *engine, const char *text, const char *file, struct seen *seen)
{
    struct log_line line;

    *seen = (struct seen){.count = 0};
    log_line_read(text, strlen(text), file, NOW, &line);
    assert_int_equal(log_engine_take(engine, &line, note, seen), 0);
}

static void check_fields(const char *seen, const char *fields)
{
    while (*fields != '\0') {
        char piece[128];
        bool wanted = fields[0] != '!';
        fields += !wanted;
        size_t length = strcspn(fields, ";");
        (void)text_format(piece, sizeof piece, ";%.*s;", (int)length, fields);
        if ((strstr(seen, piece) != NULL) != wanted)
            fail_msg("%s\"%s\" in \"%s\"", wanted ? "no " : "", piece, seen);
        fields += length + (fields[length] == ';');
    }
}

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct log_engine *engine = NULL;
        struct seen seen;
        assert_int_equal(log_engine_new(rules, &engine), 0);
        take(engine, cases[i].line, cases[i].file, &seen);
        if ((seen.count == 0 ? 0 : seen.ids[0]) != cases[i].id)
            fail_msg("rule %u, not %u: %s", seen.count == 0 ? 0 : seen.ids[0], cases[i].id,
                     cases[i].line);
        check_fields(seen.fields, cases[i].fields);
        assert_int_equal(log_engine_exhausted(engine), 0);
        (void)log_engine_free(engine);
    }
}

/* As a program is named in the journal. */
static void test_programs_of_the_journal(void **state)
{
    static const struct {
        const char *program, *service;
    } programs[] = {
        {"gdm-password]", "gdm-password"},
        {"gdm-fingerprint]", "gdm-fingerprint"},
        {"gdm-smartcard]", "gdm-smartcard"},
        {"doas", "doas"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(programs); i++) {
        struct log_engine *engine = NULL;
        struct seen seen = {.count = 0};
        char text[256], field[64];
        (void)text_format(text, sizeof text,
                          "pam_unix(%s:auth): authentication failure; logname= uid=0 euid=0 "
                          "tty=/dev/tty1 ruser= rhost=  user=bob",
                          programs[i].service);
        (void)text_format(field, sizeof field, "service=%s;user=bob", programs[i].service);
        const struct log_line line = {.time_ns = NOW,
                                      .program = programs[i].program,
                                      .program_length = strlen(programs[i].program),
                                      .message = text,
                                      .message_length = strlen(text)};
        assert_int_equal(log_engine_new(rules, &engine), 0);
        assert_int_equal(log_engine_take(engine, &line, note, &seen), 0);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.ids[0], 1009);
        check_fields(seen.fields, field);
        (void)log_engine_free(engine);
    }
}

/* Behind what of a field is told, and behind words at which an expression begins in vain. */
static void test_commands_that_hide_something(void **state)
{
    static const struct {
        const char *filling, *last;
    } commands[] = {
        {"file-number-one ", "/usr/bin/rm /var/log/auth.log"},
        {"journalctl auditctl ", "/usr/bin/rm /var/log/auth.log"},
        {"rm ", "/usr/bin/journalctl --vacuum-time=1s"},
        {"journalctl rm ", "/usr/sbin/auditctl -D"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++) {
        AUTO_BUFFER struct buffer line = BUFFER_WITH_MAXIMUM(4096);
        struct log_engine *engine = NULL;
        struct seen seen;
        assert_int_equal(log_engine_new(rules, &engine), 0);
        (void)buffer_append_format(&line, "%s",
                                   AT "sudo: bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=");
        while (line.length < 900)
            (void)buffer_append_format(&line, "%s", commands[i].filling);
        (void)buffer_append_format(&line, "%s", commands[i].last);
        assert_int_equal(buffer_failed(&line), 0);
        take(engine, buffer_text(&line), "x", &seen);
        assert_int_equal(seen.count, 1);
        assert_int_equal(seen.ids[0], 2002);
        (void)log_engine_free(engine);
    }
}

/* Eight failures from one address are brute force; a login after them is worse. */
static void test_brute_force(void **state)
{
    struct log_engine *engine = NULL;
    struct seen seen;

    (void)state;
    assert_int_equal(log_engine_new(rules, &engine), 0);
    for (int i = 0; i < 8; i++) {
        char line[160];
        (void)text_format(line, sizeof line, AT "sshd[1]: Invalid user u%d from 1.2.3.4 port 5", i);
        take(engine, line, "x", &seen);
        assert_int_equal(seen.ids[0], 1003);
        assert_int_equal(seen.count, i == 7 ? 2 : 1);
    }
    assert_int_equal(seen.ids[1], 1101);
    take(engine, AT "sshd[1]: Accepted password for bob from 1.2.3.4 port 5 ssh2", "x", &seen);
    assert_int_equal(seen.ids[0], 1201);
    (void)log_engine_free(engine);
}

static int set_up(void **state)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct settings_error error;

    (void)state;
    assert_int_equal(file_read_all(SOURCE_DIRECTORY "/policies/log_rules/linux.conf", &text), 0);
    assert_int_equal(log_rules_new(&rules), 0);
    if (log_rules_add_text(rules, "linux.conf", buffer_text(&text), false, &error) < 0 ||
        log_rules_seal(rules, &error) < 0)
        fail_msg("%s", error.text);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rules = log_rules_free(rules);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_programs_of_the_journal),
        cmocka_unit_test(test_commands_that_hide_something),
        cmocka_unit_test(test_brute_force),
    };

    (void)setenv("TZ", "UTC", 1);
    tzset();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
