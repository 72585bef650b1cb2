"""Memory and descriptors stay as they are, however many objects pass: on a stand-in that is fast enough for
10,000 of them (set YAGURA_STEADY_OBJECTS to try more)."""
import os
import subprocess
import sys

import encrypted_files as encrypted
from harness import CLEAN, EICAR, REGION, ROOT, SECONDS, Skip, agents, is_sanitized, main

sys.path[:0] = [os.path.join(ROOT, "tests/bench"), os.path.join(ROOT, "tests/bench/storage")]
from fast_aws import FastAws  # noqa: E402
from machine import process_tree  # noqa: E402

OBJECTS = int(os.environ.get("YAGURA_STEADY_OBJECTS", "10000"))
FIRST = OBJECTS // 5
MOST_GROWTH = 2 << 20  # of 8,000 objects: 262 bytes for each would be seen


def own_memory(pid):
    """Bytes of this process's share of what is not a file's page: of those its share grows when a stranger with
    the same libraries ends."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
        return sum(int(line.split()[1]) << 10 for line in stream if line.startswith(("Pss_Anon:", "Pss_Shmem:")))


def measure(process):
    """Bytes of all processes, and descriptors of ours, which may have an object or two in hand."""
    return sum(map(own_memory, process_tree(process.pid))), len(os.listdir(f"/proc/{process.pid}/fd"))


def test_ten_thousand_objects(place):
    if is_sanitized():
        raise Skip("a sanitizer keeps what was freed")
    kinds = [CLEAN, EICAR, b"", encrypted.pdf(EICAR), encrypted.aes_zip(EICAR)]
    objects = {f"k{i:05}": kinds[i % len(kinds)] if i % 10 < len(kinds) else CLEAN + b"%d" % i for i in range(OBJECTS)}
    keys = list(objects)
    with FastAws(objects) as aws:
        values = {name: value for name, value in os.environ.items()
                  if not name.startswith(("AWS_", "YAGURA_")) and not name.lower().endswith("_proxy")}
        values.update(AWS_ENDPOINT_URL=aws.url, AWS_REGION=REGION, AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x",
                      AWS_CONFIG_FILE="/nonexistent", AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
                      YAGURA_QUEUE_URL=aws.url + "/1/queue", YAGURA_TOPIC_ARN=f"arn:aws:sns:{REGION}:1:topic",
                      YAGURA_SCANNER_PROGRAM=os.path.join(agents.PROGRAMS, "yagura-scanner"),
                      YAGURA_SCANNER_DATABASES=agents.SIGNATURES, YAGURA_SCANNER_WORKERS="2",
                      YAGURA_DIRECTORY=place.folder("space"), YAGURA_WAIT="5s", YAGURA_LOG_LEVEL="error")
        process = subprocess.Popen([os.path.join(agents.PROGRAMS, "yagura-storage"), "poller"], env=values,
                                   stdin=subprocess.DEVNULL)
        try:
            aws.put_events(keys[:FIRST])
            assert aws.wait_told(FIRST, 10 * SECONDS), len(aws.told)
            before, files = measure(process)
            aws.put_events(keys[FIRST:])
            assert aws.wait_told(OBJECTS, 10 * SECONDS), len(aws.told)
            after, files_after = measure(process)
        finally:
            process.terminate()
            assert process.wait(timeout=SECONDS) == 0
    print(f"# own memory {before >> 10} KiB after {FIRST} objects, {after >> 10} KiB after {OBJECTS}; descriptors {files}, "
          f"{files_after}")
    assert after - before < MOST_GROWTH, (before, after)
    assert files_after <= files + 8, (files, files_after)


if __name__ == "__main__":
    main()
