"""More than the kernel's queue or the agent's memory holds: everything still gets its verdict."""
import os
import signal

import harness
from harness import CLEAN, EICAR, put


def test_a_kernel_queue_that_overflows_is_made_good(place):
    agent = place.agent(respond__action="pass").start()
    agent.sync()
    with open("/proc/sys/fs/inotify/max_queued_events", encoding="ascii") as stream:
        queue = int(stream.read())
    if queue > 100000:
        raise harness.Skip(f"the queue takes {queue} events here")
    source = place.folder("source")
    wanted = queue // 2 + 2000
    folders = 20
    for folder in range(folders):
        os.makedirs(os.path.join(source, str(folder)))
        for number in range(wanted // folders):
            path = os.path.join(source, str(folder), str(number))
            put(path, EICAR if number % 400 == 0 else CLEAN)
    bad = []
    for folder in range(folders):
        os.makedirs(os.path.join(agent.watched, str(folder)))
    agent.sync()
    agent.process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, agent.process.pid, os.WSTOPPED)  # until all its threads stand still
    try:
        for folder in range(folders):
            for number in range(wanted // folders):
                target = os.path.join(agent.watched, str(folder), str(number))
                os.rename(os.path.join(source, str(folder), str(number)), target + ".part")
                os.rename(target + ".part", target)
                if number % 400 == 0:
                    bad.append(target)
    finally:
        agent.process.send_signal(signal.SIGCONT)
    agent.sync(seconds=120)
    assert agent.status()["watch"]["overflows"] >= 1, agent.status()["watch"]
    assert agent.metric("watch_overflows_total") >= 1
    assert agent.events("watch_gap") and agent.events("watch_gap_closed")
    agent.expect_found(*bad)


def test_thousands_of_files_at_once(place):
    agent = place.agent(respond__action="pass").start()
    bad = []
    for number in range(6000):
        folder = os.path.join(agent.watched, str(number % 60))
        os.makedirs(folder, exist_ok=True)
        path = put(os.path.join(folder, str(number)), EICAR if number % 100 == 0 else CLEAN)
        if number % 100 == 0:
            bad.append(path)
    agent.sync(seconds=120)
    agent.expect_found(*bad)
    status = agent.status()["scan"]
    assert status["backlog_files"] == 0 and status["clean"] >= 5940, status


if __name__ == "__main__":
    harness.main()
