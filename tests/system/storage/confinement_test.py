"""Where a platform refuses a step of the sandbox, the scanner does without it and says so wherever it says anything;
without the last two, it does not scan unless it was told to."""
import json
import os

from harness import CLEAN, EICAR, SECONDS, Skip, main, until
from stage import Stage

BAD_KERNEL = os.environ.get("YAGURA_BAD_KERNEL", "")


def refusing(*steps):
    if not os.path.exists(BAD_KERNEL):
        raise Skip("YAGURA_BAD_KERNEL names no program")
    return [BAD_KERNEL, *steps, "--"]


def steps_of(sandbox):
    """(reached, missing)"""
    reached, _, missing = sandbox.replace("(sanitizer build)", "").rpartition("missing: ") if "missing: " in sandbox \
        else (sandbox.replace("(sanitizer build)", ""), "", "")
    return set(filter(None, reached.rstrip("; ").split(","))), set(filter(None, missing.split(",")))


def metric_of(stage, process):
    return json.loads(until(lambda: next((line for line in stage.said(process).splitlines() if line.startswith("{")),
                                         None), "a metric", on_wait=stage.said))


def look(place, *refused, **settings):
    """What is said by a scanner under a kernel that refuses these steps: of the confinement, everywhere the same."""
    stage = Stage(place, metrics_scanner="of-the-test", **settings)
    process = stage.start(before=refusing(*refused))
    stage.aws.put(stage.bucket, "good", CLEAN)
    stage.aws.put(stage.bucket, "bad", EICAR)
    good, bad = stage.result("good"), stage.result("bad")
    assert (good["verdict"], bad["verdict"]) == ("clean", "infected"), (good, bad)
    ready = until(lambda: next((line for line in stage.said(process).splitlines() if "scanner_ready" in line), None),
                  "a word about the start", on_wait=stage.said)
    metric = metric_of(stage, process)
    reached, missing = steps_of(good["sandbox"])
    assert f'sandbox="{good["sandbox"]}"' in ready or f'sandbox={good["sandbox"]}' in ready, (good["sandbox"], ready)
    assert (metric["Sandbox"], bad["sandbox"]) == (good["sandbox"], good["sandbox"]), (metric, good)
    assert metric["SandboxStepsMissing"] == len(missing), metric
    with open(f"/proc/{process.pid}/mounts", encoding="utf-8", errors="replace") as stream:
        assert place.root not in stream.read(), "a mount on the host"
    stage.until_acknowledged()
    stage.stop(process)
    return reached, missing, ready


def test_nothing_is_refused(place):
    """What this machine itself lacks is known from here on."""
    reached, missing, ready = look(place)
    assert "seccomp" in reached and (" warning " in ready) == bool(missing), (reached, missing, ready)


def refuse(place, *steps, names, **settings):
    all_reached, _, _ = look(place)
    reached, missing, ready = look(place, *steps, **settings)
    assert reached == all_reached - set(names) and set(names) <= missing, (reached, all_reached, missing)
    assert " warning " in ready, ready


def test_without_landlock(place):
    refuse(place, "landlock", names=["landlock"])


def test_without_seccomp(place):
    all_reached, _, _ = look(place)
    if "landlock" not in all_reached:
        raise Skip("this kernel has no Landlock, and without both nothing is scanned")
    refuse(place, "seccomp", names=["seccomp"])


def test_without_namespaces(place):
    """And then nothing is mounted, which would stand on the host."""
    refuse(place, "namespaces", names=["namespaces", "tmpfs"])


def test_without_mounts(place):
    refuse(place, "mounts", names=["namespaces", "tmpfs"])


def test_with_neither_seccomp_nor_landlock(place):
    """It is refused, said why, and the event is for another one."""
    stage = Stage(place)
    process = stage.start(before=refusing("seccomp", "landlock"))
    stage.aws.put(stage.bucket, "good", CLEAN)
    until(lambda: "scanner_not_ready" in stage.said(process), "a refusal", on_wait=stage.said)
    said = stage.said(process)
    assert "neither seccomp nor Landlock" in said and "scanner.unconfined" in said, said
    stage.stop(process)
    assert stage.results() == [] and stage.aws.latest(stage.bucket, "good").tags == {}
    assert stage.aws.queues["events"][0].received == 0
    # A setting allows it, and is never forgotten in what is said.
    process = stage.start(before=refusing("seccomp", "landlock"), scanner_unconfined="true")
    result = stage.result("good")
    assert {"landlock", "seccomp"} <= steps_of(result["sandbox"])[1], result
    assert " warning " in next(line for line in stage.said(process).splitlines() if "scanner_ready" in line)
    stage.stop(process)


def test_nothing_at_all(place):
    """Every step refused, and told to go on: the level is named, and is none."""
    reached, missing, _ = look(place, "seccomp", "landlock", "namespaces", "mounts", scanner_unconfined="true")
    assert reached <= {"user"} and {"namespaces", "tmpfs", "landlock", "seccomp"} <= missing, (reached, missing)


def test_a_function_says_it_at_its_start(place):
    """An error of its start, which its platform shows, rather than one for each event."""
    from start_test import function  # pylint: disable=import-outside-toplevel
    stage, api, process = function(place, before=refusing("seccomp", "landlock"))
    assert api.failed_init.wait(SECONDS), stage.said()
    assert api.init_error["errorType"] == "Storage.NoEngine", api.init_error
    assert "neither seccomp nor Landlock" in api.init_error["errorMessage"], api.init_error
    assert process.wait(timeout=SECONDS) == 1 and api.next_calls == 0


if __name__ == "__main__":
    main()
