/* Who a process is. */
#include "agent/prevention/process_facts.h"

#include "common/json/json_writer.h"

#include <limits.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void assert_container(const char *groups, const char *wanted)
{
    char container[PROCESS_CONTAINER_BYTES];

    process_facts_find_container(groups, container);
    assert_string_equal(container, wanted);
}

static void control_groups_tell_the_container(void **state)
{
    (void)state;
    assert_container("0::/system.slice/docker-" ID ".scope\n", ID);
    assert_container("12:cpu:/docker/" ID "\n0::/docker/" ID "\n", ID);
    assert_container("0::/kubepods.slice/cri-containerd-" ID ".scope", ID);
    assert_container("0::/machine.slice/libpod-" ID ".scope/container", ID);
    assert_container("0::/system.slice/cron.service\n", "");
    assert_container("0::/x/a" ID "\n", ""); /* 65 digits are something else */
    assert_container("", "");
}

static void our_own_facts_are_known(void **state)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    struct process_facts facts;
    struct json_writer json;
    char self[PATH_MAX] = "";

    (void)state;
    process_facts_read(getpid(), &facts);
    assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    assert_string_equal(facts.executable, self);
    assert_int_equal(facts.user, geteuid());
    assert_int_equal(facts.real_user, getuid());
    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    process_facts_write(&facts, &json);
    json_write_object_end(&json);
    assert_non_null(strstr(buffer_text(&text), "\"executable\":\""));
    assert_non_null(strstr(buffer_text(&text), "\"uid\":"));
    if (geteuid() == 0)
        assert_non_null(strstr(buffer_text(&text), "\"user\":\"root\""));
}

static void be_somebody_else(const char *program)
{
    if (setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0)
        (void)execl(program, program, "60", (char *)NULL);
    _exit(1);
}

/* 0 when the facts of pid name program, read without CAP_SYS_PTRACE. */
static int read_without_ptrace(pid_t pid, const char *program)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    struct process_facts facts;

    if (syscall(SYS_capget, &head, data) < 0)
        return 2;
    data[0].effective &= ~(1U << CAP_SYS_PTRACE);
    data[0].permitted &= ~(1U << CAP_SYS_PTRACE);
    if (syscall(SYS_capset, &head, data) < 0)
        return 3;
    process_facts_read(pid, &facts);
    if (facts.user != 65534 || strcmp(facts.executable, program) != 0)
        return 4;
    return geteuid() == 0 && access("/root", W_OK) == 0 ? 0 : 5; /* and we are root again */
}

static void another_users_program_is_known_without_ptrace(void **state)
{
    char program[PATH_MAX] = "", now[PATH_MAX], link[64];
    int status = 0;

    (void)state;
    if (geteuid() != 0)
        skip();
    assert_non_null(realpath("/bin/sleep", program));
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        be_somebody_else(program);
    (void)snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
    do { /* until it is that program */
        ssize_t length = readlink(link, now, sizeof now - 1);
        now[length > 0 ? length : 0] = '\0';
    } while (strcmp(now, program) != 0 && waitpid(pid, &status, WNOHANG) == 0);
    pid_t reader = fork();
    assert_true(reader >= 0);
    if (reader == 0)
        _exit(read_without_ptrace(pid, program));
    assert_int_equal(waitpid(reader, &status, 0), reader);
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_name_does_not_hide_the_parent(void **state)
{
    char name[PROCESS_NAME_BYTES];

    (void)state;
    assert_int_equal(prctl(PR_SET_NAME, "a) R 1 (b"), 0);
    assert_int_equal(process_facts_parent(getpid(), name), getppid());
    assert_string_equal(name, "a) R 1 (b");
    assert_int_equal(process_facts_parent(0, name), 0);
    assert_string_equal(name, "");
}

static void who_has_gone_has_no_facts(void **state)
{
    struct process_facts facts;

    (void)state;
    process_facts_read(0, &facts);
    assert_string_equal(facts.executable, "");
    assert_int_equal(facts.user, PROCESS_NO_USER);
    assert_int_equal(facts.login_user, PROCESS_NO_USER);
    assert_string_equal(facts.container, "");
}

static void the_parent_is_known(void **state)
{
    char name[PROCESS_NAME_BYTES], own[PROCESS_NAME_BYTES] = "a) 9 (b";

    (void)state;
    assert_int_equal(prctl(PR_SET_NAME, own), 0); /* a name may look like the rest of the line */
    assert_int_equal(process_facts_parent(getpid(), name), getppid());
    assert_string_equal(name, own);
    assert_int_equal(process_facts_parent(0, name), 0);
    assert_string_equal(name, "");
    assert_int_equal(process_facts_parent(INT_MAX, name), 0); /* there is none */
}

static void what_is_known_is_written(void **state)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    struct process_facts facts = {
        .pid = 7, .user = 4000000000U, .login_user = PROCESS_NO_USER, .container = ID};
    struct json_writer json;

    (void)state;
    (void)snprintf(facts.executable, sizeof facts.executable, "/a\nb");
    json_writer_init(&json, &text);
    json_write_object_begin(&json);
    process_facts_write(&facts, &json);
    json_write_object_end(&json);
    assert_string_equal(buffer_text(&text),
                        "{\"pid\":7,\"executable\":\"/a\\\\x0ab\",\"uid\":4000000000,"
                        "\"container\":\"" ID "\"}"); /* nobody has that number */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_groups_tell_the_container),
        cmocka_unit_test(our_own_facts_are_known),
        cmocka_unit_test(another_users_program_is_known_without_ptrace),
        cmocka_unit_test(a_name_does_not_hide_the_parent),
        cmocka_unit_test(who_has_gone_has_no_facts),
        cmocka_unit_test(the_parent_is_known),
        cmocka_unit_test(what_is_known_is_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
