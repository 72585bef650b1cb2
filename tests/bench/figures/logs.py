"""Lines a second of log inspection's engine over an auth.log, beside a grep -E that only finds the failures."""
import os
import resource
import subprocess

ROUNDS = 3
RULES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../policies/log_rules/linux.conf")
# What a server on the internet writes: one line in two is a stranger's.
LINES = (
    "sshd[{n}]: Failed password for root from 203.0.113.{b} port {n} ssh2",
    "sshd[{n}]: Invalid user admin{b} from 198.51.100.{b} port {n}",
    "sshd[{n}]: Connection closed by invalid user admin{b} 198.51.100.{b} port {n} [preauth]",
    "sshd[{n}]: pam_unix(sshd:auth): authentication failure; logname= uid=0 euid=0 tty=ssh ruser= rhost=203.0.113.{b}  user=root",
    "sshd[{n}]: Accepted publickey for deploy from 192.0.2.{b} port {n} ssh2: ED25519 SHA256:abcdefgh",
    "sshd[{n}]: pam_unix(sshd:session): session opened for user deploy(uid=1000) by (uid=0)",
    "systemd-logind[512]: New session {n} of user deploy.",
    "sudo:   deploy : TTY=pts/0 ; PWD=/srv ; USER=root ; COMMAND=/usr/bin/systemctl restart app{b}",
    "CRON[{n}]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)",
    "CRON[{n}]: pam_unix(cron:session): session closed for user root",
)
FAILURES = r"sshd.*(Failed \S+ for .* from \S+ port|Invalid user .* from \S+)|authentication failure;|COMMAND=|new user:"


def write_log(path, count):
    with open(path, "w", encoding="ascii") as stream:
        for number in range(count):
            text = LINES[number % len(LINES)].format(n=1024 + number % 60000, b=number * 7 % 256)
            stream.write(f"2026-01-02T{number // 3600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.123456+00:00 web1 {text}\n")


def grep_seconds(path):
    # Into a pipe: with /dev/null it would end at the first line that fits.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["grep", "-cE", FAILURES, path], check=True, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def logs(bench):
    folder = bench.machine.new_folder("logs")
    path = os.path.join(folder, "auth.log")
    write_log(path, bench.size(1000000, 20000))
    results = [bench.machine.measure_tool("log_rate", RULES, path) for _ in range(ROUNDS)]
    grep = min(grep_seconds(path) for _ in range(ROUNDS))
    bench.detail("logs", results)
    ours = max(result["lines"] / result["cpu_s"] for result in results)
    bench.figure("log inspection: lines a second of one core", ours, "/s", least=100000,
                 note=f"all shipped rules, auth.log; grep -E of the failures alone {results[0]['lines'] / max(grep, 0.001):,.0f}/s")
