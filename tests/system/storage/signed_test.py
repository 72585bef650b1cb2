"""The whole way with an account that checks each signature and each permission: what is signed wrongly
anywhere does not work here, and a wrong secret is told."""
import os
import sys

import harness as h
from harness import CLEAN, EICAR, Storage, account, main, until

# moto itself takes no other keys once it checks: not even its own client's.
KEYS = ("plain", "folder/with blank.txt", "x//../y", "trailing/", "~-_.", "k" * 1024)


def checked():
    """All tests share the account, and from the first on it checks."""
    if account().key[0] == "testing":
        account().check_signatures()


def test_from_event_to_quarantine(place):
    """Fetched in parts, tagged, published, queued, copied in parts, restored: each with a signature."""
    checked()
    storage = Storage(place, range="1M", ranges=2)
    vault = account().bucket(storage.bucket + "-vault", versions=True)
    process = storage.start()
    action = storage.start("action", queue_url=storage.results_queue, quarantine_bucket=vault, buckets=storage.bucket,
                           part="5M")
    bodies = {key: EICAR + key.encode() for key in KEYS}
    bodies["large"] = EICAR + bytes(6 << 20)
    for key, body in bodies.items():
        storage.put(key, body, Tagging="owner=me", Metadata={"who": "me"})

    def kept():  # without a prefix: moto takes none with a slash once it checks
        return [one["Key"] for one in account().s3.list_objects_v2(Bucket=vault).get("Contents", [])
                if one["Key"].startswith("quarantine/")]
    until(lambda: len(kept()) == len(bodies), "all in quarantine", on_wait=storage.said)
    until(lambda: "Contents" not in account().s3.list_objects_v2(Bucket=storage.bucket), "an empty bucket")
    said = storage.said()
    assert "SignatureDoesNotMatch" not in said and "action=failed" not in said and "object_later" not in said, said
    storage.stop(process)
    storage.stop(action)


def test_in_the_bucket_already(place):
    checked()
    storage = Storage(place, notify=False)
    for key in KEYS:
        storage.put(key, CLEAN)
    done = h.agents.subprocess.run(
        [os.path.join(h.agents.PROGRAMS, "yagura-storage"), "scan-bucket", "--here", "--page", "4", storage.bucket],
        env=storage.values, stdin=h.agents.subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr[-3000:])
    for key in KEYS:
        assert storage.tags(key)["yagura-scan-status"] == "clean", key


def test_a_wrong_secret_is_told(place):
    checked()
    storage = Storage(place, notify=False)
    storage.values["AWS_SECRET_ACCESS_KEY"] = account().key[1][::-1]
    process = storage.start()
    until(lambda: "queue_not_read" in storage.said(process), "a word about it", on_wait=storage.said)
    assert "SignatureDoesNotMatch" in storage.said(process), storage.said(process)


if __name__ == "__main__":
    main()
